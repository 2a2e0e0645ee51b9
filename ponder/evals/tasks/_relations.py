"""People, how they are related, and questions about them."""

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import count

from ponder.evals.tasks._names import FEMALE, MALE


@dataclass
class People:
    """A graph: edges to parents, and edges between those who know each other."""

    female: dict[str, bool] = field(default_factory=dict)
    """Everybody, by name."""
    parents: dict[str, frozenset[str]] = field(default_factory=dict)
    known: dict[str, set[str]] = field(default_factory=dict)
    _numbers: "count[int]" = field(default_factory=count)

    def add(self, female: bool, name: str = "", parents: Collection[str] = ()) -> str:
        """Add a person; without a name, as somebody who is never mentioned."""
        name = name or f"#{next(self._numbers)}"
        self.female[name] = female
        self.parents[name] = frozenset(parents)
        return name

    def couple(self) -> tuple[str, str]:
        """Add a mother and a father."""
        return self.add(True), self.add(False)

    def children(self, parents: Collection[str], girls: int, boys: int) -> list[str]:
        """Add children of the same parents."""
        sexes = [True] * girls + [False] * boys
        return [self.add(female, parents=parents) for female in sexes]

    def siblings(self, person: str) -> set[str]:
        """Return those with the same parents."""
        mine = self.parents[person]
        same = {p for p, parents in self.parents.items() if parents == mine}
        return same - {person} if mine else set()

    def offspring(self, person: str) -> set[str]:
        """Return sons and daughters."""
        return {p for p, parents in self.parents.items() if person in parents}

    def cousins(self, person: str) -> set[str]:
        """Return the children of the parents' siblings."""
        siblings = {s for p in self.parents[person] for s in self.siblings(p)}
        return {child for s in siblings for child in self.offspring(s)}

    def nieces_and_nephews(self, person: str) -> set[str]:
        """Return the children of the siblings."""
        return {c for s in self.siblings(person) for c in self.offspring(s)}

    def aunts_and_uncles(self, person: str) -> set[str]:
        """Return the siblings of the parents."""
        return {s for p in self.parents[person] for s in self.siblings(p)}

    def of_sex(self, people: Collection[str], female: bool) -> set[str]:
        """Return the women and girls, or the men and boys."""
        return {p for p in people if self.female[p] == female}


@dataclass(frozen=True)
class Scene:
    """A question with its graph."""

    text: str
    people: People
    asked: frozenset[str]
    """Those whose relations are asked for: any of them, so all must agree."""
    counted: Callable[[str], Collection[str]]
    """Who is to be counted from the point of view of one person."""


Variation = Callable[[random.Random, int], Scene]
"""Makes a question with numbers from 1 to a largest one."""

VARIATIONS: dict[str, Variation] = {}


def variation(make: Variation) -> Variation:
    """Make a variation known by the name of its function (decorator)."""
    VARIATIONS[make.__name__] = make
    return make


def _number(count: int, one: str) -> str:
    return f"{count} {one if count == 1 else one + 's'}"


def _hero(rng: random.Random) -> tuple[str, bool]:
    female = rng.random() < 0.5
    return rng.choice(FEMALE if female else MALE), female


def _brother_or_sister(female: bool) -> str:
    return "sister" if female else "brother"


def _siblings(rng: random.Random, largest: int, asked: bool, counted: bool) -> Scene:
    """Ask for the brothers or sisters of a brother or sister.

    Args:
        rng: Source of randomness.
        largest: Largest number.
        asked: Whether a sister is asked about, not a brother.
        counted: Whether sisters are counted, not brothers.
    """
    hero, female = _hero(rng)
    brothers, sisters = rng.randint(1, largest), rng.randint(1, largest)
    people = People()
    parents = people.couple()
    people.add(female, hero, parents)
    people.children(parents, sisters, brothers)
    given = [_number(brothers, "brother"), _number(sisters, "sister")]
    rng.shuffle(given)
    text = (
        f"A {'girl' if female else 'boy'} called {hero} has {given[0]} and {given[1]}. "
        f"All these children have the same parents. How many "
        f"{_brother_or_sister(counted)}s does a {_brother_or_sister(asked)} of {hero} "
        "have?"
    )
    subjects = people.of_sex(people.siblings(hero), asked)
    return Scene(
        text,
        people,
        frozenset(subjects),
        lambda person: people.of_sex(people.siblings(person), counted),
    )


