from ponder.models.llama.drafts import DEPTH, Drafter


def test_a_repeated_phrase_is_guessed_as_it_went_on_before() -> None:
    drafter = Drafter()
    text = [5, 6, 7, 8, 9, 10, 11]
    drafter.learn(text, 0, len(text))
    draft = drafter.guess([1, 2, 6, 7], most=10)

    assert draft is not None
    assert draft.tokens == [8, 9, 10, 11]
    assert draft.order == 2
    assert len(draft.tokens) <= DEPTH


def test_the_longest_match_wins_and_the_latest_of_equal_ones() -> None:
    drafter = Drafter()
    for text in ([1, 2, 3, 4], [9, 2, 3, 5], [0, 2, 3, 6]):
        drafter.learn(text, 0, len(text))
    longest = drafter.guess([9, 2, 3], most=1)
    latest = drafter.guess([7, 2, 3], most=1)

    assert longest is not None and (longest.tokens, longest.order) == ([5], 3)
    assert latest is not None and (latest.tokens, latest.order) == ([6], 2)


def test_nothing_is_guessed_of_what_was_never_seen_or_is_of_no_use() -> None:
    drafter = Drafter()
    drafter.learn([1, 2, 3], 0, 3)

    assert drafter.guess([4, 5], most=3) is None
    assert drafter.guess([1, 2], most=0) is None


def test_the_chance_follows_what_came_true() -> None:
    drafter = Drafter()
    start = drafter.chance(3)
    for _ in range(200):
        drafter.note(3, tried=2, right=2)
    high = drafter.chance(3)
    for _ in range(200):
        drafter.note(3, tried=2, right=0)
    low = drafter.chance(3)

    assert low < start < high
    assert high > 0.95 and low < 0.05
    for _ in range(1000):
        drafter.rest()
    assert drafter.chance(3) > low
