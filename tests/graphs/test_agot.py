"""Adaptive Graph of Thoughts: its layers, nested graphs, limits and budget."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import networkx as nx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ponder.agents.solver import STEP_BY_STEP
from ponder.agents.thought_planner import Layer, NewThought, SubThought
from ponder.budget import DIMENSIONS, LEAST_OUTPUT, Budget
from ponder.drawing import DRAWINGS
from ponder.errors import InvalidParameter, ModelUnreachable
from ponder.graphs._agot import admitted
from ponder.graphs.agot import AGoT
from ponder.graphs.base import strategy
from ponder.journal import Journal
from ponder.messages import Request
from ponder.models.scripted import Reply, ScriptedModel, When
from ponder.result import Result, StopReason
from ponder.run import areplay, asolve
from ponder.thoughts import Thought, ThoughtGraph

QUESTION = "How long is the wall, and what does it cost?"
FIRST, NEXT = "Plan how to work on a problem", "Plan the next step"
CHECK, ANSWER, WROTE = "has to be broken down", "Answer one question", "Others have"
FINAL = json.dumps({"final": True, "strategy": "Enough is known.", "thoughts": []})
Rules = Sequence[tuple[When, Reply]]


def plan(
    *questions: str, needs: Sequence[Sequence[int]] = (), strategy: str = "Divide."
) -> str:
    """Return the reply of a planner."""
    edges = needs or [()] * len(questions)
    thoughts = [
        {"title": f"About {q}", "question": q, "needs": list(n)}
        for q, n in zip(questions, edges, strict=True)
    ]
    return json.dumps({"final": False, "strategy": strategy, "thoughts": thoughts})


OUTER, INNER = plan("Length?", "Price?"), plan("North?", "South?")


def text(request: Request) -> str:
    return request.messages[-1].content


def asks(request: Request, question: str) -> bool:
    """Whether a role is asked this question itself, not only told of it."""
    said = text(request)
    return any(
        f"{head}\n{question}\n" in said
        for head in ("Problem:", "To be decided:", "Question:")
    )


def model(
    *,
    first: Reply = OUTER,
    inner: Reply = INNER,
    then: Reply = FINAL,
    complex: str = "",
    thought: Reply = "It is 7.",
    final: Reply = "Together: \\boxed{42}",
    before: Rules = (),
    delay: float = 0.0,
) -> ScriptedModel:
    """Return a model with an answer for each role.

    One question may be complex; the rules ``before`` come before the others.
    """

    def check(request: Request) -> str:
        return "Yes" if complex and asks(request, complex) else "No"

    def begin(request: Request) -> bool:
        return FIRST in text(request)

    return ScriptedModel(
        rules=[
            *before,
            (lambda r: begin(r) and asks(r, QUESTION), first),
            (begin, inner),
            (NEXT, then),
            (CHECK, check),
            (ANSWER, thought),
            (lambda request: True, final),
        ],
        delay=delay,
    )


async def run(
    scripted: ScriptedModel,
    budget: Budget | None = None,
    journal: Journal | None = None,
    **parameters: Any,
) -> Result:
    return await asolve(
        QUESTION,
        strategy=AGoT(**parameters),
        model=scripted,
        budget=budget or Budget(),
        journal=journal or Journal(":memory:"),
    )


def asked(scripted: ScriptedModel, part: str) -> list[str]:
    """Return the last messages of the calls that contain a text."""
    return [text(call) for call in scripted.calls if part in text(call)]


def thoughts(result: Result) -> dict[str, Thought]:
    graph = ThoughtGraph.from_json(result.graph)
    return {id: graph.thought(id) for id in graph.graph}


def edges(result: Result) -> set[tuple[str, str]]:
    return set(ThoughtGraph.from_json(result.graph).graph.edges)


# -- layers ----------------------------------------------------------------------------


async def test_a_layer_is_planned_answered_and_concluded() -> None:
    scripted = model()
    result = await run(scripted)
    assert (result.answer, result.stop_reason) == ("42", StopReason.FINISHED)
    # T_0, then C and Eval of both thoughts, T_e, Phi.
    assert len(scripted.calls) == 1 + 2 + 2 + 1 + 1
    assert edges(result) == {
        ("question", "L0/0"),
        ("question", "L0/1"),
        ("L0/0", "conclude"),
        ("L0/1", "conclude"),
        ("conclude", "answer"),
    }
    assert thoughts(result)["L0/1"].data["strategy"] == "Divide."
    assert thoughts(result)["L0/1"].label == "About Price?: It is 7."
    assert set(result.roles) == {
        "planner", "complexity judge", "evaluator", "generator",
    }  # fmt: skip


async def test_a_later_layer_builds_on_the_thoughts_it_names() -> None:
    replies = [plan("Sum?", "Check?", needs=[(1, 2), (2,)])]
    scripted = model(then=lambda request: replies.pop())
    result = await run(scripted)
    assert {edge for edge in edges(result) if edge[1].startswith("L1")} == {
        ("L0/0", "L1/0"),
        ("L0/1", "L1/0"),
        ("L0/1", "L1/1"),
    }
    # l_max is 2, so that nothing more was planned.
    assert not replies
    (planned,) = asked(scripted, NEXT)
    assert "[1] Length?\nAnswer: It is 7." in planned
    (told,) = [t for t in asked(scripted, ANSWER) if "Question:\nSum?" in t]
    assert "[2] Price?\nAnswer: It is 7." in told
    assert "asked because: Divide." in told
    (concluded,) = asked(scripted, WROTE)
    assert all(f"[{n}]" in concluded for n in (1, 2, 3, 4))


@pytest.mark.parametrize(("l_max", "planned"), [(1, 0), (2, 1), (4, 3)])
async def test_there_are_no_more_layers_than_l_max(l_max: int, planned: int) -> None:
    numbers = iter(range(9))
    scripted = model(then=lambda request: plan(f"Number {next(numbers)}?"))
    result = await run(scripted, l_max=l_max)
    assert result.answer == "42"
    assert len(asked(scripted, NEXT)) == planned
    layers = {id.split("/")[0] for id in thoughts(result) if id.startswith("L")}
    assert layers == {f"L{i}" for i in range(l_max)}


async def test_the_thoughts_of_a_layer_are_answered_side_by_side() -> None:
    scripted = model(first=plan("A?", "B?", "C?"))
    running = most = 0
    generate = scripted.generate

    async def counted(request: Request, **options: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        found = await generate(request, **options)
        running -= 1
        return found

    scripted.generate = counted  # type: ignore[method-assign]
    await run(scripted)
    assert most == 3


# -- nested graphs ---------------------------------------------------------------------


async def test_a_complex_thought_becomes_a_graph() -> None:
    scripted = model(complex="Length?", thought="It is 7.")
    result = await run(scripted)
    found = thoughts(result)
    assert result.answer == "42"
    assert found["L0/0"].kind == "graph"
    assert found["L0/1"].kind == "thought"
    assert found["L0/0/L0/1"].label == "About South?: It is 7."
    # Its own final answer is the answer of the thought.
    assert found["L0/0"].data["answer"] == "Together: \\boxed{42}"
    assert {
        ("question", "L0/0"),
        ("L0/0", "L0/0/L0/0"),
        ("L0/0/L0/0", "L0/0/conclude"),
        ("L0/0/conclude", "conclude"),
    } <= edges(result)
    (nested,) = [t for t in asked(scripted, FIRST) if asks_text(t, "Length?")]
    assert f"The problem that it is part of:\n{QUESTION}" in nested


def asks_text(said: str, question: str) -> bool:
    return f"Problem:\n{question}\n" in said


@pytest.mark.parametrize("d_max", [0, 1, 3])
async def test_graphs_are_nested_to_d_max_and_no_deeper(d_max: int) -> None:
    def deeper(request: Request) -> str:
        return plan(f"{text(request).count('part of')} deep?")

    scripted = model(first=deeper, inner=deeper, before=[(CHECK, "Yes")])
    result = await run(scripted, d_max=d_max)
    graphs = [id for id, t in thoughts(result).items() if t.kind == "graph"]
    assert sorted(graphs) == ["/".join(["L0/0"] * n) for n in range(1, d_max + 1)]
    # Where nothing may be nested, nothing is asked.
    assert len(asked(scripted, CHECK)) == d_max
    assert nx.is_directed_acyclic_graph(ThoughtGraph.from_json(result.graph).graph)


@pytest.mark.parametrize("most", [1, 4, 7, 20])
async def test_all_graphs_together_have_no_more_than_max_thoughts(most: int) -> None:
    numbers = iter(range(999))

    def three(request: Request) -> str:
        return plan(*(f"Number {next(numbers)}?" for _ in range(3)))

    always: Rules = [(CHECK, "Yes")]
    scripted = model(first=three, inner=three, then=three, before=always)
    result = await run(scripted, d_max=3, l_max=3, max_thoughts=most)
    made = [id for id in thoughts(result) if id[-1].isdigit()]
    assert 1 <= len(made) <= most
    assert result.answer == "42"
    # Nobody plans what cannot be added.
    assert not [w for w in result.warnings if "where 0 may" in w]


async def test_nested_graphs_are_visible_in_every_drawing() -> None:
    scripted = model(complex="Length?", then=plan("Sum?", needs=[(1, 2)]))
    graph = ThoughtGraph.from_json((await run(scripted)).graph)
    drawn = {name: draw(graph) for name, draw in DRAWINGS.items()}
    lines = drawn["text"].splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("├─ L0/0 (graph): About Length?")
    assert lines[2].startswith("│  ┃ ├─ L0/0: About North?")
    inside = [line for line in lines if "┃" in line]
    assert len(inside) == 5
    assert "Sum?" in lines[lines.index(inside[-1]) + 1]
    assert 'subgraph inside_n1["inside L0/0"]' in drawn["mermaid"]
    assert "subgraph cluster_n1 {" in drawn["dot"]
    assert 'class="node graph on-path frame"' in drawn["svg"]


# -- plans that cannot be used as they are ---------------------------------------------


async def test_edges_to_unknown_and_later_thoughts_are_cut_with_a_warning() -> None:
    scripted = model(then=plan("Sum?", "Check?", needs=[(1, 9), (3, 4)]))
    result = await run(scripted)
    assert result.answer == "42"
    found = {edge for edge in edges(result) if edge[1].startswith("L1")}
    # What rests on nothing begins at the question again.
    assert found == {("L0/0", "L1/0"), ("question", "L1/1")}
    assert [w for w in result.warnings if "[9]" in w and "Sum?" in w]
    assert [w for w in result.warnings if "[3, 4]" in w and "Check?" in w]
    assert nx.is_directed_acyclic_graph(ThoughtGraph.from_json(result.graph).graph)


async def test_a_plan_that_is_too_large_is_cut_with_a_warning() -> None:
    result = await run(model(first=plan(*(f"Q{i}?" for i in range(9)))), n_max=4)
    assert len([id for id in thoughts(result) if id.startswith("L0")]) == 4
    assert [w for w in result.warnings if "9 new thoughts where 4 may" in w]


async def test_a_question_is_not_asked_twice() -> None:
    result = await run(model(then=plan("length? ", "Sum?")))
    assert [id for id in thoughts(result) if id.startswith("L1")] == ["L1/0"]
    assert [w for w in result.warnings if "repeated the thought" in w]


@given(
    known=st.integers(0, 4),
    most=st.integers(0, 5),
    new=st.lists(
        st.tuples(st.sampled_from("abcdef"), st.lists(st.integers(-2, 9), max_size=4)),
        max_size=8,
    ),
)
def test_whatever_is_planned_the_graph_stays_acyclic_and_small(
    known: int, most: int, new: list[tuple[str, list[int]]]
) -> None:
    before = [SubThought(number=i, title="", question=f"k{i}") for i in
              range(1, known + 1)]  # fmt: skip
    layer = Layer(
        strategy="s",
        thoughts=tuple(
            NewThought(title="", question=q, needs=tuple(n)) for q, n in new
        ),
    )
    planned, warnings = admitted(layer, before, most)
    assert len(planned) <= most
    assert [t.number for t in planned] == [known + 1 + i for i in range(len(planned))]
    assert len({t.question for t in planned}) == len(planned)
    assert all(n in range(1, known + 1) for t in planned for n in t.needs)
    kept = len({q for q, _ in new})
    assert len(planned) == min(kept, most)
    whole = len(planned) == len(new) and all(
        set(t.needs) == set(n) for t, (_, n) in zip(planned, new, strict=True)
    )
    assert whole == (not warnings)


async def test_an_unreadable_plan_is_asked_for_again_and_then_done_without() -> None:
    scripted = model(first="I do not know.")
    result = await run(scripted)
    assert len(scripted.calls) == 3
    assert result.answer == "42"
    # The question itself, as it was asked.
    assert text(scripted.calls[-1]) == QUESTION
    (note,) = [s for s in result.substitutes if "plan" in s.missing]
    assert note.where == "L0/plan"


async def test_a_later_plan_that_is_unreadable_ends_the_graph() -> None:
    scripted = model(then="Hm.")
    result = await run(scripted, l_max=4)
    assert len(asked(scripted, WROTE)) == 1
    assert result.answer == "42"
    assert [s for s in result.substitutes if s.where == "L1/plan"]


async def test_an_unreadable_check_is_a_marked_direct_answer() -> None:
    result = await run(model(before=[(CHECK, "Maybe")]))
    assert all(t.kind != "graph" for t in thoughts(result).values())
    assert [s for s in result.substitutes if "complexity" in s.missing]


# -- failures --------------------------------------------------------------------------


@pytest.mark.parametrize("part", [FIRST, NEXT, CHECK, ANSWER, WROTE])
async def test_a_role_that_fails_does_not_fail_the_run(part: str) -> None:
    down: Rules = [(part, ModelUnreachable("The server is down."))]
    result = await run(model(complex="Length?", before=down))
    assert result.answer == "42"
    assert [w for w in result.warnings if "The server is down" in w]


async def test_a_thought_that_fails_leaves_its_siblings_alone() -> None:
    def flaky(request: Request) -> str | Exception:
        if asks(request, "Price?"):
            return ModelUnreachable("The server is down.")
        return "It is 7."

    scripted = model(thought=flaky)
    result = await run(scripted)
    assert thoughts(result)["L0/1"].failed
    (concluded,) = asked(scripted, WROTE)
    assert "[1] Length?" in concluded
    assert "Price?" not in concluded
    (planned,) = asked(scripted, NEXT)
    assert "[2] Price?\nAnswer: (not answered)" in planned


async def test_without_a_final_answer_what_is_known_is_given_back() -> None:
    result = await run(model(final=ModelUnreachable("The server is down.")))
    assert (result.answer, result.text) == (None, "It is 7.")
    assert [w for w in result.warnings if "final answer failed" in w]


async def test_a_mistake_in_the_program_is_not_taken_for_a_failing_model() -> None:
    with pytest.raises(ValueError, match="a bug"):
        await run(model(thought=ValueError("a bug")))


async def test_time_that_is_over_ends_all_graphs() -> None:
    scripted = model(delay=0.3)
    result = await run(scripted, Budget(seconds=0.5))
    assert result.stop_reason is StopReason.SECONDS
    assert result.usage.seconds < 3


# -- the budget ------------------------------------------------------------------------


def busy() -> ScriptedModel:
    """Return a model that finds every thought complex and never comes to an end."""
    numbers = iter(range(99_999))

    def three(request: Request) -> str:
        return plan(*(f"Number {next(numbers)} of many?" for _ in range(3)))

    return ScriptedModel(
        rules=[
            (FIRST, three),
            (NEXT, three),
            (CHECK, "Yes"),
            (ANSWER, "It is seven. " * 30),
            (lambda request: True, "Some words, and then: \\boxed{42}"),
        ]
    )


DIRECT = len(QUESTION.split()) + len(STEP_BY_STEP.split())
"""Input tokens of the smallest call that answers the question."""


def keeps_to(
    result: Result, d_max: int, l_max: int, n_max: int, max_thoughts: int
) -> None:
    """Assert that no graph is deeper, longer, wider or larger than allowed."""
    made = [id for id in thoughts(result) if id[-1].isdigit()]
    assert len(made) <= max_thoughts
    for id in made:
        layers, numbers = id.split("/")[::2], id.split("/")[1::2]
        assert len(layers) <= d_max + 1
        assert all(int(layer.removeprefix("L")) < l_max for layer in layers)
        assert all(int(number) < n_max for number in numbers)


BUDGETS = st.one_of(
    st.builds(Budget, tokens=st.integers(0, 12_000)),
    st.builds(Budget, tokens=st.integers(0, 900)),
    st.builds(Budget, calls=st.integers(0, 60)),
    st.builds(Budget, output_tokens=st.integers(0, 3000)),
    st.builds(Budget, input_tokens=st.integers(0, 6000)),
    st.builds(
        Budget,
        tokens=st.integers(0, 5000),
        calls=st.integers(0, 30),
        wrap_up=st.sampled_from([None, 0.0, 0.5]),
    ),
)


@settings(max_examples=60, deadline=None)
@given(
    budget=BUDGETS,
    d_max=st.integers(0, 3),
    l_max=st.integers(1, 3),
)
@example(budget=Budget(calls=1), d_max=1, l_max=2)
@example(budget=Budget(calls=2), d_max=1, l_max=2)
@example(budget=Budget(tokens=120, wrap_up=0.0), d_max=3, l_max=2)
async def test_recursion_never_starves_the_final_answer(
    budget: Budget, d_max: int, l_max: int
) -> None:
    scripted = busy()
    result = await run(scripted, budget, d_max=d_max, l_max=l_max)
    used = result.usage.model_dump() | {"tokens": result.usage.total_tokens}
    for dimension in DIMENSIONS:
        limit = getattr(budget, dimension)
        assert limit is None or (used[dimension] or 0) <= limit
    keeps_to(result, d_max, l_max, AGoT().n_max, AGoT().max_thoughts)
    affordable = (
        (budget.calls is None or budget.calls >= 1)
        and (budget.tokens is None or budget.tokens >= DIRECT + LEAST_OUTPUT)
        and (budget.input_tokens is None or budget.input_tokens >= DIRECT)
        and (budget.output_tokens is None or budget.output_tokens >= LEAST_OUTPUT)
    )
    assert (result.answer == "42") == affordable


@pytest.mark.parametrize("tokens", [4000, 8000, 20_000])
async def test_a_nested_graph_leaves_their_part_to_siblings_and_later_layers(
    tokens: int,
) -> None:
    scripted = busy()
    result = await run(scripted, Budget(tokens=tokens), d_max=3, l_max=2)
    found = thoughts(result)
    outer = [id for id in found if id.count("/") == 1 and id[-1].isdigit()]
    assert outer == ["L0/0", "L0/1", "L0/2", "L1/0", "L1/1", "L1/2"]
    assert [id for id in outer if found[id].failed] == []
    assert [id for id in found if id.count("/") > 1] or tokens == 4000
    # The final answer has all of them to read.
    wrote = asked(scripted, WROTE)[-1]
    assert all(f"[{n}]" in wrote for n in range(1, 7))


@pytest.mark.parametrize("tokens", [300, 900, 2500, 8000])
async def test_a_replay_within_a_budget_is_identical(tokens: int) -> None:
    journal = Journal(":memory:")
    result = await run(busy(), Budget(tokens=tokens), journal, d_max=2)
    assert await areplay(result.run_id, journal=journal) == result


async def test_more_budget_is_more_thought() -> None:
    budgets = [Budget(tokens=t) for t in (200, 2000, 8000, 30_000)]
    made = [len(thoughts(await run(busy(), b))) for b in budgets]
    assert made == sorted(made)
    assert made[0] < made[1] < made[-1]


async def test_a_thought_too_many_for_the_budget_is_left_out_and_told_of() -> None:
    # T_0, two of three thoughts, and Phi.
    result = await run(busy(), Budget(calls=4))
    assert result.answer == "42"
    assert result.usage.calls == 4
    assert result.stop_reason is StopReason.CALLS
    assert [w for w in result.warnings if "not pay for all thoughts" in w]
    assert [id for id, t in thoughts(result).items() if t.failed] == ["L0/2"]


async def test_a_final_answer_that_cannot_be_read_is_forced_out() -> None:
    final = iter(["All in all it depends.", "42"])
    result = await run(model(final=lambda request: next(final)))
    assert result.answer == "42"


def test_limits_that_make_no_graph_are_refused() -> None:
    for name in ("l_max", "n_max", "max_thoughts"):
        with pytest.raises(InvalidParameter):
            strategy("agot", {name: 0})
