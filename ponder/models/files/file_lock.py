"""A lock between processes, which the system frees when its holder dies."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

POLL_SECONDS = 0.2

if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _unlock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


@contextmanager
def file_lock(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock that ``path`` stands for.

    The file stays behind: were it deleted, two processes could each lock a file of
    that name.

    Args:
        path: A file for nothing but this lock; it is created.
        on_wait: Called while another holds the lock, several times a second.
    """
    with path.open("ab") as file:
        while not _try_lock(file):
            on_wait()
            time.sleep(POLL_SECONDS)
        try:
            yield
        finally:
            _unlock(file)


def _try_lock(file: IO[bytes]) -> bool:
    try:
        _lock(file)
    except (BlockingIOError, PermissionError):
        return False
    return True
