"""What the tests of retrieval share."""

from collections.abc import Iterator

import pytest

from tests.support.postgres_server import postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a real PostgreSQL server with pgvector."""
    with postgres_server() as address:
        yield address
