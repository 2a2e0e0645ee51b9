"""Procedures to follow exactly, with the truth at every step.

Nothing has to be known or searched: the question holds the whole procedure, so that
only its execution over many steps is measured (ProcBench, Fujisawa et al. 2024,
https://arxiv.org/abs/2410.03117). Templates and wording are our own.
"""

import random
import re
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, field_validator

from ponder.agents.answers import extract
from ponder.evals.benchmark import UNREADABLE, Generated, Grade, Problem, register
from ponder.evals.tasks._numeric import grade_number
from ponder.evals.tasks._procedures import TEMPLATES, Procedure, State

MOST_STEPS = 25


def prefix_match_length(predicted: Sequence[object], true: Sequence[object]) -> int:
    """Return how many states are right before the first wrong one.

    PML = max {k : p_i = t_i for all i <= k}.
    """
    length = 0
    for guess, truth in zip(predicted, true, strict=False):
        if guess != truth:
            break
        length += 1
    return length


def prefix_accuracy(predicted: Sequence[object], true: Sequence[object]) -> float:
    """Return the share of the states that are right before the first wrong one.

    PA = PML / max(|p|, |t|), so that superfluous states count as wrong; 1 if both are
    empty.
    """
    longest = max(len(predicted), len(true))
    return prefix_match_length(predicted, true) / longest if longest else 1.0


def sequential_match(predicted: Sequence[object], true: Sequence[object]) -> bool:
    """Tell whether all states are right: SM = 1 if |p| = |t| = PML, otherwise 0."""
    return len(predicted) == len(true) == prefix_match_length(predicted, true)


def final_match(predicted: Sequence[object], true: Sequence[object]) -> bool:
    """Tell whether the last state is right: FM = 1 if p_|p| = t_|t|, otherwise 0."""
    return bool(predicted) and bool(true) and predicted[-1] == true[-1]


@register
class ProcedureFollowing(Generated):
    """Follow a procedure step by step; ``score`` is the prefix accuracy."""

    name: ClassVar[str] = "procedure"
    source: ClassVar[str] = "Own, after ProcBench, https://arxiv.org/abs/2410.03117"

    steps: int = Field(default=6, ge=2, le=MOST_STEPS)
    template: str = "any"
    """Which procedure: ``any``, or the name of a template."""

    @field_validator("template")
    @classmethod
    def _known(cls, name: str) -> str:
        if name != "any" and name not in TEMPLATES:
            raise ValueError(f"no such template; choose any, {', '.join(TEMPLATES)}")
        return name

    def make(self, rng: random.Random, id: str) -> Problem:
        """Return a procedure with its state after every step."""
        name = self.template
        if name == "any":
            name = rng.choice(list(TEMPLATES))
        procedure = TEMPLATES[name](rng, self.steps)
        lines = [f"Step {k}: {show(s)}" for k, s in enumerate(procedure.states, 1)]
        data = {
            "template": name,
            "start": procedure.start,
            "states": procedure.states,
        }
        return Problem(
            id=id,
            question=question(procedure),
            reference="\n".join([*lines, _boxed(procedure.states[-1])]),
            data=data,
        )

    def grade(self, problem: Problem, text: str) -> Grade:
        """Grade the final state; partial credit is given up to the first wrong step."""
        true: list[State] = problem.data["states"]
        final = _grade_final(text, true[-1])
        if final.correct is None:
            return final
        predicted = read_steps(text, like=true[-1])
        return Grade(
            correct=final.correct,
            answer=final.answer,
            reasons=_first_error(predicted, true) + final.reasons,
            score=prefix_accuracy(predicted, true) if predicted else None,
        )


FORM = """\
Carry out all {count} steps. After every step write the whole state on a line of its \
own, in this form:
{lines}
{states} Then write the last state once more, inside \\boxed{{}}."""

FORMS = {
    int: "Write a state as a number.",
    str: "Write a state as capital letters without spaces.",
    list: "Write a state as a list in square brackets, such as [4, 17, 2].",
}
"""How to write the states of each type."""


