import json
from pathlib import Path
from typing import Any

import pytest

from ponder.errors import InvalidInput
from ponder.evals.benchmark import UNREADABLE, benchmark, benchmarks
from ponder.evals.tasks._rows import Loaded
from ponder.evals.tasks.multihop import HotpotQA, MuSiQue, TwoWiki

SAMPLE = Path(__file__).parents[4] / "shared" / "data" / "hotpotqa_100.jsonl"
needs_sample = pytest.mark.skipif(
    not SAMPLE.exists(), reason="the sample of HotpotQA is not on this machine"
)
HOTPOT = {
    "_id": "h1",
    "question": "Where was the drummer born?",
    "answer": "St. Louis, Missouri",
    "context": [["Drums", ["Ann drums.", " She sings."]], ["Ann", ["Born in it."]]],
    "supporting_facts": [["Ann", 0], ["Ann", 1]],
}
COLUMNS = HOTPOT | {
    "context": {
        "title": ["Drums", "Ann"],
        "sentences": [["Ann drums.", " She sings."], ["Born in it."]],
    },
    "supporting_facts": {"title": ["Ann", "Ann"], "sent_id": [0, 1]},
}
OBJECTS = HOTPOT | {
    "context": [
        {"title": "Drums", "sentences": ["Ann drums.", " She sings."]},
        {"title": "Ann", "sentences": ["Born in it."]},
    ],
    "supporting_facts": [{"title": "Ann", "sent_id": 0}],
}
MUSIQUE = {
    "id": "2hop__1_2",
    "question": "Where was the drummer born?",
    "answer": "St. Louis, Missouri",
    "answer_aliases": ["Saint Louis"],
    "answerable": True,
    "paragraphs": [
        {
            "idx": 0,
            "title": "Drums",
            "paragraph_text": "Ann drums. She sings.",
            "is_supporting": False,
        },
        {
            "idx": 1,
            "title": "Ann",
            "paragraph_text": "Born in it.",
            "is_supporting": True,
        },
    ],
}
LAYOUTS: list[tuple[type[Loaded], dict[str, Any]]] = [
    (HotpotQA, HOTPOT),
    (HotpotQA, COLUMNS),
    (HotpotQA, OBJECTS),
    (TwoWiki, HOTPOT | {"evidences": [["Ann", "born in", "it"]]}),
    (MuSiQue, MUSIQUE),
]


