import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.errors import InvalidParameter
from ponder.retrieval.chunking import chunk
from ponder.retrieval.documents import Document

PIECES = st.lists(
    st.sampled_from(
        [
            "word ",
            "End. ",
            "Why?\n",
            "\n\n",
            "# Heading\n\n",
            "   ",
            "。",
            "x" * 70,
            "\t",
        ]
    ),
    max_size=120,
).map("".join)


@given(
    text=PIECES,
    size=st.integers(50, 200),
    share=st.floats(0, 0.5),
    pages=st.integers(0, 3),
)
def test_passages_are_exact_pieces_that_cover_the_text(
    text: str, size: int, share: float, pages: int
) -> None:
    starts = tuple(len(text) * i // pages for i in range(pages))
    document = Document(source="a.txt", text=text, pages=starts)
    passages = chunk(document, size=size, overlap=int(share * size))
    covered: set[int] = set()
    for p in passages:
        assert p.start is not None and p.end is not None
        assert text[p.start : p.end] == p.text
        assert p.text == p.text.strip() != ""
        assert len(p.text) <= size
        assert p.page == document.page_at(p.start) == document.page_at(p.end - 1)
        covered.update(range(p.start, p.end))
    missed = [c for i, c in enumerate(text) if i not in covered]
    assert not "".join(missed).strip()
    assert len({p.id for p in passages}) == len(passages)
    places = [(p.start, p.end) for p in passages]
    assert places == sorted(places)


def test_a_passage_ends_with_a_paragraph_or_else_a_sentence() -> None:
    text = f"{'One. ' * 9}\n\nTwo is short.\n\n{'A long sentence is here. ' * 5}"
    passages = chunk(Document(source="a", text=text), size=70, overlap=0)
    texts = [p.text for p in passages]
    assert texts[0] == f"{'One. ' * 9}\n\nTwo is short.".replace(" \n", " \n")
    assert all(t.endswith("here.") and t.startswith("A long") for t in texts[1:])
    assert " ".join(texts[1:]) == ("A long sentence is here. " * 5).strip()


def test_neighbours_share_whole_sentences_up_to_the_overlap() -> None:
    text = " ".join(f"Sentence number {i:02}." for i in range(12))
    passages = chunk(Document(source="a", text=text), size=100, overlap=45)
    for before, after in zip(passages, passages[1:], strict=False):
        assert before.end is not None and after.start is not None
        shared = text[after.start : before.end]
        assert 0 < len(shared) <= 45
        assert shared.startswith("Sentence number") and shared.endswith(".")


def test_a_heading_stays_with_what_follows() -> None:
    body = "Some words to fill the passage nearly up to its size."
    text = f"{body}\n\n## Storage\n\n{body}"
    first, second = chunk(Document(source="a.md", text=text), size=75, overlap=0)
    assert first.text == body
    assert second.text == f"## Storage\n\n{body}"


def test_an_id_depends_on_source_and_text_not_on_the_place() -> None:
    one = chunk(Document(source="a", text="Same.\n\n" * 40), size=60, overlap=0)
    assert len({p.text for p in one}) < len(one) == len({p.id for p in one})
    before = chunk(Document(source="a", text="Kept text."))
    after = chunk(Document(source="a", text="\n\n\nKept text.\n"))
    other = chunk(Document(source="b", text="Kept text."))
    assert before[0].id == after[0].id != other[0].id
    assert before[0].start != after[0].start


@pytest.mark.parametrize(("size", "overlap"), [(10, 0), (100, 51), (100, -1)])
def test_lengths_that_cannot_work_are_refused(size: int, overlap: int) -> None:
    with pytest.raises(InvalidParameter, match="characters"):
        chunk(Document(source="a", text="x"), size=size, overlap=overlap)
