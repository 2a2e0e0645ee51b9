import math

from ponder import ScriptedModel, Task
from ponder.agents.proposer import Proposal, proposer
from ponder.messages import Completion, TokenLogprob, Usage
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


async def test_a_probability_that_is_no_number_is_unknown() -> None:
    token = TokenLogprob(token="17", logprob=-math.inf)
    odd = Completion(text="17", logprobs=(token,))
    assert (await proposed(odd)).logprob is None
