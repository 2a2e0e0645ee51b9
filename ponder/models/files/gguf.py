"""Is this a whole GGUF file? Answered from its header, without loading the model.

The header says where every tensor lies, so a file that ends too early is told apart
from a whole one in a fraction of a second. Format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import mmap
import struct
from pathlib import Path
from typing import Any

from ponder.errors import ModelFileError
from ponder.messages import Value

MAGIC = b"GGUF"
VERSIONS = (2, 3)
"""Version 1 has other length fields and has not been written since 2023."""
DEFAULT_ALIGNMENT = 32
MAX_DIMENSIONS = 4

_STRING, _ARRAY = 8, 9
_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}

# ggml type id -> bytes of a block, by the elements in a block; ggml/src/ggml.c.
_SINGLES = {0: 4, 1: 2, 24: 1, 25: 2, 26: 4, 27: 8, 28: 8, 30: 2}
_BLOCKS_OF_32 = {2: 18, 3: 20, 6: 22, 7: 24, 8: 34, 9: 36, 20: 18, 39: 17}
_BLOCKS_OF_256 = dict(
    [(10, 84), (11, 110), (12, 144), (13, 176), (14, 210), (15, 292), (16, 66)]
    + [(17, 74), (18, 98), (19, 50), (21, 110), (22, 82), (23, 136), (29, 56)]
    + [(34, 54), (35, 66)]
)
_BLOCKS = {
    kind: (elements, size)
    for elements, table in ((1, _SINGLES), (32, _BLOCKS_OF_32), (256, _BLOCKS_OF_256))
    for kind, size in table.items()
}


class GgufInfo(Value):
    """What the header of a GGUF file says."""

    architecture: str | None
    """Such as ``"qwen2"``."""
    name: str | None
    context_length: int | None
    """Tokens that the model was trained for."""
    parameters: int
    """Elements of all tensors."""
    tensors: int
    needed: int
    """Least size in bytes of a file with all these tensors."""


class _Short(Exception):
    """The file ends before this many bytes."""

    def __init__(self, needed: int) -> None:
        self.needed = needed


class _Reader:
    """Reads one value after the other, never beyond the end."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.at, self.size = data, 0, len(data)

    def skip(self, count: int) -> int:
        start = self.at
        if start + count > self.size:
            raise _Short(start + count)
        self.at = start + count
        return start

    def scalar(self, code: str) -> Any:
        start = self.skip(struct.calcsize(code))
        return struct.unpack_from(code, self.data, start)[0]

    def string(self) -> str:
        length = self.scalar("<Q")
        start = self.skip(length)
        return self.data[start : start + length].decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        """Read a metadata value; arrays are passed over and give ``None``."""
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            return self.pass_array()
        return self.scalar(_scalar_code(kind))

    def pass_array(self) -> None:
        kind, length = self.scalar("<I"), self.scalar("<Q")
        if kind == _STRING:
            for _ in range(length):
                self.skip(self.scalar("<Q"))
        else:
            self.skip(length * struct.calcsize(_scalar_code(kind)))


def _scalar_code(kind: int) -> str:
    if kind not in _SCALARS:
        raise ValueError(f"a metadata value of the unknown type {kind}")
    return _SCALARS[kind]


def check_gguf(path: Path, *, remedy: str = "") -> GgufInfo:
    """Read the header of a GGUF file and check that all its tensors are there.

    Only the place and length of the tensors are checked, not their content: that
    takes a checksum.

    Args:
        path: The file.
        remedy: What the user can do about a damaged file, such as
            ``"Fetch it again: ponder models pull NAME"``.

    Returns:
        What the header says.

    Raises:
        ModelFileError: There is no such file, it is not GGUF, its header makes no
            sense, or it is truncated (with both sizes).
    """
    try:
        with path.open("rb") as file:
            _check_magic(path, file.read(len(MAGIC)), remedy)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _read(path, data, remedy)
    except OSError as error:
        raise ModelFileError(
            _join(f"Cannot read the model file {path}: {error.strerror}.", remedy)
        ) from error


def _check_magic(path: Path, start: bytes, remedy: str) -> None:
    if not start:
        raise ModelFileError(_join(f"{path} is empty.", remedy))
    if start != MAGIC:
        what = f"{path} is not a GGUF file: it begins with {start!r}, not {MAGIC!r}."
        raise ModelFileError(_join(what, remedy))


def _read(path: Path, data: mmap.mmap, remedy: str) -> GgufInfo:
    try:
        info = _parse(_Reader(data))
        if info.needed > len(data):
            raise _Short(info.needed)
    except _Short as short:
        what = f"{path} is truncated: {len(data):,} of at least {short.needed:,} bytes."
        raise ModelFileError(_join(what, remedy)) from None
    except ValueError as error:
        what = f"{path} is damaged: its header has {error}."
        raise ModelFileError(_join(what, remedy)) from None
    return info


def _parse(reader: _Reader) -> GgufInfo:
    reader.skip(len(MAGIC))
    version, tensors, pairs = (reader.scalar(code) for code in ("<I", "<Q", "<Q"))
    if version not in VERSIONS:
        raise ValueError(
            f"the version {version}, and versions {VERSIONS} (little-endian) are known"
        )
    metadata: dict[str, Any] = {}
    for _ in range(pairs):
        key = reader.string()
        metadata[key] = reader.value(reader.scalar("<I"))
    parameters, data_bytes = _parse_tensors(reader, tensors)
    architecture = metadata.get("general.architecture")
    return GgufInfo(
        architecture=architecture,
        name=metadata.get("general.name"),
        context_length=metadata.get(f"{architecture}.context_length"),
        parameters=parameters,
        tensors=tensors,
        needed=_aligned(reader.at, metadata) + data_bytes,
    )


def _aligned(at: int, metadata: dict[str, Any]) -> int:
    alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment < 1:
        raise ValueError(f"the alignment {alignment!r}")
    return math.ceil(at / alignment) * alignment


def _parse_tensors(reader: _Reader, count: int) -> tuple[int, int]:
    """Return the number of elements and the end of the last tensor's data."""
    parameters = end = 0
    for _ in range(count):
        reader.string()
        dimensions = reader.scalar("<I")
        if dimensions > MAX_DIMENSIONS:
            raise ValueError(f"a tensor of {dimensions} dimensions")
        elements = math.prod(reader.scalar("<Q") for _ in range(dimensions))
        kind, offset = reader.scalar("<I"), reader.scalar("<Q")
        # A type newer than this table has an unknown size: its start must be there.
        block, size = _BLOCKS.get(kind, (1, 0))
        parameters += elements
        end = max(end, offset + elements // block * size)
    return parameters, end


def _join(what: str, remedy: str) -> str:
    return f"{what} {remedy}".strip()
