"""First names for problems that are told as stories."""

FEMALE = tuple(
    "Ada Alice Amira Bea Carla Chloe Daria Edith Elena Farah Greta Hana Ines Iris Jana "
    "Keiko Lena Lucia Maya Mina Nadia Nora Olga Petra Priya Rosa Ruth Selma Tara Uma "
    "Vera Wanda Yara Zoe".split()
)
MALE = tuple(
    "Adam Amir Ben Boris Carlos Dario David Emil Felix Georg Hassan Henrik Ivan Jonas "
    "Karim Kenji Leo Luca Marek Mateo Nils Oscar Pablo Paul Rafael Ravi Samir Simon "
    "Tariq Tomas Viktor Walter Yusuf".split()
)