def write(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "dev.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@needs_sample
def test_the_real_sample() -> None:
    bench = HotpotQA(path=SAMPLE)
    problems = bench.every()
    assert len(problems) == 100
    for problem in problems:
        grade = bench.grade(problem, problem.reference)
        assert (grade.correct, grade.score) == (True, 1.0)
        assert len(problem.data["titles"]) == len(problem.data["passages"])
        assert set(problem.data["supporting_titles"]) <= set(problem.data["titles"])
        assert len(problem.data["supporting_titles"]) == 2


def test_all_three_are_registered() -> None:
    known = benchmarks()
    assert [known[n] for n in ("hotpotqa", "2wiki", "musique")] == [
        HotpotQA,
        TwoWiki,
        MuSiQue,
    ]


@pytest.mark.parametrize(("kind", "row"), LAYOUTS)
def test_layouts(tmp_path: Path, kind: type[Loaded], row: dict[str, Any]) -> None:
    (problem,) = kind(path=write(tmp_path, row)).every()
    assert problem.data["titles"] == ["Drums", "Ann"]
    assert problem.data["passages"] == ["Ann drums. She sings.", "Born in it."]
    assert problem.data["supporting_titles"] == ["Ann"]
    assert problem.id == row.get("_id", row.get("id"))
    assert problem.question.startswith("[1] Drums\nAnn drums. She sings.\n\n[2] Ann\n")
    assert "Question: Where was the drummer born?" in problem.question


@pytest.mark.parametrize(("kind", "row"), LAYOUTS)
def test_closed_book(tmp_path: Path, kind: type[Loaded], row: dict[str, Any]) -> None:
    path = write(tmp_path, row)
    (problem,) = kind.model_validate({"path": path, "closed_book": True}).every()
    assert problem.question.startswith("Question: ")
    assert "drums" not in problem.question
    assert len(problem.data["passages"]) == 2


@pytest.mark.parametrize(("kind", "row"), LAYOUTS[:-1])
def test_a_worked_example_is_the_marked_sentences_and_the_answer(
    tmp_path: Path, kind: type[Loaded], row: dict[str, Any]
) -> None:
    bench = kind(path=write(tmp_path, row))
    (problem,) = bench.every()
    # A second sentence of Ann's is marked, but there is none.
    assert problem.worked.split("\n\n") == [
        "Ann: Born in it.",
        "The answer: \\boxed{St. Louis, Missouri}",
    ]
    assert bench.grade(problem, problem.worked).correct


def test_without_marked_sentences_there_is_no_worked_example(tmp_path: Path) -> None:
    (problem,) = MuSiQue(path=write(tmp_path, MUSIQUE)).every()
    assert problem.worked == ""


@pytest.mark.parametrize(("kind", "row"), LAYOUTS)
def test_grades(tmp_path: Path, kind: type[Loaded], row: dict[str, Any]) -> None:
    bench = kind(path=write(tmp_path, row))
    (problem,) = bench.every()
    for right in (
        "st louis missouri",
        "The St. Louis, Missouri.",
        r"\text{St. Louis}"
        r"\text{, Missouri}",
    ):
        grade = bench.grade(problem, f"\\boxed{{{right}}}")
        assert (grade.correct, grade.score) == (True, 1.0)
    part = bench.grade(problem, "\\boxed{in St. Louis}")
    assert part.correct is False
    assert part.score == pytest.approx(2 * 2 / (3 + 3))
    wrong = bench.grade(problem, "\\boxed{Paris}")
    assert (wrong.correct, wrong.score) == (False, 0.0)
    assert bench.grade(problem, "I do not know.") == UNREADABLE


def test_the_best_alias_counts(tmp_path: Path) -> None:
    bench = MuSiQue(path=write(tmp_path, MUSIQUE))
    (problem,) = bench.every()
    grade = bench.grade(problem, "\\boxed{Saint Louis}")
    assert (grade.correct, grade.score) == (True, 1.0)
    part = bench.grade(problem, "\\boxed{Louis}")
    assert part.score == pytest.approx(2 * 1 / (1 + 2))


def test_yes_and_no_earn_nothing_for_a_part(tmp_path: Path) -> None:
    bench = HotpotQA(path=write(tmp_path, HOTPOT | {"answer": "no"}))
    assert bench.grade(bench.every()[0], "\\boxed{no one}").score == 0.0
    other = MuSiQue(path=write(tmp_path, MUSIQUE | {"answer": "no"}))
    assert other.grade(other.every()[0], "\\boxed{no one}").score == pytest.approx(
        2 / 3
    )


def test_rows_without_an_answer_are_left_out(tmp_path: Path) -> None:
    twin = MUSIQUE | {"answerable": False}
    assert len(MuSiQue(path=write(tmp_path, MUSIQUE, twin)).every()) == 1


def test_musique_in_columns(tmp_path: Path) -> None:
    columns = {
        "title": ["Drums", "Ann"],
        "paragraph_text": ["Ann drums.", "Born in it."],
        "is_supporting": [False, True],
    }
    path = write(tmp_path, MUSIQUE | {"paragraphs": columns})
    (problem,) = MuSiQue(path=path).every()
    assert problem.data["supporting_titles"] == ["Ann"]


@pytest.mark.parametrize(
    ("kind", "row", "message"),
    [
        (HotpotQA, HOTPOT | {"context": None}, "'context' is missing"),
        (HotpotQA, HOTPOT | {"context": []}, "'context' has to be a list"),
        (HotpotQA, HOTPOT | {"context": [["a"]]}, "'context' has to hold pairs"),
        (HotpotQA, HOTPOT | {"context": [[1, []]]}, "title .* 'context' is no text"),
        (HotpotQA, HOTPOT | {"context": [["a", "b"]]}, "no list of sentences"),
        (HotpotQA, HOTPOT | {"context": {"title": ["a"]}}, "columns .* 'context'"),
        (TwoWiki, HOTPOT | {"supporting_facts": 1}, "'supporting_facts' has to be"),
        (MuSiQue, MUSIQUE | {"paragraphs": "x"}, "'paragraphs' has to be a list"),
        (MuSiQue, MUSIQUE | {"paragraphs": ["x"]}, "'paragraphs' is no object"),
        (MuSiQue, MUSIQUE | {"paragraphs": [{"title": "x"}]}, "'paragraph_text'"),
        (
            MuSiQue,
            MUSIQUE | {"paragraphs": [{"title": "x", "paragraph_text": "y"}]},
            "'is_supporting'",
        ),
    ],
)
def test_bad_rows(
    tmp_path: Path, kind: type[Loaded], row: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidInput, match=f"dev.jsonl, row 1: .*{message}"):
        kind(path=write(tmp_path, row)).every()


def test_the_corpus_is_pooled_and_support_is_counted_by_title(tmp_path: Path) -> None:
    rows = [
        {
            "_id": str(i), "question": f"q{i}?", "answer": "a",
            "supporting_facts": [["Both", 0], [f"Own {i}", 0]],
            "context": [["Both", ["Same text."]], [f"Own {i}", [f"Text {i}."]]],
        }
        for i in range(3)
    ]  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    made, _ = benchmark(f"hotpotqa:path={path},closed_book=true")

    documents = made.documents()

    assert [d.title for d in documents] == ["Both", "Own 0", "Own 1", "Own 2"]
    assert len({d.id for d in documents}) == 4
    problem = next(p for p in made.problems(split="sealed") + made.problems()
                   + made.problems(split="tune") if p.id.endswith("1"))  # fmt: skip
    assert made.support(problem, documents[:1]) == 0.5
    assert made.support(problem, documents) == 1.0
    assert made.support(problem, []) == 0.0
