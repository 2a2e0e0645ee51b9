from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.graphs.search.simulate import World, noise, search
from ponder.graphs.search.tot_dfs import DepthFirstPolicy, candidates
from ponder.graphs.search.tree import Expansion, Node, Step, Tree

Children = dict[object, Sequence[Step]]


def scripted(children: Children, order: list[object]) -> World:
    """A world of named steps that notes the order of visits."""

    def expand(expansion: Expansion) -> list[Step]:
        node = expansion.node
        if order[-1:] != [node.step.value]:
            order.append(node.step.value)
        if expansion.whole:
            return [Step(f"{node.step.value}!", 0.5, final=True)]
        first = len(node.children)
        return list(children.get(node.step.value, ()))[first : first + expansion.n]

    return expand


WORLD: Children = {
    None: [Step("a", 0.3), Step("b", 0.9), Step("c", 0.0)],
    "b": [Step("ba", 0.1), Step("bb", 0.0), Step("bc", 0.6)],
    "a": [Step("aa", 0.2), Step("ab", 0.0), Step("ac", 0.0)],
    "bc": [Step("bca", 0.0)],
}


def recursive(
    children: Children,
    state: object,
    step: int,
    t: int,
    v_th: float,
) -> list[object]:
    """Algorithm 2 as the paper writes it: the states in the order of visits."""
    if step > t:
        return [state]
    seen = [state]
    for thought in sorted(children.get(state, ()), key=lambda s: -(s.score or 0)):
        if (thought.score or 0) > v_th:
            seen += recursive(children, thought.value, step + 1, t, v_th)
    return seen


@pytest.mark.parametrize("t", [1, 2, 3])
@pytest.mark.parametrize("v_th", [0.0, 0.25])
@pytest.mark.parametrize("batch", [None, 1, 2])
def test_states_are_visited_in_the_order_of_the_recursion(
    t: int, v_th: float, batch: int | None
) -> None:
    order: list[object] = []
    policy = DepthFirstPolicy(k=3, t=t, v_th=v_th)

    search(policy, scripted(WORLD, order), k=batch)

    assert order == recursive(WORLD, None, 1, t, v_th)


def test_a_state_at_the_step_limit_is_written_to_its_end_and_not_expanded() -> None:
    order: list[object] = []
    policy = DepthFirstPolicy(k=3, t=2)

    tree = search(policy, scripted(WORLD, order))

    assert [n.step.value for n in tree.finals] == ["bc!", "ba!", "aa!"]
    best = policy.best(tree)
    assert best is not None and best.step.value == "bc!"


@given(st.lists(st.none() | st.floats(0, 1)), st.floats(0, 0.99))
def test_pruned_are_exactly_those_at_or_below_the_threshold(
    scores: list[float | None], v_th: float
) -> None:
    thoughts = [Node(i, None, Step(score=s)) for i, s in enumerate(scores)]

    kept = [s.score for s in candidates(thoughts, v_th)]

    known = sorted((s for s in scores if s is not None and s > v_th), reverse=True)
    assert kept == [*known, *(s for s in scores if s is None)]


def test_at_a_tie_the_first_thought_is_visited_first() -> None:
    thoughts = [Node(i, None, Step(score=0.5)) for i in (3, 1, 2)]

    assert [s.id for s in candidates(thoughts, 0.0)] == [1, 2, 3]


def test_the_limits_of_visits_and_of_outputs_end_the_search() -> None:
    def visits(tree: Tree[object]) -> int:
        return sum(bool(node.children) for node in tree.nodes.values())

    world = noise(1, depth=6)
    assert visits(search(DepthFirstPolicy(k=3, steps=7), world)) == 7
    order: list[object] = []
    policy = DepthFirstPolicy(k=3, t=2, outputs=1)
    assert len(search(policy, scripted(WORLD, order)).finals) == 1


def test_a_thought_that_is_a_solution_is_recorded_and_not_visited() -> None:
    order: list[object] = []
    world: Children = {None: [Step("x", 0.9, final=True), Step("y", 0.2)]}

    tree = search(DepthFirstPolicy(k=2), scripted(world, order))

    assert order == [None, "y"] and [n.step.value for n in tree.finals] == ["x"]


def test_where_a_visit_fails_the_search_backtracks() -> None:
    order: list[object] = []
    world: Children = {None: [Step("a", 0.3), Step("b", 0.9)]}

    search(DepthFirstPolicy(k=2), scripted(world, order))

    assert order == [None, "b", "a"]


@pytest.mark.parametrize(
    "wrong", [{"k": 0}, {"t": 0}, {"v_th": 1.0}, {"v_th": -0.1}, {"steps": 0}], ids=str
)
def test_impossible_parameters_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        DepthFirstPolicy.model_validate(wrong)
