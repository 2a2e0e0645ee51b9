"""The engine on a real model."""

import asyncio
import json
import math
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ponder import Budget, Journal, asolve
from ponder.errors import (
    ContextOverflow,
    EngineClosed,
    InvalidParameter,
    ModelFileError,
    UnsupportedCapability,
)
from ponder.messages import GREEDY, Completion, Request, Sampling, assistant, user
from ponder.models.llama import LlamaModel

pytestmark = pytest.mark.engine

QUESTION = (user("What is the capital of France? Answer in one sentence."),)
STORY = (user("Tell me a long story about a fox and a river."),)


def ask(**changes: Any) -> Request:
    fields: dict[str, Any] = {
        "messages": QUESTION,
        "max_tokens": 24,
        "sampling": GREEDY,
        "seed": 1,
    }
    return Request(**{**fields, **changes})


@asynccontextmanager
async def opened(gguf: Path, **settings: Any) -> AsyncIterator[LlamaModel]:
    model = LlamaModel(gguf, **{"profile": False, "n_ctx": 2048, **settings})
    try:
        yield model
    finally:
        await model.aclose()


async def one(model: LlamaModel, **changes: Any) -> Completion:
    (completion,) = await model.generate(ask(**changes))
    return completion


@pytest.mark.parametrize("flash", [True, False])
async def test_greedy_text_is_that_of_the_reference_class(
    gguf: Path, flash: bool
) -> None:
    import llama_cpp

    # The same shapes, layout of weights and attention, so that rounding is the same.
    async with opened(gguf, repack=True, flash_attention=flash) as model:
        completion = await one(model, messages=STORY, max_tokens=24)
        prompt = model.prompt_tokens(ask(messages=STORY))
    reference = llama_cpp.Llama(
        str(gguf),
        n_ctx=2048,
        verbose=False,
        n_threads=2,
        n_threads_batch=2,
        flash_attn=flash,
    )
    stream = reference.generate(prompt, temp=0.0, repeat_penalty=1.0)
    tokens = tuple(token for token, _ in zip(stream, range(24), strict=False))
    reference.close()

    # A tie between two words may fall otherwise, but not early in this story.
    assert completion.tokens[:16] == tokens[:16]
    assert len(completion.tokens) == len(tokens) == 24


async def test_same_seed_same_text_and_branches_differ(gguf: Path) -> None:
    request = ask(messages=STORY, n=4, sampling=Sampling(temperature=1.0), seed=7)
    texts = []
    for _ in range(2):
        async with opened(gguf) as model:
            texts.append([c.text for c in await model.generate(request)])

    assert texts[0] == texts[1]
    assert len(set(texts[0])) == 4


async def test_fork_equals_fresh_computation(gguf: Path, model: LlamaModel) -> None:
    request = ask(messages=STORY, max_tokens=12, logprobs=5)
    async with opened(gguf) as fresh:
        (alone,) = await fresh.generate(request)
    await model.generate(ask(messages=STORY, n=3, max_tokens=4))
    (forked,) = await model.generate(request)

    assert forked.usage.cached_tokens > 0
    assert alone.logprobs and forked.logprobs
    # Rows are rounded by the shape of their batch, hence the tolerance.
    assert forked.logprobs[0].logprob == pytest.approx(
        alone.logprobs[0].logprob, abs=0.05
    )
    assert forked.tokens[:4] == alone.tokens[:4]


async def test_one_prompt_asked_16_times_at_once_is_computed_once(gguf: Path) -> None:
    async with opened(gguf, n_ctx=4096) as model:
        request = ask(messages=STORY, max_tokens=6)
        all_of_them = await asyncio.wait_for(
            asyncio.ensure_future(_many(model, request, 16)), 120
        )
        prompt = model.count_tokens(request)

        assert model.statistics.prompt_tokens == 16 * prompt
        assert model.statistics.computed_tokens == prompt
    usages = [c.usage for c in all_of_them]
    assert sorted(u.cached_tokens for u in usages) == [0] + [prompt] * 15


async def _many(model: LlamaModel, request: Request, count: int) -> list[Completion]:
    tasks = [asyncio.create_task(model.generate(request)) for _ in range(count)]
    return [(await task)[0] for task in tasks]


async def test_usage_charges_the_prompt_once(model: LlamaModel) -> None:
    request = ask(n=3, messages=(user("Count: one two three."),), max_tokens=5)
    first, *others = await model.generate(request)

    assert first.usage.input_tokens == model.count_tokens(request)
    assert [o.usage.input_tokens for o in others] == [0, 0]
    assert [first.usage.calls, *(o.usage.calls for o in others)] == [1, 0, 0]
    assert all(0 < c.usage.output_tokens <= 5 for c in (first, *others))


