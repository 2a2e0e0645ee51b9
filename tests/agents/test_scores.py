import pytest

from ponder.agents._scores import normalised, scored


@pytest.mark.parametrize(
    ("score", "expected"), [(-100, 0.0), (0, 0.5), (90, 0.95), (95, 0.975), (100, 1.0)]
)
def test_scores_are_normalised(score: float, expected: float) -> None:
    assert normalised(score) == pytest.approx(expected)


@pytest.mark.parametrize("dash", ["\u2212", "\u2013", "\u2014 ", "-"])
def test_a_minus_is_a_minus_however_it_is_written(dash: str) -> None:
    assert scored(f'{{"feedback": "wrong", "score": {dash}95}}') == ("wrong", -95.0)
    found = scored(f"Score: {dash}95")
    assert found is not None and found[1] == -95.0


@pytest.mark.parametrize("text", ["Score: 9/10", "a score of 9 out of 10"])
def test_a_score_on_another_scale_is_unreadable(text: str) -> None:
    assert scored(text) is None
    assert scored("Score: 95/100") == ("Score: 95/100", 95.0)


def test_a_number_in_quotes_is_a_number() -> None:
    assert scored('{"feedback": "", "score": "-20"}') == ("", -20.0)
    assert scored('{"feedback": "", "score": "good"}') is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"feedback": "good", "score": 100}', ("good", 100.0)),
        ('So:\n{"score": -40, "feedback": " bad "} Done.', ("bad", -40.0)),
        ("Day 2 is missing.\n**Score:** -50", (..., -50.0)),
        ("I give a score of 85/100", (..., 85.0)),
        ("Score: 20. No: Score = 95.", (..., 95.0)),
        ("Score (-100 to 100): 85", None),
        ("score: 95%", None),
        ('{"feedback": "good", "score": 101}', None),
        ('{"feedback": "good", "score": true}', None),
        ('{"feedback": "good", "score": "high"}', None),
        ('{"feedback": "good", "score": NaN}', None),
        ('{"feedback": "cut off', None),
        ("A fine plan.", None),
        ("I cannot give this a score of 95, because day 2 is missing.", None),
        ("A score of 95 or more needs a second day.", None),
        ("My score is 95 only if day 2 is added.", None),
        ("The final score is 40.", (..., 40.0)),
        ('{"feedback": "He said "no".", "score": 40}', (..., 40.0)),
        ('{"feedback": "Team A has a score of 21, but', None),
        ('{"feedback": "a", "score": 100}\n{"feedback": "b", "score": -100}', None),
        ('{"feedback": "a", "score": 5}\n{"feedback": "b", "score": 5}', ("b", 5.0)),
        ("", None),
    ],
)
def test_reads_scores_and_never_guesses(
    text: str, expected: tuple[object, float] | None
) -> None:
    found = scored(text)
    if expected is None:
        assert found is None
        return
    feedback, score = expected
    assert found == (text.strip() if feedback is ... else feedback, score)


@pytest.mark.parametrize(
    "text",
    [
        "Score: +85",
        "Score: 85\n\nOnly the lunch is late.",
        "Score: 85\n- 2 constraints hold\nTo improve, add a day.",
        "Score: `85`",
        "Overall Score: **85**",
        "### Score\n\n**85**",
        "| Score | 85 |",
        "The final score is **85**.",
        "The plan's score is: 85",
        "I would give this plan a score of **85**.",
        "Score: 85 (required score: 95)",
        "Threshold score = 95. Score: 85. The passing score: 95.",
        '{"Feedback": "ok", "Score": 85}',
        '{"feedback": "ok", "final_score": "+85/100"}',
        '{"feedback": "ok", "score": +85,}',
        '```json\n{"feedback": "ok", "score": 85\n```',
        "{'feedback': 'ok', 'score': 85}",
        '{"feedback": "ok", score: 85}',
        '{"feedback": "ok", "score": 85 // good\n}',
        '{"feedback": "It prints {1}."}\nScore: 85',
        '<think>{"feedback": "ok", "score": 100}</think>{"feedback": "", "score": 85}',
    ],
)
def test_a_score_is_read_however_a_small_model_writes_it(text: str) -> None:
    found = scored(text)
    assert found is not None and found[1] == 85


@pytest.mark.parametrize(
    "text",
    [
        "The score of 95 cannot be given because day 2 is missing.",
        "Score: 95 is required.",
        "Score: 95 only if day 2 is added.",
        "Minimum score: 95",
        "Scores 3 of 5 points",
        "The score 3 constraints ask for",
        "Team A has a score of 21.",
    ],
)
def test_what_is_said_of_a_score_is_none(text: str) -> None:
    assert scored(text) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"feedback": "All constraints hold.", "score": 9',
        '{"feedback": "A score of 95 or more would need a second day',
        '{"constraints": [{"of": "1", "score": 100}, {"of": "2", "score": 100}',
        "Score: 9",
    ],
)
def test_of_a_reply_that_was_cut_off_only_whole_json_counts(text: str) -> None:
    assert scored(text, cut=True) is None
    assert scored('{"feedback": "a", "score": 9} And so', cut=True) == ("a", 9.0)
