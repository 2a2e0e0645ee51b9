import math

from ponder import ScriptedModel, Task
from ponder.agents.proposer import Proposal, proposer
from ponder.messages import LEAST_LOGPROB, Completion, TokenLogprob, Usage
from tests.support.places import place

TASK = Task(question="What is 17 + 25?")


async def proposed(reply: Completion, prefix: str = "", limit: int = 100) -> Proposal:
    write = proposer(step_tokens=50, logprobs=True)
    (found,) = await write.propose(
        TASK, prefix, 1, place(ScriptedModel([reply])), limit=limit
    )
    return found


def written(text: str, tokens: int = 4) -> Completion:
    return Completion(text=text, usage=Usage(calls=1, output_tokens=tokens))


async def test_a_step_ends_with_its_delimiter_and_a_solution_with_its_answer() -> None:
    step = await proposed(written("17 is 10 + 7."))
    assert (step.text, step.final) == ("17 is 10 + 7.\n\n", False)
    last = await proposed(written("So \\boxed{42}."), "17 is 10 + 7.\n\n")
    assert (last.text, last.final) == ("So \\boxed{42}.", True)


async def test_a_delimiter_before_the_first_step_is_no_end() -> None:
    first = await proposed(written(""))
    assert (first.text, first.final) == ("\n\n", False)
    assert (await proposed(written(""), "17 is 10 + 7.\n\n")).final


async def test_a_step_that_takes_all_the_room_is_the_last() -> None:
    room = await proposed(written("17 is 10 + 7.", tokens=7), limit=8)
    assert not room.final
    full = await proposed(written("17 is 10 + 7.", tokens=8), limit=8)
    assert full.final and full.truncated
    answered = await proposed(written("It is \\boxed{42}.", tokens=8), limit=8)
    assert answered.final and not answered.truncated


async def test_a_token_that_cannot_be_has_a_probability_all_the_same() -> None:
    for odd in (-math.inf, math.nan):
        token = TokenLogprob(token="17", logprob=odd, top={"18": odd})
        found = await proposed(Completion(text="17", logprobs=(token,)))
        assert found.logprob == token.top["18"] == LEAST_LOGPROB


async def test_a_step_that_was_only_thought_is_none() -> None:
    for thought in (
        Completion(text="", reasoning="Hm.", finish_reason="length"),
        Completion(text="", reasoning="Hm."),
        Completion(text="", finish_reason="length"),
    ):
        context = place(ScriptedModel([thought]))
        assert await proposer().propose(Task(question="17 + 25?"), "", 1, context) == []
        assert "max_tokens (step_tokens for steps)" in context.shared.warnings[0]
