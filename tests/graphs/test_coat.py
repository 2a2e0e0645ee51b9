"""MCTS with an associative memory: what is recalled, seen, valued and cited."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.agents.reader import SOURCES_PROMPT
from ponder.budget import Budget
from ponder.errors import ModelUnreachable
from ponder.graphs._memory import Memory, memories, reminded, valued
from ponder.graphs.coat import CoAT
from ponder.graphs.search.mcts import Visits, value
from ponder.graphs.search.tree import Node, Step
from ponder.journal import Journal
from ponder.messages import Completion, Request
from ponder.models.scripted import Reply, ScriptedModel, When
from ponder.passages import Passage
from ponder.result import Candidate, Result, StopReason, Task
from ponder.retrieval.scripted import ScriptedRetriever
from ponder.run import areplay, asolve
from ponder.thoughts import ThoughtGraph
from tests.support.places import token

QUESTION = "Who founded the club that Ada Moe coaches?"
DOCS = {
    "Ada Moe": ["Ada Moe coaches Roma.", "Ada Moe was born in Oslo."],
    "Roma founder": ["Italo Foschi founded Roma.", "Roma play in yellow."],
}
STEP = "Ada Moe coaches Roma [1]."
LAST = "Italo Foschi founded it [3]. \\boxed{Italo Foschi}"
SMALL = {"k": 1, "max_rounds": 6}


def right(task: Task, candidate: Candidate) -> bool:
    return candidate.answer == "Italo Foschi"


def writes(prefix: str) -> When:
    """Fit a request for the step after ``prefix``."""

    def fits(request: Request) -> bool:
        solving = request.messages[0].content.startswith("Solve the problem")
        return solving and request.prefill.strip() == prefix

    return fits


def rules(**changes: Reply) -> list[tuple[When, Reply]]:
    said: dict[str, Reply] = {
        "query": "Roma founder",
        "fact": "Clubs have founders.",
        "first": STEP,
        "last": LAST,
        "helps": token(Yes=math.log(0.6), No=math.log(0.4)),
        "good": token(Yes=math.log(0.8), No=math.log(0.2)),
    }
    said |= changes
    return [
        (writes(""), said["first"]),
        (writes(STEP), said["last"]),
        ("Write a search query", said["query"]),
        ("Which one fact, rule", said["fact"]),
        ("Is what came to mind correct", said["helps"]),
        ("Is everything in it correct", said["good"]),
        ("Does the passage say", token(Yes=-0.1, No=-3.0)),
    ]


async def run(
    replies: list[tuple[When, Reply]] | None = None, **options: Any
) -> tuple[Result, ScriptedModel]:
    model = ScriptedModel(rules=replies or rules())
    parameters = SMALL | options.pop("parameters", {})
    given: dict[str, Any] = {"verifier": right, "retriever": ScriptedRetriever(DOCS)}
    strategy = CoAT(**parameters)
    result = await asolve(QUESTION, strategy=strategy, model=model, **(given | options))
    return result, model


def prompts(model: ScriptedModel, part: str) -> list[str]:
    texts = [request.messages[-1].content for request in model.calls]
    return [text for text in texts if part in text]


async def test_steps_see_what_came_to_mind_and_cite_it() -> None:
    docs = ScriptedRetriever(DOCS)
    result, model = await run(retriever=docs)

    assert result.answer == "Italo Foschi"
    assert result.stop_reason is StopReason.VERIFIED
    assert docs.queries == [QUESTION, "Roma founder"]
    first, second = prompts(model, "Put the number of a passage")
    assert "[2] Ada Moe was born" in first and "[3]" not in first
    assert "[2] Ada Moe was born" in second and "[3] Italo Foschi" in second
    assert [(c.passage.text, c.supported) for c in result.citations] == [
        ("Ada Moe coaches Roma.", True),
        ("Italo Foschi founded Roma.", True),
    ]


async def test_a_solution_that_cites_nothing_is_asked_for_its_sources(
    tmp_path: Path,
) -> None:
    journal, step = Journal(tmp_path / "journal.sqlite"), "Ada Moe coaches Roma."
    bare: list[tuple[When, Reply]] = [
        (writes(""), step),
        (writes(step), "Italo Foschi founded it. \\boxed{Italo Foschi}"),
        (SOURCES_PROMPT, "1 and 3"),
    ]
    result, model = await run(bare + rules(), journal=journal)

    (sources,) = (c for c in model.calls if c.messages[-1].content == SOURCES_PROMPT)
    # Under the numbers that the steps saw.
    assert "[1] Ada Moe coaches" in sources.messages[0].content
    assert "[3] Italo Foschi" in sources.messages[0].content
    assert [(c.passage.text, c.supported) for c in result.citations] == [
        ("Ada Moe coaches Roma.", True),
        ("Italo Foschi founded Roma.", True),
    ]
    assert [s.missing for s in result.substitutes] == ["citations in the answer"]
    assert await areplay(result.run_id, journal=journal) == result


async def test_a_node_is_valued_by_step_and_memory() -> None:
    result, _ = await run(parameters={"beta": 0.25})

    node = ThoughtGraph.from_json(result.graph).thought("node/1")
    assert node.score == pytest.approx((0.8 + 0.25 * 0.6) / (1 + 0.25))


async def test_the_graph_shows_what_came_to_mind_where() -> None:
    result, _ = await run()
    graph = ThoughtGraph.from_json(result.graph)

    assert graph.thought("node/1/memory/search").kind == "evidence"
    edges = set(graph.graph.edges)
    assert {
        ("question", "memory/search"),
        ("memory/search", "node/1"),
        ("node/1", "node/1/memory/search"),
        ("node/1", "node/2"),
    } <= edges


async def test_without_documents_the_model_associates_itself() -> None:
    result, model = await run(retriever=None)

    assert result.answer == "Italo Foschi"
    assert result.citations == ()
    last = prompts(model, QUESTION)[-1]
    assert last.count("- Clubs have founders.") == 2  # of the root, and of the step
    graph = ThoughtGraph.from_json(result.graph)
    assert graph.thought("node/1/memory").label == "Clubs have founders."
    assert set(result.roles) >= {"associator", "verifier", "generator"}


async def test_where_documents_hold_nothing_the_model_associates_and_says_so() -> None:
    docs = ScriptedRetriever({"Ada Moe": DOCS["Ada Moe"]})
    result, _ = await run(retriever=docs)

    assert any("associated by itself" in w for w in result.warnings)
    graph = ThoughtGraph.from_json(result.graph)
    assert graph.thought("node/1/memory/self").label == "Clubs have founders."


async def test_where_nothing_is_missing_the_step_alone_counts() -> None:
    result, model = await run(rules(query="nothing"))

    assert not prompts(model, "Is what came to mind correct")
    node = ThoughtGraph.from_json(result.graph).thought("node/1")
    assert node.score == pytest.approx(0.8)


async def test_an_association_that_fails_leaves_the_step() -> None:
    result, _ = await run(rules(query=ModelUnreachable("It is down.")))

    assert result.answer == "Italo Foschi"
    assert "It is down." in result.warnings


async def test_the_last_step_is_written_to_the_end() -> None:
    whole = f"{STEP}\n\n{LAST}"
    result, model = await run(rules(first=whole), parameters={"max_depth": 1})

    (call,) = (r for r in model.calls if r.messages[0].role == "system")
    assert call.stop == ()
    assert result.answer == "Italo Foschi"


async def test_solutions_below_the_threshold_do_not_end_the_search() -> None:
    result, _ = await run(verifier=None, parameters={"stop_at": 0.9})

    assert result.stop_reason is StopReason.FINISHED
    assert result.answer == "Italo Foschi"


async def test_with_one_call_it_still_answers(tmp_path: Path) -> None:
    replies: list[tuple[When, Reply]] = [(lambda r: True, LAST)]
    journal = Journal(tmp_path / "journal.sqlite")
    result, model = await run(replies, budget=Budget(calls=1), journal=journal)

    assert result.answer == "Italo Foschi"
    assert len(model.calls) == 1
    assert await areplay(result.run_id, journal=journal) == result


async def test_a_search_that_writes_nothing_answers_from_its_first_memory() -> None:
    def broken(request: Request) -> Completion | Exception:
        if request.messages[0].content.startswith("Solve"):
            return ModelUnreachable("It is down.")
        return Completion(text="Italo Foschi did so [1]. \\boxed{Italo Foschi}")

    with pytest.raises(ModelUnreachable):
        await run([(lambda r: True, broken)])
    # Room for the reader's short prompt at the end, not for a step before it.
    result, model = await run(
        rules() + [(lambda r: True, broken)],
        budget=Budget(output_tokens=40, wrap_up=0.9),
    )
    assert result.answer == "Italo Foschi"
    assert [c.id for c in result.candidates] == ["answer"]


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 9))
def test_the_value_is_the_papers_over_one_plus_beta(
    generation: float, association: float, beta: float
) -> None:
    scaled = valued(generation, association, beta)
    assert scaled is not None and 0 <= scaled <= 1 + 1e-12
    assert scaled * (1 + beta) == pytest.approx(generation + beta * association)
    assert valued(generation, None, beta) == generation
    assert valued(None, association, beta) is None


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=5),
    st.floats(0, 3),
    st.floats(0.01, 3),
)
def test_uct_chooses_as_on_the_papers_scale(
    scores: list[tuple[float, float]], beta: float, w: float
) -> None:
    """V/N + w sqrt(ln N'/N) with V = F_g + beta F_a, and ours with c = w/(1 + beta)."""
    parent = sum(range(1, len(scores) + 1))
    papers, ours = [], []
    for n, (generation, association) in enumerate(scores, 1):
        v = n * (generation + beta * association)
        papers.append(v / n + w * math.sqrt(math.log(parent) / n))
        q = n * (valued(generation, association, beta) or 0.0)
        ours.append(value(Visits(n=n, q=q), parent, w / (1 + beta))[1])
    assert [u * (1 + beta) for u in ours] == pytest.approx(papers)


def test_passages_keep_their_numbers_as_a_path_grows() -> None:
    a, b, c = (Passage(id=x, text=f"text {x}") for x in "abc")
    path = [Memory(passages=(a, b)), Memory(text="a thought"), Memory(passages=(c, a))]
    short, long = (reminded(Task(question="Q"), path[:n]).question for n in (1, 3))
    assert "[2] text b" in short and "[2] text b" in long
    assert "[3] text c" in long and "- a thought" in long
    assert long.startswith("Q\n\n")
    assert reminded(Task(question="Q"), []).question == "Q"
    assert memories(None) == memories(Node(0, None, Step())) == []


def test_its_nodes_are_steps_and_nothing_else() -> None:
    with pytest.raises(ValidationError, match="answers"):
        CoAT.model_validate({"answers": True})