async def test_max_tokens_ends_with_length(model: LlamaModel) -> None:
    completion = await one(model, messages=STORY, max_tokens=3)

    assert completion.finish_reason == "length"
    assert len(completion.tokens) == completion.usage.output_tokens == 3


async def test_an_answer_that_ends_by_itself_says_stop(model: LlamaModel) -> None:
    completion = await one(model, max_tokens=100)

    assert completion.finish_reason == "stop"
    assert "Paris" in completion.text
    assert "<|" not in completion.text


async def test_stop_strings_are_never_shown(model: LlamaModel) -> None:
    shown: list[str] = []
    plain = await one(model)
    stop = plain.text[14:21]
    (cut,) = await model.generate(
        ask(stop=(stop,)),
        on_delta=lambda _, text, __: shown.append(text),
    )

    assert cut.text == plain.text[: plain.text.index(stop)]
    assert "".join(shown) == cut.text
    assert cut.finish_reason == "stop"


async def test_deltas_add_up_to_the_texts(model: LlamaModel) -> None:
    texts = ["", ""]
    counts = [0, 0]

    def note(index: int, text: str, count: int) -> None:
        texts[index] += text
        assert count >= counts[index]
        counts[index] = count

    both = await model.generate(
        ask(messages=STORY, n=2, max_tokens=10, sampling=Sampling(temperature=1)),
        on_delta=note,
    )

    assert texts == [c.text for c in both]


