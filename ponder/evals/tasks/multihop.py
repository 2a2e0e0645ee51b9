"""Questions that need facts of several paragraphs: HotpotQA, 2WikiMultihopQA, MuSiQue.

Graded as published: correct is an exact match after SQuAD's normalisation, the score
is the token F1; of MuSiQue's aliases the best one counts.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from ponder.agents.answers import extract
from ponder.evals.benchmark import UNREADABLE, Grade, Problem, register
from ponder.evals.scoring.mathematics import verdict
from ponder.evals.scoring.text import boxed, exact_match, f1, plain
from ponder.evals.tasks._rows import Loaded, Row
from ponder.passages import Passage

WHOLE = frozenset({"yes", "no", "noanswer"})
"""Answers that are right or wrong as a whole in the published evaluation of HotpotQA,
which 2WikiMultihopQA uses too."""


class Paragraph(NamedTuple):
    """A paragraph that is given with a question."""

    title: str
    text: str
    supporting: bool
    facts: str = ""
    """The sentences that the answer needs, where they are marked."""


class _MultiHop(Loaded):
    """What the three have in common; they differ in the layout of their rows.

    ``data`` of a problem has ``answers`` and, one entry per paragraph, ``titles`` and
    ``passages``; ``supporting_titles`` are those of the paragraphs that are needed.
    """

    id_fields: ClassVar[tuple[str, ...]] = ("_id", "id")
    whole: ClassVar[frozenset[str]] = frozenset()
    """Answers that earn nothing for a part."""

    dataset_split: str = "validation"
    closed_book: bool = False
    """Leave the paragraphs out of the question; ``data`` has them still."""

    @abstractmethod
    def passages(self, row: Row) -> list[Paragraph]:
        """Return the paragraphs of a row."""

    def answers(self, row: Row) -> list[str]:
        """Return all right answers, the main one first."""
        return [row.text("answer")]

    def problem(self, row: Row, id: str) -> Problem:
        """Return the problem of a row."""
        passages, answers = self.passages(row), self.answers(row)
        parts = [] if self.closed_book else [_listed(passages)]
        parts += [f"Question: {row.text('question')}", FORMAT]
        supporting = [p.title for p in passages if p.supporting]
        return Problem(
            id=id,
            question="\n\n".join(parts),
            reference=boxed(answers[0]),
            data={
                "answers": answers,
                "titles": [p.title for p in passages],
                "passages": [p.text for p in passages],
                "supporting_titles": list(dict.fromkeys(supporting)),
            },
            worked=_worked(passages, answers[0]),
        )

    def documents(self) -> list[Passage]:
        """Return the paragraphs of all problems, each once, as one corpus."""
        pooled = (
            (title, text)
            for problem in self.every()
            for title, text in zip(
                problem.data["titles"], problem.data["passages"], strict=True
            )
        )
        return [
            Passage(id=str(i), title=title, text=text, source=title)
            for i, (title, text) in enumerate(dict.fromkeys(pooled))
        ]

    def support(self, problem: Problem, found: Sequence[Passage]) -> float | None:
        """Return the share of the supporting titles that were found."""
        needed = set(problem.data["supporting_titles"])
        if not needed:
            return None
        return len(needed & {passage.title for passage in found}) / len(needed)

    def grade(self, problem: Problem, text: str) -> Grade:
        """Return exact match as ``correct`` and F1 as ``score``."""
        found = extract(text)
        if found is None:
            return UNREADABLE
        answer, references = plain(found), problem.data["answers"]
        score = f1(answer, references, self.whole)
        return verdict(found, exact_match(answer, references), score)


def _worked(passages: Sequence[Paragraph], answer: str) -> str:
    """Return the facts and the answer; nothing where no facts are marked."""
    facts = [f"{p.title}: {p.facts}" for p in passages if p.facts]
    return "\n\n".join([*facts, f"The answer: {boxed(answer)}"]) if facts else ""


def _listed(passages: Sequence[Paragraph]) -> str:
    return "\n\n".join(
        f"[{number}] {passage.title}\n{passage.text}"
        for number, passage in enumerate(passages, 1)
    )


@register
class HotpotQA(_MultiHop):
    """Rows have ``context`` and ``supporting_facts``, as lists or as columns."""

    name: ClassVar[str] = "hotpotqa"
    source: ClassVar[str] = "Yang et al. 2018, https://arxiv.org/abs/1809.09600"
    whole: ClassVar[frozenset[str]] = WHOLE

    dataset: str = "hotpotqa/hotpot_qa"
    config: str | None = "distractor"

    def passages(self, row: Row) -> list[Paragraph]:
        """Return the paragraphs of a row."""
        facts = _pairs(row, "supporting_facts", "title", "sent_id")
        needed: dict[str, list[Any]] = {}
        for title, sentence in facts:
            needed.setdefault(title, []).append(sentence)
        return [
            Paragraph(
                title,
                _joined(row, sentences),
                title in needed,
                _marked(sentences, needed.get(title, ())),
            )
            for title, sentences in _pairs(row, "context", "title", "sentences")
        ]


@register
class TwoWiki(HotpotQA):
    """Rows have the layout of HotpotQA."""

    name: ClassVar[str] = "2wiki"
    source: ClassVar[str] = "Ho et al. 2020, https://arxiv.org/abs/2011.01060"

    dataset: str = "framolfese/2WikiMultihopQA"
    config: str | None = None


@register
class MuSiQue(_MultiHop):
    """Rows have ``paragraphs`` that say whether they are supporting.

    Rows that are marked as not answerable are left out: they have no right answer.
    """

    name: ClassVar[str] = "musique"
    source: ClassVar[str] = "Trivedi et al. 2022, https://arxiv.org/abs/2108.00573"

    dataset: str = "dgslibisey/MuSiQue"

    def rows(self) -> Sequence[Row]:
        """Return the rows that can be answered."""
        return [row for row in super().rows() if row.values.get("answerable", True)]

    def answers(self, row: Row) -> list[str]:
        """Return the answer and its aliases."""
        aliases = row.texts("answer_aliases") if "answer_aliases" in row.values else []
        return [row.text("answer"), *(a for a in aliases if a.strip())]

    def passages(self, row: Row) -> list[Paragraph]:
        """Return the paragraphs of a row."""
        value = row.get("paragraphs")
        if isinstance(value, dict):
            columns = [value.get(name) for name in PARAGRAPH]
            value = [
                dict(zip(PARAGRAPH, cells, strict=True))
                for cells in zip(*_same_length(row, "paragraphs", columns), strict=True)
            ]
        if not isinstance(value, list) or not value:
            raise row.error("the field 'paragraphs' has to be a list of paragraphs.")
        return [_paragraph(row, item) for item in value]


PARAGRAPH = ("title", "paragraph_text", "is_supporting")


def _paragraph(row: Row, item: Any) -> Paragraph:
    if not isinstance(item, dict):
        raise row.error("an entry of the field 'paragraphs' is no object.")
    title, text, supporting = (item.get(name) for name in PARAGRAPH)
    if not (isinstance(title, str) and isinstance(text, str)):
        raise row.error("an entry of 'paragraphs' has no 'title' or 'paragraph_text'.")
    if not isinstance(supporting, bool):
        raise row.error("an entry of 'paragraphs' has no 'is_supporting'.")
    return Paragraph(title, text, supporting)


def _pairs(row: Row, field: str, first: str, second: str) -> list[tuple[str, Any]]:
    """Return pairs, given as a list of pairs, a list of objects or two columns."""
    value = row.get(field)
    if isinstance(value, dict):
        columns = [value.get(first), value.get(second)]
        value = list(zip(*_same_length(row, field, columns), strict=True))
    if not isinstance(value, list) or not value:
        raise row.error(f"the field '{field}' has to be a list that is not empty.")
    value = [[i.get(first), i.get(second)] if isinstance(i, dict) else i for i in value]
    for item in value:
        if not (isinstance(item, list | tuple) and len(item) == 2):
            raise row.error(f"the field '{field}' has to hold pairs.")
        if not isinstance(item[0], str):
            raise row.error(f"a title in the field '{field}' is no text.")
    return [(title, other) for title, other in value]


def _same_length(row: Row, field: str, columns: list[Any]) -> list[list[Any]]:
    if not all(isinstance(c, list) and len(c) == len(columns[0]) for c in columns):
        raise row.error(f"the columns of the field '{field}' do not fit together.")
    return columns


def _joined(row: Row, sentences: Any) -> str:
    if isinstance(sentences, list) and all(isinstance(s, str) for s in sentences):
        return " ".join(s.strip() for s in sentences)
    raise row.error("a paragraph of the field 'context' is no list of sentences.")


def _marked(sentences: Sequence[str], at: Sequence[Any]) -> str:
    """Return the marked sentences; the published rows mark some that are not there."""
    known = [i for i in at if isinstance(i, int) and 0 <= i < len(sentences)]
    return " ".join(sentences[i].strip() for i in known)


FORMAT = "Give the final answer, as short as possible, in \\boxed{...}."