def question(procedure: Procedure) -> str:
    """Return the text of a procedure, with the form of the answer."""
    count = len(procedure.states)
    steps = [f"{k}. {step}" for k, step in enumerate(procedure.steps, 1)]
    lines = ["Step 1: <state>", "Step 2: <state>"]
    lines += ["..."] * (count > 3) + [f"Step {count}: <state>"] * (count > 2)
    form = FORM.format(
        count=count, lines="\n".join(lines), states=FORMS[type(procedure.start)]
    )
    steps = ["The steps:", *steps] if steps else []
    parts = [procedure.rule, f"State at the start: {show(procedure.start)}", *steps]
    return "\n".join([*parts, "", form])


def show(state: State) -> str:
    """Return a state as it is to be written."""
    return str(state)


def _boxed(state: State) -> str:
    return rf"\boxed{{{show(state)}}}"


_STEP = re.compile(
    r"^[\s>*_#-]*step\s*(\d{1,3})\s*[*_]*\s*[:.)–-]\s*[*_]*[ \t]*(\S[^\n]*)$",
    re.IGNORECASE | re.MULTILINE,
)
_BOX = re.compile(r"\\f?boxed\s*\{([^{}]*)\}")
_COMMENT = re.compile(r"(?<=\S)\s+\([^()]*\)\.?$")
_ARROWS = re.compile(r"->|=>|→|⇒|\\to\b|\\rightarrow\b|=|:")


def read_steps(text: str, like: State) -> list[State | None]:
    """Read the states of a reply.

    Args:
        text: The whole reply.
        like: A state of the type that is expected.

    Returns:
        The states up to the last step that is there; ``None`` for those that are
        missing or cannot be read. If a step is there twice, the last readable one
        counts.
    """
    found: dict[int, State] = {}
    for number, line in _STEP.findall(text):
        state = read_state(line, like)
        if state is not None and 1 <= int(number) <= 2 * MOST_STEPS:
            found[int(number)] = state
    return [found.get(k) for k in range(1, max(found, default=0) + 1)]


def read_state(text: str, like: State) -> State | None:
    """Read a state that stands alone, or after the last arrow or equals sign.

    Args:
        text: One line, or the content of a box.
        like: A state of the type that is expected.

    Returns:
        The state, ``None`` if anything else is there.
    """
    text = _COMMENT.sub("", _BOX.sub(r"\1", text.strip().replace("\u2212", "-")))
    text = _ARROWS.split(text)[-1].strip(" \t.;*_`$'\"")
    if isinstance(like, list):
        return _list(text)
    if isinstance(like, int):
        return int(text) if re.fullmatch(r"[-+]?\d{1,9}", text) else None
    if re.fullmatch(r"[A-Za-z]+|[A-Za-z](?:[\s,-]+[A-Za-z])+", text):
        return re.sub(r"[\s,-]", "", text).upper()
    return None


def _list(text: str) -> list[int] | None:
    number = r"\s*[-+]?\d{1,9}\s*"
    bare = rf"{number}(?:,{number})+"
    inner = rf"(?:{bare}|{number}|\s*)"
    if not re.fullmatch(rf"\[{inner}\]|\({inner}\)|{bare}", text):
        return None
    return [int(number) for number in re.findall(r"[-+]?\d+", text)]


def _grade_final(text: str, truth: State) -> Grade:
    if isinstance(truth, int):
        return grade_number(text, truth)
    answer = extract(text)
    if answer is None:
        return UNREADABLE
    state = read_state(answer, truth)
    if state is None:
        kind = "list of numbers" if isinstance(truth, list) else "row of letters"
        reason = f"The answer '{answer}' is no {kind}."
        return Grade(correct=None, answer=answer, reasons=(reason,))
    if state == truth:
        return Grade(correct=True, answer=answer)
    return Grade(correct=False, answer=answer, reasons=("The last state is wrong.",))


def _first_error(
    predicted: Sequence[State | None], true: Sequence[State]
) -> tuple[str, ...]:
    """Say where it went wrong first, but not what would be right."""
    if not predicted:
        return ("No step is written in the form that was asked for.",)
    if sequential_match(predicted, true):
        return ()
    first = prefix_match_length(predicted, true)
    if first == len(true):
        return (f"There are {len(predicted)} steps instead of {len(true)}.",)
    if first == len(predicted) or predicted[first] is None:
        return (f"Step {first + 1} is missing or cannot be read.",)
    return (f"Step {first + 1} is wrong: {predicted[first]}.",)