@variation
def sisters_of_brother(rng: random.Random, largest: int) -> Scene:
    """Ask how many sisters a brother has."""
    return _siblings(rng, largest, asked=False, counted=True)


@variation
def brothers_of_sister(rng: random.Random, largest: int) -> Scene:
    """Ask how many brothers a sister has."""
    return _siblings(rng, largest, asked=True, counted=False)


@variation
def sisters_of_sister(rng: random.Random, largest: int) -> Scene:
    """Ask how many sisters a sister has."""
    return _siblings(rng, largest, asked=True, counted=True)


@variation
def brothers_of_brother(rng: random.Random, largest: int) -> Scene:
    """Ask how many brothers a brother has."""
    return _siblings(rng, largest, asked=False, counted=False)


@variation
def children_of_parents(rng: random.Random, largest: int) -> Scene:
    """Give the children of the parents instead of the siblings."""
    hero, female = _hero(rng)
    girls, boys = rng.randint(1, largest), rng.randint(1, largest)
    people = People()
    parents = people.couple()
    people.add(female, hero, parents)
    people.children(parents, girls - female, boys - (not female))
    counted = rng.random() < 0.5
    text = (
        f"The parents of {hero}, a {'girl' if female else 'boy'}, have "
        f"{_number(girls, 'daughter')} and {_number(boys, 'son')}, {hero} included. "
        f"How many {_brother_or_sister(counted)}s does {hero} have?"
    )
    return Scene(
        text,
        people,
        frozenset({hero}),
        lambda person: people.of_sex(people.siblings(person), counted),
    )


@variation
def nieces(rng: random.Random, largest: int) -> Scene:
    """Ask for the nieces or nephews of a brother or sister without children."""
    hero, female = _hero(rng)
    sisters, brothers = rng.randint(1, largest), rng.randint(1, largest)
    own, each = rng.randint(1, largest), rng.randint(1, largest)
    counted = rng.random() < 0.5
    people = People()
    parents = people.couple()
    people.add(female, hero, parents)
    people.children(parents, sisters, brothers)
    mothers = people.of_sex(people.siblings(hero), female=True)
    for parent, number in [(hero, own), *((mother, each) for mother in mothers)]:
        couple = (parent, people.add(not people.female[parent]))
        people.children(couple, number * counted, number * (not counted))
    child, kin = ("daughter", "nieces") if counted else ("son", "nephews")
    text = (
        f"{hero}, a {'woman' if female else 'man'}, has {_number(brothers, 'brother')} "
        f"and {_number(sisters, 'sister')}, all of the same parents. {hero} has "
        f"{_number(own, child)}, and every sister of {hero} has "
        f"{_number(each, child)}; there are no other children. How many {kin} does a "
        f"brother of {hero} have? Only children of brothers and sisters count."
    )
    subjects = people.of_sex(people.siblings(hero), female=False)
    return Scene(
        text,
        people,
        frozenset(subjects),
        lambda person: people.of_sex(people.nieces_and_nephews(person), counted),
    )


