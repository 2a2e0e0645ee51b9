import itertools
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.graphs.search.simulate import World, search
from ponder.graphs.search.tot_bfs import BreadthFirstPolicy, breadth
from ponder.graphs.search.tree import Expansion, Node, Step


def scripted(children: dict[object, Sequence[Step]]) -> World:
    """A world of named steps; whoever has none there fails, and outputs score 0.5."""

    def expand(expansion: Expansion) -> list[Step]:
        node = expansion.node
        if expansion.whole:
            return [Step(f"{node.step.value}!", 0.5, final=True)]
        first = len(node.children)
        return list(children.get(node.step.value, ()))[first : first + expansion.n]

    return expand


def nodes(scores: Sequence[float | None]) -> list[Node]:
    return [Node(i, None, Step(score=s)) for i, s in enumerate(scores)]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7), st.integers(1, 4))
def test_breadth_has_the_largest_sum_of_all_subsets(
    scores: list[float], b: int
) -> None:
    """S_t = argmax over S of size b of the sum of V_t(s)."""
    subsets = itertools.combinations(scores, min(b, len(scores)))
    expected = max(math.fsum(subset) for subset in subsets)

    kept = breadth(nodes(scores), b)

    assert math.fsum(node.score or 0 for node in kept) == expected
    assert len(kept) == min(b, len(scores))


def test_the_same_thought_takes_one_place() -> None:
    world = scripted(
        {
            None: [
                Step("a", 0.9, text="a"),
                Step("a", 0.9, text="a"),
                Step("b", 0.8, text="b"),
            ]
        }
    )
    tree = BreadthFirstPolicy(b=2, k=3, t=2).start()
    policy = BreadthFirstPolicy(b=2, k=3, t=2)
    (first,) = policy.ask(tree)
    policy.tell(tree, first, world(first))

    assert [wish.node.step.value for wish in policy.ask(tree)] == ["a", "b"]


def test_ties_go_to_the_first_and_unknown_values_last() -> None:
    assert [n.id for n in breadth(nodes([0.5, 0.7, 0.5, 0.5]), 3)] == [1, 0, 2]
    assert [n.id for n in breadth(nodes([None, 0.0, None]), 2)] == [1, 0]
    assert [n.id for n in breadth(nodes([None, None, None]), 2)] == [0, 1]


def test_each_level_expands_the_best_of_the_one_before_and_the_best_is_finished() -> (
    None
):
    world = scripted(
        {
            None: [Step("a", 0.2), Step("b", 0.9), Step("c", 0.8)],
            "b": [Step("ba", 0.1), Step("bb", 0.6), Step("bc", 0.2)],
            "c": [Step("ca", 0.7), Step("cb", 0.3), Step("cc", 0.1)],
        }
    )
    policy = BreadthFirstPolicy(b=2, k=3, t=2)

    tree = search(policy, world)

    expanded = {n.step.value for n in tree.nodes.values() if n.children}
    assert expanded == {None, "b", "c", "ca"}
    assert tree.asked == 3 + 2 * 3 + 1
    best = policy.best(tree)
    assert best is not None and best.step.value == "ca!" and best.final


def test_a_finished_solution_competes_on_and_is_the_output_if_it_is_best() -> None:
    world = scripted(
        {
            None: [Step("done", 0.8, final=True), Step("b", 0.7)],
            "b": [Step("ba", 0.8), Step("bb", 0.6)],
        }
    )
    policy = BreadthFirstPolicy(b=2, k=2, t=2)

    tree = search(policy, world)

    assert tree.asked == 4, "at a tie nothing has to be written"
    best = policy.best(tree)
    assert best is not None and best.step.value == "done"


def test_a_finished_solution_that_falls_behind_is_not_the_output() -> None:
    world = scripted(
        {
            None: [Step("done", 0.7, final=True), Step("b", 0.7)],
            "b": [Step("ba", 0.9), Step("bb", 0.8)],
        }
    )
    policy = BreadthFirstPolicy(b=2, k=2, t=2)

    tree = search(policy, world)

    best = policy.best(tree)
    assert best is not None and best.step.value == "ba!", "worse, but the algorithm's"


def test_it_ends_early_where_all_that_is_kept_is_finished() -> None:
    steps = [Step("x", 0.9, final=True), Step("y", 0.1)]
    tree = search(BreadthFirstPolicy(b=1, k=2), scripted({None: steps}))

    assert tree.asked == 2


def test_a_search_cut_short_gives_the_best_finished_solution() -> None:
    policy = BreadthFirstPolicy(k=3)
    tree = policy.start()
    (expansion,) = policy.ask(tree)
    steps = [Step("a", 0.9), Step("x", 0.3, final=True), Step("y", 0.4, final=True)]
    policy.tell(tree, expansion, steps)

    best = policy.best(tree)

    assert best is not None and best.step.value == "y"


def test_an_output_without_a_value_gives_way_to_a_solution_that_has_one() -> None:
    def world(expansion: Expansion) -> list[Step]:
        if expansion.whole:
            return [Step("output", final=True)]
        return [Step("x", 0.1, final=True), Step("a", 0.9)]

    policy = BreadthFirstPolicy(b=1, k=2, t=1)
    best = policy.best(search(policy, world))

    assert best is not None and best.step.value == "x"


def test_without_any_value_it_goes_on_to_an_output() -> None:
    def world(expansion: Expansion) -> list[Step]:
        return [Step(final=expansion.whole) for _ in expansion.ids]

    policy = BreadthFirstPolicy(b=2, k=2, t=3)
    tree = search(policy, world)

    assert tree.asked == 2 + 4 + 4 + 1
    best = policy.best(tree)
    assert best is not None and best.final and best.depth == 4


@pytest.mark.parametrize("name", ["b", "k", "t"])
def test_impossible_parameters_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        BreadthFirstPolicy(**{name: 0})
