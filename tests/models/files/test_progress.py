from ponder.models.files.progress import Meter, Progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def meter(total: int = 1000) -> tuple[Meter, list[Progress], Clock]:
    seen: list[Progress] = []
    clock = Clock()
    return Meter("toy", total, seen.append, clock=clock), seen, clock


def test_speed_is_of_the_last_seconds_only() -> None:
    gauge, seen, clock = meter()
    gauge.begin("fetching", source="here", done=100)
    for _ in range(20):
        clock.now += 1
        gauge.at(100)
    assert seen[-1].bytes_per_second == 0
    for step in range(1, 21):
        clock.now += 1
        gauge.at(100 + 10 * step)
    assert seen[-1].bytes_per_second == 10
    assert seen[-1].source == "here"


def test_bytes_from_before_do_not_count_as_speed() -> None:
    gauge, seen, clock = meter()
    gauge.begin("fetching", done=900)
    clock.now = 1
    gauge.at(950)
    assert seen[-1].bytes_per_second == 50


def test_reports_are_not_too_many_and_the_last_one_comes() -> None:
    gauge, seen, clock = meter()
    gauge.begin("fetching")
    for done in range(1, 1001):
        clock.now += 0.001
        gauge.at(done)
    assert 8 <= len(seen) <= 13
    assert seen[-1].bytes_done == 1000


def test_never_more_than_the_whole() -> None:
    gauge, seen, _ = meter()
    gauge.at(2000)
    assert seen[-1].bytes_done == 1000
