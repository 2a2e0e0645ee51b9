import asyncio
from pathlib import Path

import pytest

from ponder import ScriptedModel
from ponder.errors import JournalError, ModelError
from ponder.messages import GREEDY, Completion, Request, TokenLogprob, user
from ponder.models.bank import Banked
from ponder.models.base import Capabilities


def asked(text: str = "Why?", seed: int | None = 1, **fields: object) -> Request:
    return Request.model_validate({"messages": (user(text),), "seed": seed, **fields})


async def test_a_reply_is_made_once_also_for_another_process(tmp_path: Path) -> None:
    first = Banked(ScriptedModel(["Because."]), tmp_path / "bank.sqlite")
    (made,) = await first.generate(asked())
    await first.aclose()
    nobody = ScriptedModel([])
    told: list[tuple[int, str, int]] = []
    second = Banked(nobody, tmp_path / "bank.sqlite")
    (kept,) = await second.generate(asked(), on_delta=lambda *d: told.append(d))

    assert kept == made
    assert kept.usage.output_tokens == 1
    assert told == [(0, "Because.", 1)]
    assert second.served == 1 and nobody.calls == []


async def test_replies_of_another_model_of_the_same_name_are_refused(
    tmp_path: Path,
) -> None:
    class Local(ScriptedModel):
        file = "small.gguf"

        @property
        def identity(self) -> str:
            return self.file

    first = Banked(Local(["Because."]), tmp_path / "bank.sqlite")
    await first.generate(asked())
    await first.aclose()
    await Banked(Local([]), tmp_path / "bank.sqlite").generate(asked())
    Local.file = "large.gguf"
    with pytest.raises(JournalError, match=r"those of small\.gguf.*is large\.gguf"):
        Banked(Local([]), tmp_path / "bank.sqlite")


@pytest.mark.parametrize(
    "other", [asked("Who?"), asked(seed=2), asked(max_tokens=9), asked(prefill="It")]
)
async def test_another_request_is_another_reply(tmp_path: Path, other: Request) -> None:
    model = ScriptedModel(["one", "two"])
    bank = Banked(model, tmp_path / "bank.sqlite")
    await bank.generate(asked())
    (reply,) = await bank.generate(other)
    assert reply.text == "two"


async def test_what_is_random_without_a_seed_is_never_kept(tmp_path: Path) -> None:
    bank = Banked(ScriptedModel(["one", "two", "three"]), tmp_path / "bank.sqlite")
    random = [(await bank.generate(asked(seed=None)))[0].text for _ in range(2)]
    greedy = [
        (await bank.generate(asked(seed=None, sampling=GREEDY)))[0].text
        for _ in range(2)
    ]
    assert random == ["one", "two"]
    assert greedy == ["three", "three"]


async def test_who_wants_logprobs_shares_with_who_does_not(tmp_path: Path) -> None:
    likely = (TokenLogprob(token="yes", logprob=-0.1),)
    model = ScriptedModel([Completion(text="yes", logprobs=likely)])
    bank = Banked(model, tmp_path / "bank.sqlite")
    (without,) = await bank.generate(asked())
    (with_them,) = await bank.generate(asked(logprobs=0))
    assert without.logprobs is None
    assert with_them.logprobs == likely
    assert len(model.calls) == 1


async def test_asking_twice_at_a_time_computes_once(tmp_path: Path) -> None:
    model = ScriptedModel(["one"], delay=0.02)
    bank = Banked(model, tmp_path / "bank.sqlite")
    async with asyncio.TaskGroup() as group:
        replies = [group.create_task(bank.generate(asked())) for _ in range(3)]
    assert [r.result()[0].text for r in replies] == ["one"] * 3


async def test_failures_and_what_the_clock_cut_are_not_kept(tmp_path: Path) -> None:
    cut = Completion(text="Be", finish_reason="time")
    bank = Banked(
        ScriptedModel([ModelError("down"), cut, "Because."]), tmp_path / "bank.sqlite"
    )
    with pytest.raises(ModelError):
        await bank.generate(asked())
    assert (await bank.generate(asked()))[0].text == "Be"
    assert (await bank.generate(asked()))[0].text == "Because."


async def test_it_can_what_the_model_can(tmp_path: Path) -> None:
    able = Capabilities(seed=True, prefill=True)
    model = ScriptedModel([], capabilities=able)
    bank = Banked(model, tmp_path / "bank.sqlite")
    assert bank.name == model.name
    assert bank.capabilities == await bank.probe() == able
    assert bank.count_tokens(asked()) == model.count_tokens(asked())


def test_a_file_that_is_no_bank_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "bank.sqlite"
    path.write_text("not a database, but long enough to be taken for one" * 40)
    with pytest.raises(JournalError, match=r"bank\.sqlite cannot be used"):
        Banked(ScriptedModel([]), path)
