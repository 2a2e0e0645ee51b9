from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ponder.graphs.search.beam import BeamPolicy, top
from ponder.graphs.search.simulate import World, noise, search
from ponder.graphs.search.tree import Expansion, Node, Step


def scripted(children: dict[object, Sequence[Step]]) -> World:
    def expand(expansion: Expansion) -> list[Step]:
        first = len(expansion.node.children)
        steps = children.get(expansion.node.step.value, ())
        return list(steps)[first : first + expansion.n]

    return expand


@given(st.lists(st.none() | st.floats(0, 1), max_size=20), st.integers(0, 8))
def test_top_is_the_head_of_a_stable_sort(
    values: list[float | None], width: int
) -> None:
    nodes = [Node(i, None, Step(score=v)) for i, v in enumerate(values)]
    ordered = sorted(range(len(values)), key=lambda i: values[i] or 0.0, reverse=True)
    known = [i for i in ordered if values[i] is not None]
    unknown = [i for i, v in enumerate(values) if v is None]

    assert [n.id for n in top(nodes, width)] == [*known, *unknown][:width]


def test_the_first_level_is_b1_copies_of_the_root_and_later_ones_the_beam() -> None:
    """C = [s_0] * B_1, and B_2 samples of each s_t in C."""
    policy = BeamPolicy(b1=2, b2=3)
    tree = policy.start()
    (first,) = policy.ask(tree)
    assert (first.node, first.n) == (tree.root, 6)
    scores = [0.1, 0.9, None, 0.3, 0.8, 0.8]
    policy.tell(tree, first, [Step(score=s) for s in scores])

    second = policy.ask(tree)

    assert [(e.node.id, e.n) for e in second] == [(2, 3), (5, 3)]


def test_a_finished_solution_leaves_with_its_place() -> None:
    world = scripted(
        {
            None: [Step("a", 0.6), Step("x", 0.7, final=True), Step("b", 0.5)],
            "a": [Step("aa", 0.2), Step("y", 0.4, final=True)],
        }
    )
    policy = BeamPolicy(b1=2, b2=2)

    tree = search(policy, world)

    assert tree.asked == 4 + 2, "one of the two places left the beam with x"
    assert [n.step.value for n, _ in policy.leaves(tree)] == ["x", "y"]
    best = policy.best(tree)
    assert best is not None and best.step.value == "x"


def test_a_finished_solution_that_was_never_in_the_beam_is_no_answer() -> None:
    world = scripted(
        {
            None: [Step("x", 0.6, final=True), Step("a", 0.7)],
            "a": [Step("y", 0.2, final=True), Step("z", 0.1, final=True)],
        }
    )
    policy = BeamPolicy(b1=1, b2=2)

    tree = search(policy, world)

    assert [n.step.value for n, _ in policy.leaves(tree)] == ["y"]
    best = policy.best(tree)
    assert best is not None and best.step.value == "y"


def test_before_the_beam_has_a_solution_any_finished_one_will_do() -> None:
    policy = BeamPolicy(b1=1, b2=2)
    tree = policy.start()
    (first,) = policy.ask(tree)
    policy.tell(tree, first, [Step("x", 0.6, final=True), Step("a", 0.7)])

    best = policy.best(tree)

    assert best is not None and best.step.value == "x"


@pytest.mark.parametrize("b1", [1, 2, 5])
def test_b1_solutions_result_and_t_levels_are_the_most(b1: int) -> None:
    policy = BeamPolicy(b1=b1, b2=4)

    assert len(policy.leaves(search(policy, noise(3, depth=4)))) == b1
    cut = search(BeamPolicy(b1=b1, b2=4, t=3), lambda e: [Step() for _ in e.ids])
    assert max(node.depth for node in cut.nodes.values()) == 3


def test_without_values_the_first_steps_are_gone_on_from() -> None:
    policy = BeamPolicy(b1=2, b2=2)
    tree = policy.start()
    (first,) = policy.ask(tree)
    policy.tell(tree, first, [Step() for _ in first.ids])

    assert [e.node.id for e in policy.ask(tree)] == [1, 2]


@pytest.mark.parametrize("name", ["b1", "b2", "t"])
def test_impossible_parameters_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        BeamPolicy(**{name: 0})
