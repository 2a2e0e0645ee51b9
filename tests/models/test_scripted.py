import asyncio
import time
from typing import Any

import pytest

from ponder.errors import ContextOverflow, ScriptError, UnsupportedCapability
from ponder.messages import Completion, Request, TokenLogprob, Usage, user
from ponder.models.base import Capabilities
from ponder.models.scripted import ScriptedModel


def ask(text: str = "How many?", /, **settings: Any) -> Request:
    return Request.model_validate({"messages": (user(text),), **settings})


def spelled(*tokens: str) -> Completion:
    logprobs = tuple(
        TokenLogprob(token=t, logprob=-0.5, top={t: -0.5, "other": -1.5})
        for t in tokens
    )
    return Completion(text="".join(tokens), logprobs=logprobs)


async def test_replies_come_in_order_and_calls_are_recorded() -> None:
    with ScriptedModel(["one", Completion(text="two")]) as model:
        first = await model.generate(ask("a"))
        second = await model.generate(ask("b"))
    assert [first[0].text, second[0].text] == ["one", "two"]
    assert [c.messages[0].content for c in model.calls] == ["a", "b"]


async def test_rules_come_before_replies_and_may_be_reused() -> None:
    model = ScriptedModel(
        ["fallback"],
        rules=[
            ("verify", "Yes"),
            (lambda r: r.seed == 7, lambda r: f"seed {r.seed}"),
        ],
    )
    asked = [ask("verify this"), ask("verify that"), ask("x", seed=7), ask("x")]
    texts = [(await model.generate(request))[0].text for request in asked]
    assert texts == ["Yes", "Yes", "seed 7", "fallback"]
    model.assert_consumed()


async def test_a_rule_looks_at_the_last_message_only() -> None:
    model = ScriptedModel(["next"], rules=[("verify", "Yes")])
    request = Request(messages=(user("verify"), user("now something else")))
    assert (await model.generate(request))[0].text == "next"


async def test_each_of_n_completions_takes_one_reply() -> None:
    model = ScriptedModel(["one", "two two", "three"])
    got = await model.generate(ask("How many clips?", n=3))
    assert [c.text for c in got] == ["one", "two two", "three"]
    assert [c.usage.input_tokens for c in got] == [3, 0, 0]
    assert sum((c.usage for c in got), Usage()).calls == 1
    assert [c.usage.output_tokens for c in got] == [1, 2, 1]


@pytest.mark.parametrize("reply", [ValueError("boom"), lambda _: ValueError("boom")])
async def test_an_exception_is_raised(reply: ValueError) -> None:
    with pytest.raises(ValueError, match="boom"):
        await ScriptedModel([reply]).generate(ask())


async def test_an_unexpected_call_names_itself() -> None:
    model = ScriptedModel(["only"], name="double")
    await model.generate(ask())
    with pytest.raises(ScriptError, match=r"'double'.* after 1 of 1 .*'surprise'"):
        await model.generate(ask("surprise"))
    assert len(model.calls) == 2


async def test_unconsumed_replies_are_named() -> None:
    model = ScriptedModel(["one", "two", spelled("three")])
    await model.generate(ask())
    with pytest.raises(ScriptError, match="2 of 3 .*'two', 'three'.* called 1 times"):
        model.assert_consumed()
    with pytest.raises(ScriptError, match="1 of 1"), ScriptedModel(["left"]):
        pass


def test_an_error_in_the_block_is_not_hidden() -> None:
    with pytest.raises(KeyError), ScriptedModel(["left"]):
        raise KeyError("real cause")


async def test_limits_cut_the_text() -> None:
    model = ScriptedModel(["a b  c d", "a b c", "one two. three"])
    long, exact, stopped = [
        (await model.generate(request))[0]
        for request in (
            ask(max_tokens=3),
            ask(max_tokens=3),
            ask(stop=("two", "three")),
        )
    ]
    assert (long.text, long.finish_reason) == ("a b  c", "length")
    assert long.usage.output_tokens == 3
    assert (exact.text, exact.finish_reason) == ("a b c", "stop")
    assert (stopped.text, stopped.finish_reason) == ("one ", "stop")


async def test_logprobs_only_where_asked_for_and_given() -> None:
    model = ScriptedModel([spelled("a", " b"), spelled("a", " b"), "plain"])
    assert model.capabilities.logprobs
    silent = (await model.generate(ask()))[0]
    cut = (await model.generate(ask(logprobs=1, max_tokens=1)))[0]
    plain = (await model.generate(ask(logprobs=1)))[0]
    assert silent.logprobs is None
    assert cut.logprobs == (TokenLogprob(token="a", logprob=-0.5, top={"a": -0.5}),)
    assert plain.logprobs is None


def test_logprobs_are_not_claimed_without_any() -> None:
    assert not ScriptedModel(["plain"]).capabilities.logprobs


async def test_streams_word_by_word() -> None:
    model = ScriptedModel(["one two\nthree ", "four"])
    heard: list[tuple[int, str, int]] = []
    got = await model.generate(ask(n=2), on_delta=lambda *d: heard.append(d))
    for index, completion in enumerate(got):
        assert "".join(d[1] for d in heard if d[0] == index) == completion.text
    assert [d for d in heard if d[0] == 0][:2] == [(0, "one", 1), (0, " two", 2)]
    assert (1, "four", 1) in heard


async def test_delay_is_taken_and_max_seconds_ends_it() -> None:
    model = ScriptedModel(["a b c d", "a b c d"], delay=0.04)
    start = time.monotonic()
    whole = (await model.generate(ask()))[0]
    assert time.monotonic() - start >= 0.04
    assert whole.usage.seconds == 0.04
    part = (await model.generate(ask(), max_seconds=0.02))[0]
    assert (part.text, part.finish_reason) == ("a b", "time")


async def test_a_call_can_be_cancelled() -> None:
    model = ScriptedModel(["never"], delay=60)
    heard: list[str] = []
    task = asyncio.create_task(
        model.generate(ask(), on_delta=lambda _i, text, _n: heard.append(text))
    )
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert heard == []


async def test_stated_usage_is_kept() -> None:
    stated = Usage(calls=1, input_tokens=500, cached_tokens=400, output_tokens=9)
    model = ScriptedModel([Completion(text="x", usage=stated)])
    assert (await model.generate(ask()))[0].usage == stated


async def test_count_tokens_is_what_is_charged() -> None:
    model = ScriptedModel(["x"])
    request = ask("one two three", prefill="four five")
    got = await model.generate(request)
    assert model.count_tokens(request) == got[0].usage.input_tokens == 5


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": 0}, "logprobs"),
        ({"prefill": "So"}, "prefill"),
        ({"output_schema": {}}, "output_schema"),
        ({"grammar": "start: /x/"}, "grammar"),
    ],
)
async def test_what_is_not_claimed_is_refused(
    settings: dict[str, Any], missing: str
) -> None:
    model = ScriptedModel(["x"], capabilities=Capabilities())
    with pytest.raises(UnsupportedCapability, match=missing):
        await model.generate(ask(**settings))


async def test_a_context_that_is_too_small_is_refused() -> None:
    model = ScriptedModel(["x"], capabilities=Capabilities(context_length=12))
    with pytest.raises(ContextOverflow, match="needs 13 tokens.* only 12"):
        await model.generate(ask("one two three", max_tokens=10))
