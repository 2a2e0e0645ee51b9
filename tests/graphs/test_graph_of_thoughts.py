"""The default graph of operations: what comes of what, and what is chosen."""

from pathlib import Path

import pytest

from ponder.agents.synthesizer import SYNTHESIS_PROMPT
from ponder.errors import InvalidParameter
from ponder.graphs.base import strategy
from ponder.graphs.graph_of_thoughts import GraphOfThoughts
from ponder.graphs.operations import volume
from ponder.journal import Journal
from ponder.messages import Request
from ponder.models.scripted import ScriptedModel
from ponder.result import Candidate, Task
from ponder.run import asolve
from ponder.thoughts import ThoughtGraph


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


def near(task: Task, candidate: Candidate) -> float:
    """Score an answer by how near it is to 42."""
    return max(0.0, 1 - abs(int(candidate.answer or 0) - 42) / 42)


def model(aggregate: int, improve: int) -> ScriptedModel:
    drafts = iter((10, 40, 30, 43, 20))

    def draft(request: Request) -> str:
        return f"\\boxed{{{next(drafts)}}}"

    return ScriptedModel(
        rules=[
            (SYNTHESIS_PROMPT[:30], f"\\boxed{{{aggregate}}}"),
            ("Improve a solution", f"\\boxed{{{improve}}}"),
            ("", draft),
        ]
    )


@pytest.mark.parametrize(
    ("aggregate", "improve", "answer"),
    [(44, 42, "42"), (42, 7, "42"), (7, 8, "43")],
    ids=["improved", "aggregated", "generated"],
)
async def test_the_best_of_all_is_the_answer(
    journal: Journal, aggregate: int, improve: int, answer: str
) -> None:
    used = model(aggregate, improve)
    result = await asolve(
        "How many?",
        strategy="graph_of_thoughts",
        model=used,
        verifier=near,
        journal=journal,
    )
    assert result.answer == answer
    assert result.confidence == near(
        Task(question="x"), Candidate(id="x", text="", answer=answer)
    )
    assert len(used.calls) == 5 + 1 + 1
    graph = ThoughtGraph.from_json(result.graph)
    # The best three of 10, 40, 30, 43, 20, the best first, go into the aggregation.
    assert set(graph.graph.predecessors("aggregate/thought/0")) == {
        f"generate/thought/{i}" for i in (1, 2, 3)
    }
    assert list(graph.graph.predecessors("improve/thought/0")) == [
        "aggregate/thought/0"
    ]
    assert volume(graph, "improve/thought/0") == 1 + 3 + 1
    prompt = next(r for r in used.calls if SYNTHESIS_PROMPT[:30] in str(r.messages))
    assert "Solution 1:\n\\boxed{43}" in prompt.messages[-1].content


@pytest.mark.parametrize(
    ("parameters", "calls", "steps"),
    [
        ({"aggregations": 0, "improvements": 0, "k": 2}, 2, 4),
        ({"aggregations": 0, "n": 2}, 5 + 2, 6),
        ({"aggregations": 2, "improvements": 2}, 5 + 2 + 2 + 2, 8),
    ],
    ids=str,
)
async def test_its_parameters_shape_the_graph(
    journal: Journal, parameters: dict[str, int], calls: int, steps: int
) -> None:
    chosen = strategy("graph_of_thoughts", parameters)
    used = model(41, 42)
    await asolve(
        "How many?", strategy=chosen, model=used, verifier=near, journal=journal
    )
    assert len(used.calls) == calls
    assert chosen.max_steps() == steps + 3


def test_the_name_is_known() -> None:
    assert isinstance(strategy('graph_of_thoughts{"k": 4}'), GraphOfThoughts)
    with pytest.raises(InvalidParameter):
        strategy("graph_of_thoughts", {"k": 0})
