"""The example of an own graph of thoughts works, and is as short as promised."""

import ast
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from ponder.messages import Request
from ponder.models.scripted import ScriptedModel
from ponder.result import Candidate, Task

FILE = Path(__file__).parents[1] / "examples" / "own_graph.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("own_graph", FILE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sorts(request: Request) -> str:
    """Sort what the lists of the prompt hold."""
    lists = re.findall(r"\[(\d[\d, ]+)\]", request.messages[-1].content)
    return str(sorted(int(n) for found in lists for n in found.split(",")))


def test_it_prints_the_answer_and_the_tree(
    example: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    model = ScriptedModel(rules=[("", sorts)])
    example.main(model)
    answer, *tree = capsys.readouterr().out.splitlines()
    assert answer == "[0, 1, 1, 2, 2, 2, 3, 4, 5, 7, 8, 9] 1.0 finished"
    assert len(model.calls) == 3 + 3 + 3
    assert any("split/part/0/1" in line for line in tree)
    assert any("aggregate/thought/2" in line for line in tree)


def test_its_score_counts_errors(example: ModuleType) -> None:
    task = Task(question="Sort in ascending order: [3, 1, 1, 2]")

    def score(answer: str | None) -> float:
        return float(example.in_order(task, Candidate(id="c", text="", answer=answer)))

    assert score("[1, 1, 2, 3]") == 1.0
    assert score("[1, 2, 1, 3]") == 1 - 1 / 4  # one neighbour
    assert score("[1, 2, 3]") == 1 - 1 / 4  # a 1 was lost
    assert score("[3, 2, 1, 0]") == 0.0  # three neighbours, a 1 lost, a 0 made up
    assert score(None) == 0.0


def test_it_is_shorter_than_thirty_lines() -> None:
    tree = ast.parse(FILE.read_text())
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
    graph = [functions[name] for name in ("halves", "sort_a_part", "main")]
    assert sum((f.end_lineno or 0) - f.lineno + 1 for f in graph) < 30
