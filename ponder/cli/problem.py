"""``ponder ask --task``: a problem of a benchmark for a question, and its validator."""

import json
from dataclasses import dataclass
from typing import Literal

from ponder.cli.answer import put_json, show_result
from ponder.cli.console import say
from ponder.cli.errors import ExitCode
from ponder.cli.verifiers import JUDGE, load_verifier, verifier_again
from ponder.context import Verifier
from ponder.drawing import text_tree
from ponder.errors import InvalidInput, VerifierError
from ponder.evals.benchmark import UNREADABLE, Benchmark, Grade, Problem, problems_of
from ponder.evals.verifiers import named_verifier
from ponder.result import Result
from ponder.thoughts import ThoughtGraph

BY_NAME: tuple[Literal["exact", "random"], ...] = ("exact", "random")
"""Verifiers of ``ponder eval`` that only a problem has."""
OF = " of "
"""Between the name of such a verifier and its problem."""
WIDTH = 80
"""Columns of the thoughts."""


@dataclass(frozen=True)
class Posed:
    """A problem that is asked."""

    benchmark: Benchmark
    problem: Problem
    spec: str
    """As it was asked for."""

    def verifier(self, spec: str | None) -> Verifier | None:
        """Return the verifier that is meant; ``exact`` is the validator itself.

        Args:
            spec: ``exact``, ``random``, or as ``load_verifier`` reads it.

        Raises:
            UnknownName: There is no such verifier or function.
            InvalidInput: Its code cannot be loaded.
        """
        if spec in BY_NAME:
            found = named_verifier(spec, self.benchmark, self.problem)
            assert found is not None
            # Where it can be found again, so that ``ponder resume`` can.
            found.name = f"{spec}{OF}{self.spec}"
            return found
        return load_verifier(spec, known=(JUDGE, *BY_NAME))

    def grade(self, result: Result) -> Grade:
        """Return what the validator says of a result."""
        if not result.text.strip():
            return UNREADABLE
        try:
            return self.benchmark.grade(self.problem, result.text)
        except VerifierError as error:
            return Grade(correct=None, reasons=(str(error),))


def pose(spec: str) -> Posed:
    """Return the first problem of a benchmark.

    Args:
        spec: Such as ``calendar:seed=7,people=3``.

    Raises:
        UnknownName: There is no such benchmark.
        InvalidInput: A setting cannot be used, or a file of problems not be read.
    """
    made, problems = problems_of(spec, limit=1)
    if not problems:
        raise InvalidInput(f"Benchmark '{spec}' has no problem to ask.")
    return Posed(made, problems[0], spec)


def verifier_of_run(spec: str | None, recorded: str | None) -> Verifier | None:
    """Return the verifier for a run that goes on, also that of a problem.

    Args:
        spec: As typed with this command.
        recorded: The name of the run's verifier.

    Raises:
        InvalidInput: It cannot be loaded again.
    """
    name, of, problem = (recorded or "").partition(OF)
    if spec is None and of and name in BY_NAME:
        return pose(problem).verifier(name)
    return verifier_again(spec, recorded)


def show_solved(
    posed: Posed, result: Result, *, as_json: bool, text_shown: bool = False
) -> ExitCode:
    """Show a result, what was thought on the way, and the validator's verdict.

    Args:
        posed: What was asked.
        result: What came of it.
        as_json: One JSON object: the result, and ``problem`` and ``grade``.
        text_shown: The reasoning was on the screen already.
    """
    grade = posed.grade(result)
    if as_json:
        data = result.model_dump(mode="json")
        data["problem"] = posed.problem.model_dump(mode="json")
        data["grade"] = grade.model_dump(mode="json")
        put_json(json.dumps(data, ensure_ascii=False))
        return ExitCode.NO_ANSWER if result.answer is None else ExitCode.ANSWER
    say(f"\n{text_tree(ThoughtGraph.from_json(result.graph), WIDTH)}\n")
    code = show_result(result, as_json=False, text_shown=text_shown)
    word = {True: "right", False: "wrong", None: "unreadable"}[grade.correct]
    reasons = f": {' '.join(grade.reasons)}" if grade.reasons else ""
    say(f"Validator: {word}{reasons}", "green" if grade.correct else "yellow")
    return code
