"""What strategies share that answer from passages: searching, and checked citations."""

from collections.abc import Iterable, Sequence

from ponder.agents.attribution import attribute
from ponder.agents.reader import cited, name_sources
from ponder.context import RunContext
from ponder.errors import OutOfBudget, RetrievalError
from ponder.passages import Citation, Passage
from ponder.result import Outcome, Task
from ponder.thoughts import Thought


async def searched(
    query: str, k: int, context: RunContext, parents: tuple[str, ...] = ("question",)
) -> list[Passage]:
    """Search the documents of the run; a search that fails finds nothing, and warns.

    So does one for which there is no time: what is left is for the answer.

    Args:
        query: What to look for.
        k: At most so many passages.
        context: The place of the search, which becomes a thought of the run.
        parents: Places of the thoughts that the search comes from.
    """
    query = content(query)
    try:
        found = await context.retrieve(query, k)
    except (RetrievalError, OutOfBudget) as error:
        context.warn(f"A search failed, and the run goes on without: {error}")
        found = []
    context.think(
        Thought(
            id=context.id,
            kind="evidence",
            label=f"{len(found)} passages for: {' '.join(query.split())}",
            data={"query": query, "passages": [p.model_dump() for p in found]},
        ),
        parents,
    )
    return found


def content(question: str) -> str:
    """Return a question without the lines that only say how to write the answer."""
    lines = [line for line in question.splitlines() if "\\boxed" not in line]
    return "\n".join(lines).strip() or question


def merged(*found: Iterable[Passage]) -> list[Passage]:
    """Return passages of several searches, each once, in the order of finding."""
    return list({p.id: p for passages in found for p in passages}.values())


async def grounded(
    outcome: Outcome,
    passages: Sequence[Passage],
    context: RunContext,
    task: Task | None = None,
) -> Outcome:
    """Return an outcome with its citations, each checked against its passage.

    Small models forget to cite. Where an answer names no passage, the model is asked
    which ones it rests on, and the run notes that. A citation that its passage does
    not support is warned of, and stays: what the answer claims to rest on is for the
    user to see.

    Args:
        outcome: Its text cites passages by numbers in brackets, from 1.
        passages: In the order in which they were numbered.
        context: The strategy's place; checks may use the share kept for the end.
        task: What was asked; without it, nobody is asked for passages.
    """
    found = cited(outcome.text, passages)
    if not found and passages and task is not None and outcome.answer:
        found = await _asked_for(outcome.answer, passages, context, task)
    place = context.wrap_up().at("citations")
    checked = await attribute(found, place)
    for citation in checked:
        if citation.supported is False:
            context.warn(_unsupported(citation))
    return outcome.model_copy(update={"citations": checked})


async def _asked_for(
    answer: str, passages: Sequence[Passage], context: RunContext, task: Task
) -> tuple[Citation, ...]:
    place = context.wrap_up().at("sources")
    named = await name_sources(task, passages, answer, place)
    if named:
        context.substitute(
            "citations in the answer", "passages that the model named when asked"
        )
    # The answer alone claims nothing: "Paris" of what?
    claim = f"{content(task.question)} {answer}"
    return tuple(Citation(claim=claim, passage=passage) for passage in named)


def _unsupported(citation: Citation) -> str:
    claim = " ".join(citation.claim.split())
    claim = claim if len(claim) <= 80 else f"{claim[:79]}…"
    return f"{citation.passage.place} does not support the claim '{claim}'."
