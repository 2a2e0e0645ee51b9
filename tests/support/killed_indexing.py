"""Kill an index's writer with SIGKILL wherever it touches a file, then use the index.

Run as a program: ``killed_indexing.py FOLDER ACTION dense|words FIRST STEP``. ACTION is
``build``, ``update`` or ``drop``; the kill is at the FIRST touch, then STEP touches
later, until the action comes to its end. Prints one JSON line for each trial. It
forks, so that ponder is imported once; LanceDB cannot be forked, so that only the
children import it.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from ponder.retrieval.chunking import chunk
from ponder.retrieval.documents import Document
from ponder.retrieval.opening import build_index, open_index
from tests.support.documents import write
from tests.support.hashed_embedder import HashedEmbedder

SECRET = "zanzibarese"
FILES = {
    f"f{i}.txt": f"Word{i} stands in file number {i}.\n\n{'Filling words. ' * 20}"
    for i in range(8)
} | {"secret.txt": f"Nobody may know {SECRET}."}
CHANGES = {"f1.txt": "Word1 stands alone now.", "new.txt": "Fresh is new here."}
WATCHED = {"open", "sqlite3.connect", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}


class Trials:
    def __init__(self, folder: Path, action: str, *, dense: bool) -> None:
        self.docs, self.index = folder / "docs", folder / "index"
        self.ready, self.action, self.dense = folder / "ready", action, dense

    def embedder(self) -> HashedEmbedder | None:
        return HashedEmbedder() if self.dense else None

    def prepare(self) -> None:
        """Write the documents, and for all but ``build`` the index, as they begin."""
        for folder in (self.docs, self.index):
            shutil.rmtree(folder, ignore_errors=True)
        write(self.docs, dict(FILES))
        if self.action != "build":
            if not self.ready.exists():
                forked(self.build())
                shutil.copytree(self.index, self.ready)
            shutil.rmtree(self.index, ignore_errors=True)
            shutil.copytree(self.ready, self.index)
        if self.action == "update":
            write(self.docs, dict(CHANGES))
            (self.docs / "f2.txt").unlink()

    async def build(self) -> None:
        await build_index(
            [self.docs], out=self.index, embedder=self.embedder(), size=100
        )

    async def act(self) -> None:
        if self.action == "build":
            await self.build()
        elif self.action == "update":
            index = open_index([self.docs], out=self.index, mode="bm25")
            index._embedder = self.embedder()
            await index.update()
        else:
            index = open_index([self.docs], out=self.index, mode="bm25")
            if "secret.txt" in index.store.sources():
                await index.drop("secret.txt")

    async def check(self, said: Path) -> None:
        """Search what the kill has left, do the action again, look at what is there."""
        report: dict[str, Any] = {}
        try:
            index = open_index([self.docs], out=self.index)
            index._embedder = self.embedder()
            found = await index.search("Word3 stands", 3)
            report["found"] = any("Word3" in p.text for p in found)
        except Exception as error:
            report["searched"] = f"{type(error).__name__}: {error}"
        await self.act()
        index = open_index([self.docs], out=self.index)
        index._embedder = self.embedder()
        if self.action == "drop":
            await index.update()
        report["whole"] = self.whole(index)
        note(said, report)

    def whole(self, index: Any) -> list[str]:
        """Return what is not as it would be after an action that nobody killed."""
        wrong = []
        wanted = {
            p.id
            for path in self.docs.iterdir()
            if self.action != "drop" or path.name != "secret.txt"
            for p in chunk(Document(source=path.name, text=path.read_text()), size=100)
        }
        _, ids, _ = index.store.texts()
        if set(ids) != wanted or len(ids) != len(wanted):
            wrong.append("passages")
        if set(index._words.current()._id(i) for i in range(len(wanted))) != wanted:
            wrong.append("words")
        if self.dense:
            vectors = index._opened_vectors()
            if vectors.count() != len(wanted) or set(vectors.fetch(ids)) != wanted:
                wrong.append("vectors")
        names = {p.name.partition("-")[0] for p in self.index.iterdir()}
        kinds = {"index.sqlite", "lock", "bm25"} | (
            {"vectors"} if self.dense else set()
        )
        if names != kinds or len(list(self.index.iterdir())) != len(kinds):
            wrong.append(f"left behind: {sorted(p.name for p in self.index.iterdir())}")
        if self.action == "drop" and holds(self.index, SECRET.encode()):
            wrong.append("the dropped text")
        return wrong

    def trial(self, at: int) -> dict[str, Any]:
        self.prepare()
        status = forked(self.act(), lambda: die_at(at, self.index))
        said = self.index.parent / "said.json"
        said.unlink(missing_ok=True)
        checked = forked(self.check(said))
        report = json.loads(said.read_text()) if said.exists() else {}
        killed = status == -signal.SIGKILL
        return {
            "at": at,
            "killed": killed,
            "status": status,
            "check": checked,
            **report,
        }


def note(said: Path, report: dict[str, Any]) -> None:
    said.write_text(json.dumps(report))


def holds(folder: Path, needle: bytes) -> bool:
    files = (p for p in folder.rglob("*") if p.is_file())
    return any(needle in path.read_bytes().lower() for path in files)


def die_at(touch: int, folder: Path) -> None:
    """Kill this process when it touches the folder's files for the n-th time."""
    seen = [0]
    inside = str(folder)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in WATCHED and arguments and inside in str(arguments[0]):
            seen[0] += 1
            if seen[0] == touch:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def forked(
    action: Coroutine[Any, Any, None], before: Callable[[], None] = lambda: None
) -> int:
    """Run in a child process; return its exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            before()
            asyncio.run(action)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    action.close()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    trials = Trials(Path(sys.argv[1]), sys.argv[2], dense=sys.argv[3] == "dense")
    at, step = int(sys.argv[4]), int(sys.argv[5])
    while True:
        done = trials.trial(at)
        sys.stdout.write(json.dumps(done) + "\n")
        sys.stdout.flush()
        if not done["killed"]:
            break
        at += step
