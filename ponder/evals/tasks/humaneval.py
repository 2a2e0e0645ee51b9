"""HumanEval: complete a Python function so that its hidden tests pass."""

import ast
import re
import textwrap
from typing import ClassVar

from pydantic import Field

from ponder.evals.benchmark import UNREADABLE, Grade, Problem, register
from ponder.evals.scoring import program
from ponder.evals.tasks._rows import Loaded, Row

_FENCED = re.compile(
    r"^(?P<indent>[ \t]*)(?P<fence>```+|~~~+)[ \t]*(?P<language>[^\s`]*)[^\n`]*\n"
    r"(?P<code>.*?)(?P<end>^[ \t]*(?P=fence)[ \t]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)


@register
class HumanEval(Loaded):
    """Python functions.

    Rows have ``task_id``, ``prompt``, ``entry_point``, ``canonical_solution`` and
    ``test``, which defines ``check(candidate)``. Replies are run as
    ``ponder.evals.scoring.program`` describes: no sandbox against hostile code.
    """

    name: ClassVar[str] = "humaneval"
    source: ClassVar[str] = "Chen et al. 2021, https://arxiv.org/abs/2107.03374"
    id_fields: ClassVar[tuple[str, ...]] = ("task_id", "id")

    dataset: str = "openai/openai_humaneval"
    seconds: float = Field(default=10.0, gt=0, le=600)
    """Wall time of a program with its tests."""
    memory: int = Field(default=1024, ge=64)
    """Mebibytes of memory of a program."""

    def problem(self, row: Row, id: str) -> Problem:
        """Return the problem of a row."""
        prompt, function = row.raw("prompt"), row.text("entry_point")
        starts = [match.start() for match in _definition(function).finditer(prompt)]
        if not starts:
            raise row.error(
                f"the entry point '{function}' is no function of the field 'prompt'."
            )
        tests = f"{row.raw('test')}\n\ncheck({function})\n"
        if not _is_python(tests):
            raise row.error("the field 'test' is no Python.")
        solution = f"{prompt}{row.raw('canonical_solution')}"
        return Problem(
            id=id,
            question=f"{FORMAT}\n\n```python\n{prompt.rstrip()}\n```",
            reference=f"```python\n{solution.rstrip()}\n```",
            # Imports and helpers before the function, which a reply may leave out.
            data={
                "setup": prompt[: starts[-1]],
                "function": function,
                "tests": tests,
            },
        )

    def grade(self, problem: Problem, text: str) -> Grade:
        """Run the tests on the last code block that defines the function."""
        code = read_code(text, problem.data["function"])
        if code is None:
            return UNREADABLE
        outcome = program.run(
            code,
            problem.data["tests"],
            setup=problem.data["setup"],
            limits=program.Limits(seconds=self.seconds, memory=self.memory << 20),
        )
        reasons = () if outcome.passed else (f"{outcome.reason}: {outcome.detail}",)
        return Grade(correct=outcome.passed, answer=code, reasons=reasons)


def read_code(text: str, function: str) -> str | None:
    """Return the program of a reply.

    Args:
        text: The reply.
        function: Name of the function that it has to define.

    Returns:
        The last fenced block that defines the function, or the whole text if it is
        Python that does. ``None`` if there is neither; a block that is not closed
        counts if it is Python, else it was cut off.
    """
    wanted = _definition(function)
    for match in reversed(list(_FENCED.finditer(text))):
        code = match["code"]
        if match["indent"]:  # A block in a list.
            code = textwrap.dedent(code)
        if match["language"].lower() not in LANGUAGES or not wanted.search(code):
            continue
        return code if match["end"] or _is_python(code) else None
    return text if wanted.search(text) and _is_python(text) else None


def _definition(function: str) -> re.Pattern[str]:
    return re.compile(rf"^(?:async )?def {re.escape(function)}\s*\(", re.MULTILINE)


def _is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


LANGUAGES = frozenset({"", "python", "py", "python3"})

FORMAT = (
    "Complete the Python function below. Answer with one fenced python block that "
    "holds the whole function and the imports that it needs."
)
