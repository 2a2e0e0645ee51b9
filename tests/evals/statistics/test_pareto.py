from hypothesis import given
from hypothesis import strategies as st

from ponder.evals.statistics.pareto import Point, pareto_front

coordinate = st.integers(0, 6).map(float)
clouds = st.lists(st.tuples(coordinate, coordinate), max_size=12)


def beats(a: Point, b: Point) -> bool:
    return a[0] <= b[0] and a[1] >= b[1] and a != b


def test_by_hand() -> None:
    points = [(500.0, 0.6), (100.0, 0.5), (500.0, 0.7), (900.0, 0.7), (200.0, 0.4)]
    assert pareto_front(points) == [1, 2]


def test_points_that_coincide_stay_together() -> None:
    assert pareto_front([(2.0, 0.5), (1.0, 0.3), (2.0, 0.5)]) == [1, 0, 2]


@given(clouds)
def test_holds_just_the_points_that_none_beats(points: list[Point]) -> None:
    unbeaten = {
        i for i, p in enumerate(points) if not any(beats(other, p) for other in points)
    }
    front = pareto_front(points)
    assert set(front) == unbeaten
    assert len(front) == len(unbeaten)


@given(clouds)
def test_rises(points: list[Point]) -> None:
    front = [points[i] for i in pareto_front(points)]
    assert front == sorted(front)
