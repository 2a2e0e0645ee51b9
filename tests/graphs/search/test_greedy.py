from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from ponder.graphs.search.greedy import GreedyPolicy, feedback
from ponder.graphs.search.policy import PATIENCE
from ponder.graphs.search.simulate import World, noise, search
from ponder.graphs.search.tree import Expansion, Node, Step

Children = dict[object, Sequence[Step]]

GOOD, SO_SO, BAD = 0.9, 0.5, 0.1


def scripted(children: Children, order: list[object]) -> World:
    """A world of named steps, handed out one after the other; then samples fail."""

    def expand(expansion: Expansion) -> list[Step]:
        name = expansion.node.step.value
        order.append(f"{name}!" if expansion.whole else name)
        if expansion.whole:
            return [Step(f"{name}!", 0.05, final=True)]
        first = len(expansion.node.children)
        return list(children.get(name, ()))[first : first + 1]

    return expand


def run(policy: GreedyPolicy, children: Children) -> tuple[list[object], Node]:
    order: list[object] = []
    tree = search(policy, scripted(children, order))
    best = policy.best(tree)
    assert best is not None
    return order, best


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (1.0, "positive"),
        (0.8, "positive"),
        (0.79, "neutral"),
        (0.2, "neutral"),
        (0.19, "negative"),
        (0.0, "negative"),
        (None, "neutral"),
    ],
)
def test_thresholds_give_the_classes(score: float | None, expected: str) -> None:
    assert feedback(score, positive=0.8, negative=0.2) == expected


def test_the_first_positive_step_is_gone_on_from_at_once() -> None:
    order, best = run(
        GreedyPolicy(k=4),
        {
            None: [Step("n", BAD), Step("o", SO_SO), Step("p", GOOD), Step("q", 1.0)],
            "p": [Step("pa", GOOD, final=True)],
        },
    )

    assert order == [None, None, None, "p"] and best.step.value == "pa"


def test_without_a_positive_step_the_best_neutral_one_is_gone_on_from() -> None:
    order, best = run(
        GreedyPolicy(k=3),
        {
            None: [Step("n", BAD), Step("o", 0.4), Step("p", 0.6)],
            "p": [Step("pa", GOOD, final=True)],
        },
    )

    assert order == [None, None, None, "p"] and best.step.value == "pa"


def test_all_negative_backtracks_and_the_state_before_is_resampled() -> None:
    order, best = run(
        GreedyPolicy(k=2),
        {
            None: [Step("p", GOOD), Step("q", GOOD)],
            "p": [Step("pa", BAD), Step("pb", BAD)],
            "q": [Step("qa", GOOD, final=True)],
        },
    )

    assert order == [None, "p", "p", None, "q"] and best.step.value == "qa"


def test_backtracking_goes_to_the_neutral_step_that_waited() -> None:
    order, best = run(
        GreedyPolicy(k=2),
        {
            None: [Step("o", SO_SO), Step("p", GOOD)],
            "o": [Step("oa", GOOD, final=True)],
        },
    )

    assert order == [None, None, "p", "p", "o"] and best.step.value == "oa"


def test_a_neutral_solution_is_accepted_only_where_none_is_positive() -> None:
    waiting = [Step("x", SO_SO, final=True), Step("y", GOOD, final=True)]
    assert run(GreedyPolicy(k=3), {None: waiting})[1].step.value == "y"
    order, best = run(GreedyPolicy(k=3), {None: waiting[:1]})
    assert order == [None] * 3 and best.step.value == "x"


def test_unscored_steps_wait_behind_neutral_ones() -> None:
    order, best = run(
        GreedyPolicy(k=2),
        {
            None: [Step("u"), Step("o", 0.4)],
            "u": [Step("ua", GOOD, final=True)],
        },
    )

    assert order == [None, None, "o", "o", "u"] and best.step.value == "ua"


def test_where_all_is_rejected_one_solution_is_written_from_the_root() -> None:
    steps = [Step("n", BAD), Step("x", 0.2, final=True)]
    order, best = run(GreedyPolicy(k=2), {None: steps})
    assert order == [None, None, "None!"]
    assert best.step.value == "x", "nothing was accepted, so the best that there is"

    order, _ = run(GreedyPolicy(k=2, close=False), {None: steps})
    assert order == [None, None]


def test_at_the_cap_the_current_path_is_written_to_its_end() -> None:
    endless: Children = {
        None: [Step("a", GOOD)],
        "a": [Step("b", GOOD)],
        "b": [Step("c", GOOD)],
    }
    order, best = run(GreedyPolicy(iterations=2), endless)

    assert order == [None, "a", "b!"] and best.step.value == "b!"


def test_an_unfinished_path_of_full_length_is_a_dead_end() -> None:
    world: Children = {None: [Step("a", GOOD)], "a": [Step("b", GOOD)]}

    order, _ = run(GreedyPolicy(k=1, depth=2), world)

    assert order == [None, "a", "None!"]


def test_never_more_than_k_steps_from_a_state_nor_than_the_cap() -> None:
    policy = GreedyPolicy(k=3, iterations=40, close=False, positive=1, negative=0.9)

    tree = search(policy, noise(1, depth=8))

    assert tree.asked <= 40
    assert max(len(node.children) for node in tree.nodes.values()) == 3


def test_impossible_parameters_are_refused() -> None:
    with pytest.raises(ValidationError, match="negative <= positive"):
        GreedyPolicy(positive=0.3, negative=0.4)
    for name in ("k", "iterations", "depth"):
        with pytest.raises(ValidationError, match="greater than or equal to 1"):
            GreedyPolicy.model_validate({name: 0})


def test_the_closing_sample_is_asked_for_again() -> None:
    outcomes = iter([[Step(score=0.0)], [Step(score=0.0)], [], [Step(final=True)]])
    tree = search(GreedyPolicy(k=2), lambda expansion: next(outcomes, []))

    assert len(tree.finals) == 1
    failing = search(GreedyPolicy(k=2), lambda expansion: [])
    assert failing.asked == 2 + PATIENCE
