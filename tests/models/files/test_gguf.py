import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ponder.errors import ModelFileError
from ponder.models.files.gguf import GgufInfo, check_gguf
from tests.support.model_files import Q4_1, gguf, gguf_header, pair, text

REMEDY = "Fetch it again: ponder models pull toy"
WHOLE = gguf(elements=64)
HEADER_SIZE = len(gguf_header(elements=64))


def check(folder: Path, content: bytes) -> GgufInfo:
    path = folder / "toy.gguf"
    path.write_bytes(content)
    return check_gguf(path, remedy=REMEDY)


def complaint(folder: Path, content: bytes) -> str:
    with pytest.raises(ModelFileError) as caught:
        check(folder, content)
    message = str(caught.value)
    assert str(folder / "toy.gguf") in message
    assert message.endswith(REMEDY)
    return message


def test_tells_what_the_header_says(tmp_path: Path) -> None:
    info = check(tmp_path, WHOLE)
    assert info.architecture == "toy"
    assert info.context_length == 64
    assert info.parameters == 64
    assert info.needed == len(WHOLE)


def test_counts_the_bytes_of_quantised_blocks(tmp_path: Path) -> None:
    header = gguf_header(elements=64, kind=Q4_1)
    assert check(tmp_path, header + bytes(2 * 20)).needed == len(header) + 2 * 20


def test_a_type_that_is_not_known_is_checked_for_its_start_only(tmp_path: Path) -> None:
    header = gguf_header(elements=64, kind=999)
    assert check(tmp_path, header).needed == len(header)


def test_truncated_gives_both_sizes(tmp_path: Path) -> None:
    message = complaint(tmp_path, WHOLE[:-1])
    assert f"truncated: {len(WHOLE) - 1:,} of at least {len(WHOLE):,} bytes" in message


@given(end=st.integers(min_value=4, max_value=HEADER_SIZE - 40))
def test_truncated_within_the_header(
    tmp_path_factory: pytest.TempPathFactory, end: int
) -> None:
    message = complaint(tmp_path_factory.mktemp("gguf"), WHOLE[:end])
    assert f"truncated: {end:,} of at least" in message


@given(content=st.binary(max_size=200))
def test_any_bytes_give_an_error_and_no_crash(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    # The counts of such a file are random: it must not take for ever either.
    folder = tmp_path_factory.mktemp("gguf")
    assert complaint(folder, b"GGUF\x03\0\0\0" + content[:8] * 5)


def test_not_gguf(tmp_path: Path) -> None:
    message = complaint(tmp_path, b"<html>not found</html>")
    assert "is not a GGUF file: it begins with b'<htm'" in message


def test_empty(tmp_path: Path) -> None:
    assert "is empty" in complaint(tmp_path, b"")


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="No such file or directory"):
        check_gguf(tmp_path / "absent.gguf")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="Is a directory"):
        check_gguf(tmp_path)


@pytest.mark.parametrize("version", [1, 4, 3 << 24])
def test_a_version_that_is_not_known(tmp_path: Path, version: int) -> None:
    header = gguf_header(elements=0, version=version)
    assert f"the version {version}," in complaint(tmp_path, header)


def test_a_value_type_that_is_not_known(tmp_path: Path) -> None:
    header = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair("key", 77, b"")
    assert "unknown type 77" in complaint(tmp_path, header)


def test_an_alignment_that_makes_no_sense(tmp_path: Path) -> None:
    alignment = pair("general.alignment", 4, struct.pack("<I", 0))
    header = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + alignment
    assert "the alignment 0" in complaint(tmp_path, header)


def test_too_many_dimensions(tmp_path: Path) -> None:
    tensor = text("t") + struct.pack("<I", 9) + bytes(100)
    header = b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + tensor
    assert "a tensor of 9 dimensions" in complaint(tmp_path, header)