@variation
def cousins(rng: random.Random, largest: int) -> Scene:
    """Ask for cousins, from one family or from the other."""
    hero, female = _hero(rng)
    aunt = rng.choice([name for name in FEMALE if name != hero])
    sisters, brothers = rng.randint(1, largest), rng.randint(1, largest)
    girls, boys = rng.randint(1, largest), rng.randint(1, largest)
    people = People()
    grandparents = people.couple()
    parents = (people.add(True, parents=grandparents), people.add(False))
    people.add(True, aunt, grandparents)
    people.add(female, hero, parents)
    people.children(parents, sisters, brothers)
    people.children((aunt, people.add(False)), girls, boys)
    counted = rng.random() < 0.5
    asked, who = rng.choice(
        [
            (people.siblings(hero), f"a brother or sister of {hero}"),
            (people.offspring(aunt), f"a child of {aunt}"),
        ]
    )
    text = (
        f"{hero}, a {'girl' if female else 'boy'}, has {_number(brothers, 'brother')} "
        f"and {_number(sisters, 'sister')} of the same parents. Their mother has one "
        f"sister, {aunt}, and no brother; {aunt} has {_number(girls, 'daughter')} and "
        f"{_number(boys, 'son')}. Their father has no brothers or sisters, and neither "
        f"has the father of {aunt}'s children. How many "
        f"{'female' if counted else 'male'} cousins does {who} have?"
    )
    return Scene(
        text,
        people,
        frozenset(asked),
        lambda person: people.of_sex(people.cousins(person), counted),
    )


@variation
def aunts(rng: random.Random, largest: int) -> Scene:
    """Ask for the aunts or uncles of a brother or sister."""
    hero, female = _hero(rng)
    siblings = rng.randint(1, largest)
    sisters = [rng.randint(1, largest) for _ in range(2)]
    brothers = [rng.randint(1, largest) for _ in range(2)]
    people = People()
    sides = [people.couple(), people.couple()]
    parents = [people.add(i == 0, parents=side) for i, side in enumerate(sides)]
    for side, women, men in zip(sides, sisters, brothers, strict=True):
        people.children(side, women, men)
    people.add(female, hero, parents)
    sex = rng.random() < 0.5
    people.children(parents, siblings * sex, siblings * (not sex))
    counted = rng.random() < 0.5
    families = [
        f"{_number(women, 'sister')} and {_number(men, 'brother')}"
        for women, men in zip(sisters, brothers, strict=True)
    ]
    text = (
        f"{hero} has {_number(siblings, _brother_or_sister(sex))} of the same parents. "
        f"Their mother has {families[0]}, their father has {families[1]}, and none of "
        f"those is married. How many {'aunts' if counted else 'uncles'} does a "
        f"{_brother_or_sister(sex)} of {hero} have?"
    )
    return Scene(
        text,
        people,
        frozenset(people.siblings(hero)),
        lambda person: people.of_sex(people.aunts_and_uncles(person), counted),
    )


def _circle(rng: random.Random, largest: int, place: str, kind: str) -> Scene:
    """Ask for those whom a member of a group knows; all know each other."""
    hero, female = _hero(rng)
    women, men = rng.randint(1, largest), rng.randint(1, largest)
    people = People()
    people.add(female, hero)
    people.children((), women, men)
    for name in people.female:
        people.known[name] = set(people.female) - {name}
    asked, counted = rng.random() < 0.5, rng.random() < 0.5
    text = (
        f"{place} {hero}, a {'woman' if female else 'man'}, has "
        f"{women} female and {men} male {kind}s there. How many "
        f"{'female' if counted else 'male'} {kind}s does a "
        f"{'female' if asked else 'male'} {kind} of {hero} have there?"
    )
    return Scene(
        text,
        people,
        frozenset(people.of_sex(people.known[hero], asked)),
        lambda person: people.of_sex(people.known[person], counted),
    )


@variation
def colleagues(rng: random.Random, largest: int) -> Scene:
    """Ask for the colleagues of a colleague."""
    place = "In a small office everybody is a colleague of everybody else."
    return _circle(rng, largest, place, "colleague")


@variation
def friends(rng: random.Random, largest: int) -> Scene:
    """Ask for the friends of a friend."""
    place = "In a chess club all members are friends of one another."
    return _circle(rng, largest, place, "friend")
