"""Run branches side by side so that one failure never loses its siblings."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")


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
    tasks = [asyncio.ensure_future(branch) for branch in branches]

    async def outcomes() -> AsyncIterator[T | Exception]:
        for task in tasks:
            try:
                yield await task
            except Exception as error:
                yield error

    try:
        yield outcomes()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks) if tasks else None
        for task in tasks:
            # Read it, or asyncio warns of an exception that nobody looked at.
            if not task.cancelled():
                task.exception()


async def settle(branches: Sequence[Awaitable[T]]) -> list[T | Exception]:
    """Run all branches to their end.

    Args:
        branches: What to run side by side.

    Returns:
        One result or exception for each, in the order of the arguments.
    """
    async with in_order(branches) as outcomes:
        return [outcome async for outcome in outcomes]
