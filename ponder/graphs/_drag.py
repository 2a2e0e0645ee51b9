"""What DRAG and IterDRAG share: demonstrations, the order of passages, and room."""

from collections.abc import Callable, Sequence
from typing import Any

from ponder.agents.choice import plain_model
from ponder.agents.demonstrations import (
    Demonstration,
    from_turns,
    read_demonstrations,
)
from ponder.context import RunContext
from ponder.errors import InvalidParameter
from ponder.graphs.evidence import merged, searched
from ponder.messages import Request
from ponder.models.base import Model
from ponder.passages import Passage
from ponder.result import Task

DOCUMENT_WORDS = 1024
"""Words of a document that are read, as in the paper's Appendix H."""


async def found_for(
    query: str,
    k: int,
    words: int,
    context: RunContext,
    parents: tuple[str, ...] = ("question",),
) -> list[Passage]:
    """Return the k best passages for a query, the best last, none without a k."""
    if k == 0:
        return []
    found = await searched(query, k, context, parents)
    return [truncated(p, words) for p in reversed(found)]


def truncated(passage: Passage, words: int) -> Passage:
    """Return a passage without what is behind its first words."""
    rest = passage.text.split(maxsplit=words)
    if len(rest) <= words:
        return passage
    text = passage.text[: len(passage.text.rstrip()) - len(rest[-1].rstrip())].rstrip()
    end = None if passage.start is None else passage.start + len(text)
    return passage.model_copy(update={"text": text, "end": end})


async def given(
    task: Task, path: str | None, m: int | None, context: RunContext
) -> list[Demonstration]:
    """Return all demonstrations that the user gives, none if none are wanted.

    Args:
        task: Its worked examples are demonstrations.
        path: A file with more, which come first. What it holds goes into the journal.
        m: How many are wanted; ``None`` is all.
        context: The place where the file is read.
    """
    if m == 0:
        return []
    pool: list[Demonstration] = []
    if path is not None:

        async def read() -> dict[str, Any]:
            found = read_demonstrations(path)
            return {"demonstrations": [d.model_dump(mode="json") for d in found]}

        value = await context.remember(path, read)
        pool += map(Demonstration.model_validate, value["demonstrations"])
    return [*pool, *from_turns(task.examples)]


def first(
    pool: Sequence[Demonstration], m: int | None, context: RunContext
) -> list[Demonstration]:
    """Return the first m demonstrations; that there are fewer, or none, is noted."""
    if len(pool) < (1 if m is None else m):
        context.substitute("demonstrations", f"m = {len(pool)}")
    return list(pool[:m])


async def with_passages(
    demonstrations: Sequence[Demonstration],
    k: int,
    words: int,
    context: RunContext,
    *,
    steps: bool = False,
) -> list[Demonstration]:
    """Return demonstrations with k passages each, the best last, as they are shown.

    Args:
        demonstrations: One without passages gets those that are found for it.
        k: How many passages; with ``steps``, for each sub-query as well.
        words: Of each passage.
        context: The place below which is searched.
        steps: Whether the sub-queries are searched for, too.
    """
    shown = []
    for i, one in enumerate(demonstrations):
        if one.passages:
            best = [truncated(p, words) for p in one.passages[:k]][::-1]
        else:
            queries = [one.question, *(s.question for s in one.steps if steps)]
            places = [context.at(i, j) for j in range(len(queries))]
            found = [
                await found_for(query, k, words, place)
                for query, place in zip(queries, places, strict=True)
            ]
            best = merged(*found)
        shown.append(one.model_copy(update={"passages": tuple(best)}))
    return shown


async def within(
    requests: Sequence[Request],
    left: int | None,
    context: RunContext,
    *,
    still: int = 0,
) -> bool:
    """Tell whether requests fit what is left of a limit, and each the model's context.

    What fits by the number of its bytes is not counted. Else the model counts, and the
    journal keeps the numbers: a replay has nobody to count.

    Args:
        requests: All of them are to be made.
        left: Input tokens that they may have together; ``None`` is no limit.
        context: The place of the counting.
        still: Tokens that will be added to the requests before they are made.
    """
    window = context.model.capabilities.context_length

    def fit(tokens: Sequence[int]) -> bool:
        if left is not None and sum(tokens) + still > left:
            return False
        needed = [t + r.max_tokens for t, r in zip(tokens, requests, strict=True)]
        return window is None or max(needed) + still <= window

    if fit([Model.count_tokens(context.model, r) for r in requests]):
        return True

    async def count() -> dict[str, Any]:
        model = plain_model(context.model)
        return {"tokens": [model.count_tokens(r) for r in requests]}

    texts = [r.model_dump_json(exclude_defaults=True) for r in requests]
    value = await context.remember("\n".join(texts), count)
    return fit(value["tokens"])


Shown = Sequence[Demonstration]
Made = Callable[[Shown, Sequence[Passage]], Sequence[Request]]


async def fitted(
    made: Made,
    demonstrations: Sequence[Demonstration],
    passages: Sequence[Passage],
    limit: int | None,
    context: RunContext,
) -> tuple[list[Demonstration], list[Passage]]:
    """Leave out as many demonstrations, then passages, as it takes to fit.

    Those furthest from the question go first: they count least.

    Args:
        made: Returns the requests with given demonstrations and passages.
        demonstrations: In the order in which they are shown.
        passages: The best last.
        limit: Input tokens of the requests together; ``None`` is no limit.
        context: The place of the counting.

    Raises:
        InvalidParameter: The limit leaves no room for the question alone.
    """

    def cut(left_out: int) -> tuple[list[Demonstration], list[Passage]]:
        from_passages = max(0, left_out - len(demonstrations))
        return list(demonstrations[left_out:]), list(passages[from_passages:])

    async def fits(left_out: int) -> bool:
        return await within(made(*cut(left_out)), limit, context.at(left_out))

    if await fits(0):
        return cut(0)
    low, high = 0, len(demonstrations) + len(passages)
    if limit is not None and not (high and await fits(high)):
        raise InvalidParameter(
            f"context_limit is {limit} tokens, too few for the question alone (or the "
            "context of the model is): give a larger one."
        )
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if await fits(middle) else (middle, high)
    kept = cut(high)
    context.warn(
        f"The prompt has room for {len(kept[0])} of {len(demonstrations)} "
        f"demonstrations and {len(kept[1])} of {len(passages)} passages."
    )
    return kept
