"""Run branches side by side so that one failure never loses its siblings.

Beside that it keeps count of the longest chain of things that had to wait for each
other, such as the output tokens of a run: branches start from where their parent is,
and a parent that has waited for branches goes on from where the longest one ended.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(eq=False)
class Chain:
    """What has been done one after the other up to here."""

    length: int = 0


_chain: ContextVar[Chain] = ContextVar("chain")


def chain() -> Chain:
    """Return the chain of this place; one that nobody reads if none was begun."""
    return _chain.get(Chain())


@contextmanager
def chain_from(length: int) -> Iterator[Chain]:
    """Begin a chain; tasks started inside share it unless they are branches."""
    begun = Chain(length)
    token = _chain.set(begun)
    try:
        yield begun
    finally:
        _chain.reset(token)


async def _measured(branch: Awaitable[T], start: int) -> tuple[T | Exception, int]:
    with chain_from(start) as own:
        try:
            return await branch, own.length
        except Exception as error:
            return error, own.length


@asynccontextmanager
async def in_order(
    branches: Sequence[Awaitable[T]],
) -> AsyncIterator[AsyncIterator[T | Exception]]:
    """Start all branches, and give their outcomes in the order of the branches.

    The order is that of the arguments, not of arrival, so what a caller decides
    from the first ``k`` outcomes does not depend on timing. Branches that have not
    ended when the block is left are cancelled and awaited.

    Args:
        branches: What to run.

    Yields:
        An iterator over results; a failed branch gives its exception as a value.
    """
    here = chain()
    start = here.length
    tasks = [asyncio.ensure_future(_measured(branch, start)) for branch in branches]

    async def outcomes() -> AsyncIterator[T | Exception]:
        for task in tasks:
            outcome, length = await task
            here.length = max(here.length, length)
            yield outcome

    try:
        yield outcomes()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks) if tasks else None


async def settle(branches: Sequence[Awaitable[T]]) -> list[T | Exception]:
    """Run all branches to their end.

    Args:
        branches: What to run side by side.

    Returns:
        One result or exception for each, in the order of the arguments.
    """
    async with in_order(branches) as outcomes:
        return [outcome async for outcome in outcomes]