async def test_an_error_of_on_delta_reaches_the_caller(model: LlamaModel) -> None:
    def fail(index: int, text: str, count: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await model.generate(ask(messages=STORY, max_tokens=500), on_delta=fail)
    await _until(lambda: model.live == 0)


async def _until(condition: Any, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # the engine's thread has no event
            await asyncio.sleep(0.01)


async def test_the_deadline_gives_the_text_so_far(model: LlamaModel) -> None:
    (completion,) = await model.generate(
        ask(messages=STORY, max_tokens=1500, stop=("\0",)), max_seconds=0.5
    )

    assert completion.finish_reason == "time"
    assert completion.usage.output_tokens < 1500


async def test_cancelling_frees_the_cells(gguf: Path) -> None:
    async with opened(gguf) as model:
        started = asyncio.Event()
        task = asyncio.create_task(
            model.generate(
                ask(messages=STORY, n=4, max_tokens=400),
                on_delta=lambda *_: started.set(),
            )
        )
        await started.wait()
        await _until(lambda: model.live == 4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await _until(lambda: model.live == 0 and model.cells == 0)


async def test_a_tiny_context_evicts_and_goes_on(gguf: Path) -> None:
    async with opened(gguf, n_ctx=256) as model:
        for topic in ("fox", "river", "tower", "cloud"):
            words = f"{topic} and " * 40
            completion = await one(model, messages=(user(words),), max_tokens=4)
            assert completion.usage.output_tokens == 4
        assert model.statistics.evictions > 0
        assert model.cells <= 256


async def test_overflow_names_both_numbers(gguf: Path) -> None:
    async with opened(gguf, n_ctx=256) as model:
        prompt = model.count_tokens(ask())
        with pytest.raises(ContextOverflow) as caught:
            await one(model, max_tokens=300)

    # The last token is never computed.
    assert (caught.value.needed, caught.value.available) == (prompt + 299, 256)


async def test_context_length_is_no_more_than_the_model_was_trained_for(
    gguf: Path,
) -> None:
    async with opened(gguf, n_ctx=16384) as model:
        capabilities = await model.probe()

    assert capabilities.context_length == 8192


SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string", "maxLength": 40},
        "score": {"type": "integer", "minimum": 3, "maximum": 7},
    },
    "required": ["reason", "score"],
    "additionalProperties": False,
}


async def test_a_schema_holds_with_its_integer_bounds(model: LlamaModel) -> None:
    completions = await model.generate(
        ask(
            messages=(user("Score this from 100 to 999: the sky is blue."),),
            n=6,
            max_tokens=80,
            sampling=Sampling(temperature=1.5),
            output_schema=SCHEMA,
        )
    )

    for completion in completions:
        record = json.loads(completion.text)
        assert completion.finish_reason == "stop"
        assert set(record) == {"reason", "score"}
        assert isinstance(record["score"], int) and 3 <= record["score"] <= 7


async def test_a_grammar_holds(model: LlamaModel) -> None:
    completions = await model.generate(
        ask(
            n=4,
            sampling=Sampling(temperature=2),
            grammar='start: "red" | "green" | "blue"',
        )
    )

    assert {c.text for c in completions} <= {"red", "green", "blue"}
    assert {c.finish_reason for c in completions} == {"stop"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"output_schema": {"type": "colour"}}, "this output schema.*colour"),
        ({"grammar": "start: nowhere"}, "this grammar.*nowhere"),
    ],
)
async def test_what_cannot_be_enforced_is_refused(
    model: LlamaModel, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(UnsupportedCapability, match=f"(?s){named}"):
        await model.generate(ask(**changes))


async def test_logprobs_add_up_to_the_score(model: LlamaModel) -> None:
    completion = await one(model, logprobs=3, max_tokens=12)
    assert completion.logprobs and completion.logprob is not None
    scores = await model.score(QUESTION, [completion.text, "Bananas are blue.", ""])

    assert scores[0] == pytest.approx(completion.logprob, abs=0.3)
    assert scores[1] < scores[0] < 0
    assert scores[2] == 0
    for entry in completion.logprobs:
        assert len(entry.top) == 3
        # A greedy token is the likeliest one.
        assert max(entry.top.values()) == pytest.approx(entry.logprob)
    assert "".join(entry.token for entry in completion.logprobs) == completion.text


async def test_logprobs_are_of_the_distribution_before_any_temperature(
    model: LlamaModel,
) -> None:
    hot = await one(model, logprobs=100, max_tokens=1, sampling=Sampling(temperature=3))
    cold = await one(model, logprobs=100, max_tokens=1)
    assert hot.logprobs and cold.logprobs

    assert hot.logprobs[0].top == cold.logprobs[0].top
    assert sum(math.exp(p) for p in cold.logprobs[0].top.values()) <= 1


async def test_a_judge_of_one_token_is_free_the_second_time(model: LlamaModel) -> None:
    request = ask(
        messages=(user("Is water wet? Yes or no."),), max_tokens=1, logprobs=20
    )
    (first,) = await model.generate(request)
    decodes = model.statistics.decodes
    (second,) = await model.generate(request)

    assert model.statistics.decodes == decodes
    assert second.logprobs == first.logprobs


async def test_similar_texts_are_closer_than_different_ones(model: LlamaModel) -> None:
    a, b, c = await model.embed(
        [
            "A cat is sleeping on the sofa.",
            "A kitten naps on the couch.",
            "Interest rates rose by two percent.",
        ]
    )

    def cosine(x: list[float], y: list[float]) -> float:
        return sum(p * q for p, q in zip(x, y, strict=True))

    assert cosine(a, a) == pytest.approx(1)
    assert cosine(a, b) > max(cosine(a, c), cosine(b, c))


async def test_embedding_leaves_running_branches_alone(model: LlamaModel) -> None:
    request = ask()
    (before,) = await model.generate(request)
    task = asyncio.create_task(model.generate(request))
    vectors = await model.embed(["one text", "another text"] * 3)
    (during,) = await task

    assert during.text == before.text
    assert vectors[0] == pytest.approx(vectors[2], abs=1e-5)


async def test_empty_text_has_no_embedding(model: LlamaModel) -> None:
    with pytest.raises(InvalidParameter, match="empty"):
        await model.embed(["text", ""])


async def test_prefill_tokens_continue_without_computing_again(gguf: Path) -> None:
    async with opened(gguf) as model:
        parent = await one(model, max_tokens=4)
        computed = model.statistics.computed_tokens
        request = ask(
            prefill=parent.text,
            prefill_tokens=parent.tokens,
        )
        (child,) = await model.generate(request)
        # The last token of the parent was drawn but never computed.
        assert model.statistics.computed_tokens == computed + 1
        await model.generate(request.model_copy(update={"n": 3}))
        assert model.statistics.computed_tokens == computed + 1
        whole = await one(model)

    assert parent.text + child.text == whole.text
    assert parent.tokens + child.tokens == whole.tokens


async def test_prefill_without_tokens_continues_the_text(model: LlamaModel) -> None:
    completion = await one(model, prefill="The capital of France is")

    assert completion.text.startswith(" Paris")


async def test_prefill_tokens_that_spell_something_else_are_not_used(
    model: LlamaModel,
) -> None:
    right = await one(model, prefill="The capital of France is")
    wrong = await one(
        model, prefill="The capital of France is", prefill_tokens=(1, 2, 3)
    )

    assert wrong.text == right.text


async def test_a_search_tree_computes_little_more_than_its_distinct_tokens(
    gguf: Path,
) -> None:
    async with opened(gguf, n_ctx=4096) as model:
        paths: set[tuple[int, ...]] = set()
        levels: list[list[tuple[str, tuple[int, ...]]]] = [[("", ())]]
        for _ in range(2):
            level: list[tuple[str, tuple[int, ...]]] = []
            for text, tokens in levels[-1]:
                request = ask(
                    messages=STORY,
                    n=3,
                    max_tokens=8,
                    sampling=Sampling(temperature=1),
                    prefill=text,
                    prefill_tokens=tokens,
                )
                prompt = model.prompt_tokens(request)
                paths |= {tuple(prompt[:n]) for n in range(1, len(prompt) + 1)}
                for child in await model.generate(request):
                    level.append((text + child.text, (*tokens, *child.tokens)))
            levels.append(level)
        generated = model.statistics.generated_tokens
        computed = model.statistics.computed_tokens

    assert len(levels[-1]) == 9
    # What the parents' decoding computed already is not computed as a prompt again.
    assert computed <= 1.05 * len(paths)
    assert computed < len(paths)
    assert generated > 0


async def test_multi_turn_reuses_the_conversation(model: LlamaModel) -> None:
    first = await one(model, messages=QUESTION)
    more = (*QUESTION, assistant(first.text), user("And of Italy?"))
    second = await one(model, messages=more)

    assert second.usage.cached_tokens > model.count_tokens(ask())


async def test_closing_fails_who_waits_and_frees_all(gguf: Path) -> None:
    model = LlamaModel(gguf, n_ctx=2048, profile=False)
    started = asyncio.Event()
    tasks = [
        asyncio.create_task(
            model.generate(
                ask(messages=STORY, max_tokens=1500),
                on_delta=lambda *_: started.set(),
            )
        )
        for _ in range(3)
    ]
    await started.wait()
    await model.aclose()

    for task in tasks:
        with pytest.raises(EngineClosed):
            await task
    with pytest.raises(EngineClosed):
        await model.generate(ask())
    assert "ponder-llama" not in {
        t.name for t in threading.enumerate() if t.name == f"ponder-llama-{id(model)}"
    }
    await model.aclose()


async def test_closing_waits_for_a_grammar_that_is_being_compiled(gguf: Path) -> None:
    model = LlamaModel(gguf, n_ctx=512, profile=False).open()
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    request = Request(messages=(user("A number?"),), output_schema=schema)
    asked = asyncio.create_task(model.generate(request))
    await asyncio.sleep(0.02)
    await model.aclose()
    with pytest.raises(EngineClosed):
        await asked
    with pytest.raises(EngineClosed):
        model.prompt_tokens(request)


async def test_nothing_to_score_is_no_reason_to_wait(model: LlamaModel) -> None:
    async with asyncio.timeout(20):
        assert await model.score([user("hi")], [""]) == [0.0]
        assert await model.score([user("hi")], []) == []


async def test_preparing_leaves_the_event_loop_alone(gguf: Path) -> None:
    model = LlamaModel(gguf, n_ctx=512, profile=False)
    load, threads = model._load, list[int]()

    def noted() -> Any:
        threads.append(threading.get_ident())
        return load()

    model._load = noted  # type: ignore[method-assign]
    result = await asolve(
        "hi", strategy="direct", model=model, budget=Budget(tokens=100),
        journal=Journal(":memory:"),
    )  # fmt: skip
    assert result.usage.calls and threads != [threading.get_ident()]
    await model.aclose()


async def test_two_engines_in_one_process(gguf: Path) -> None:
    async with opened(gguf) as one_model, opened(gguf) as other:
        tasks = [asyncio.create_task(one(m)) for m in (one_model, other)]
        a, b = [await task for task in tasks]

    assert a.text == b.text


def test_a_model_serves_one_loop_after_the_other(model: LlamaModel) -> None:
    texts = [asyncio.run(one(model)).text for _ in range(3)]

    assert len(set(texts)) == 1


def test_a_loop_that_ends_early_takes_its_work_along(model: LlamaModel) -> None:
    async def leave() -> None:
        started = asyncio.Event()
        asyncio.get_running_loop().call_later(60, started.set)
        task = asyncio.ensure_future(
            model.generate(
                ask(messages=STORY, max_tokens=1500),
                on_delta=lambda *_: started.set(),
            )
        )
        await started.wait()
        assert not task.done()

    asyncio.run(leave())
    deadline = time.monotonic() + 10
    while model.live and time.monotonic() < deadline:
        time.sleep(0.01)
    assert model.live == 0


async def test_a_truncated_file_is_named(gguf: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    with gguf.open("rb") as file:
        broken.write_bytes(file.read(40_000_000))

    with pytest.raises(ModelFileError, match=r"broken\.gguf.*truncated.*again"):
        await LlamaModel(broken).generate(ask())


async def test_a_file_that_is_not_gguf_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(b"PK\x03\x04 and more")

    with pytest.raises(ModelFileError, match=r"other\.gguf' is not a GGUF file"):
        await LlamaModel(other).generate(ask())


async def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"no model file.*gone\.gguf.*pull"):
        await LlamaModel(tmp_path / "gone.gguf").generate(ask())


@pytest.mark.parametrize(
    "settings", [{"n_seq_max": 1}, {"n_seq_max": 257}, {"n_ctx": 0}]
)
def test_numbers_out_of_range_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(InvalidParameter, match=next(iter(settings))):
        LlamaModel("any.gguf", **settings)  # type: ignore[arg-type]
