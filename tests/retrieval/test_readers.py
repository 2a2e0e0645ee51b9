import io
import json
import sys
from pathlib import Path

import pypdf
import pytest

from ponder.errors import MissingExtra, RetrievalError
from ponder.retrieval.documents import Document
from ponder.retrieval.readers import Reading, decoded, read
from tests.support.documents import pdf


def reading(tmp_path: Path, name: str, data: bytes | str) -> Reading:
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return read(path, name)


def document(tmp_path: Path, name: str, data: bytes | str) -> Document:
    (found,) = reading(tmp_path, name, data).documents
    return found


GERMAN = "Die Größe der Brücke über den Fluss beträgt dreißig Meter, sagte Jürgen."


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-be-bom"]
)
def test_unicode_is_read_without_a_remark(tmp_path: Path, encoding: str) -> None:
    if encoding == "utf-16-be-bom":
        data = b"\xfe\xff" + GERMAN.encode("utf-16-be")
    else:
        data = GERMAN.encode(encoding)
    found = reading(tmp_path, "a.txt", data)
    assert found == ([Document(source="a.txt", text=GERMAN)], [])


def test_another_encoding_is_guessed_and_said() -> None:
    text, remark = decoded(GERMAN.encode("cp1252"), "a.txt")
    assert text == GERMAN
    assert remark is not None and "is a guess" in remark


def test_stray_bytes_in_utf_8_are_read_as_windows_1252_and_counted() -> None:
    text, remark = decoded(GERMAN.encode() + "Käse".encode("cp1252"), "a.txt")
    assert text == f"{GERMAN}Käse"
    assert remark is not None and "1 bytes are not UTF-8" in remark


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "is binary, not text"),
        (bytes(range(1, 32)) * 20, "is binary, not text"),
        (b"\xff\xfe\x00\xd8\x00", "is damaged after that"),
    ],
)
def test_what_is_no_text_is_refused_by_name(data: bytes, message: str) -> None:
    with pytest.raises(RetrievalError, match=message) as error:
        decoded(data, "photo.txt")
    assert str(error.value).startswith("photo.txt: ")


def test_line_ends_are_one_kind_and_nothing_remains_that_a_store_refuses() -> None:
    assert decoded(b"a\r\nb\rc", "a") == ("a\nb\nc", None)
    lone = document_of_json('{"text": "a\\ud800\\u0000b"}')
    lone.text.encode("utf-8")
    assert lone.text == "a?b"


def document_of_json(line: str) -> Document:
    from ponder.retrieval.readers import _json_document

    return _json_document(line, "a.jsonl", 1, {})


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# The title #\n\nText.", "The title"),
        ("Intro.\n\n## Later\n", "Later"),
        ("The title\n=========\n\nText.", "The title"),
        ('---\ntags: x\ntitle: "From the head"\n---\n# Other\n', "From the head"),
        ("no heading at all", ""),
    ],
)
def test_markdown_has_the_title_of_its_first_heading(
    tmp_path: Path, text: str, title: str
) -> None:
    found = document(tmp_path, "a.md", text)
    assert (found.title, found.text) == (title, text)


PAGE = """<!DOCTYPE html><html><head><title> The  page </title>
<style>p { color: red }</style><script>alert(1)</script></head>
<body><nav><a href="/">Home</a></nav><!-- a comment -->
<article><header><h1>The heading</h1></header>
<p>One <b>bold</b> word,
and a line.</p><p>Second<br>line</p>
<ul><li>first<li>second</ul>
<table><tr><td>a</td><td>b</td></tr></table><pre>x  =
  1</pre></article><footer>Imprint</footer></body></html>"""


def test_html_gives_what_a_reader_sees(tmp_path: Path) -> None:
    found = document(tmp_path, "a.html", PAGE)
    assert found.title == "The page"
    blocks = [" ".join(b.split()) for b in found.text.split("\n\n")]
    assert blocks[:3] == ["The heading", "One bold word, and a line.", "Second line"]
    assert blocks[3:] == ["first second", "a b", "x = 1"]
    assert "first\nsecond" in found.text
    assert found.text.endswith("x  =\n  1")
    for unwanted in ("alert", "color", "Home", "Imprint", "comment", "DOCTYPE"):
        assert unwanted not in found.text


def test_html_says_its_own_encoding(tmp_path: Path) -> None:
    page = f'<meta charset="iso-8859-1"><p>{GERMAN}</p>'.encode("latin-1")
    assert document(tmp_path, "a.htm", page).text == GERMAN


def test_pdf_keeps_its_pages(tmp_path: Path) -> None:
    data = pdf("First words.", "", "Third words.", title="A report")
    found = document(tmp_path, "a.pdf", data)
    assert found.title == "A report"
    assert len(found.pages) == 3
    assert found.page_at(found.text.index("First")) == 1
    assert found.page_at(found.text.index("Third")) == 3


def encrypted(password: str, algorithm: str = "RC4-128") -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf("Hidden words.")))
    writer.encrypt(password, owner_password="owner", algorithm=algorithm)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_a_pdf_that_opens_without_a_password_is_read(tmp_path: Path) -> None:
    assert "Hidden words." in document(tmp_path, "a.pdf", encrypted("")).text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encrypted("secret"), "is encrypted and needs a password.*qpdf"),
        (pdf("Some text.")[:300], "is no readable PDF"),
        (b"", "is no readable PDF"),
        (b"not a pdf at all", "is no readable PDF"),
        (pdf(""), "hold no text, as those of a scan.*ocrmypdf"),
    ],
)
def test_a_pdf_that_cannot_be_read_says_why_and_what_helps(
    tmp_path: Path, data: bytes, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(RetrievalError, match=message) as error:
        reading(tmp_path, "report.pdf", data)
    assert str(error.value).startswith("report.pdf: ")
    assert not caplog.records


def test_every_line_of_jsonl_is_a_document(tmp_path: Path) -> None:
    rows = [
        {"id": "x7", "title": "Seven", "text": "one\u2028line"},
        {"text": "without an id"},
        {"id": "x7", "text": "the same id"},
        {"id": 0, "text": "zero"},
    ]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    lines[1:1] = ["", "{broken", '{"title": "no text"}', "[1]", "[" * 100_000]
    found = reading(tmp_path, "a.jsonl", "\n".join(lines))
    assert [(d.source, d.title, d.text) for d in found.documents] == [
        ("a.jsonl#x7", "Seven", "one\u2028line"),
        ("a.jsonl#7", "", "without an id"),
        ("a.jsonl#x7 (line 8)", "", "the same id"),
        ("a.jsonl#0", "", "zero"),
    ]
    reasons = {p.source: p.reason for p in found.problems}
    assert list(reasons) == [f"a.jsonl, line {n}" for n in (3, 4, 5, 6)]
    assert "is not JSON" in reasons["a.jsonl, line 3"]
    assert 'no string "text"' in reasons["a.jsonl, line 4"]


def test_an_unknown_suffix_means_text_and_an_empty_file_is_named(
    tmp_path: Path,
) -> None:
    assert document(tmp_path, "a.py", "x = 1").text == "x = 1"
    with pytest.raises(RetrievalError, match="^a.txt: holds no text"):
        reading(tmp_path, "a.txt", " \n")
    with pytest.raises(RetrievalError, match="^gone.txt: cannot be read"):
        read(tmp_path / "gone.txt", "gone.txt")


@pytest.mark.parametrize(
    ("module", "name", "package"),
    [("pypdf", "a.pdf", "pypdf"), ("bs4", "a.html", "beautifulsoup4")],
)
def test_a_missing_package_names_the_extra(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    name: str,
    package: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtra, match=rf"{package}.*ponder\[retrieval\]"):
        reading(tmp_path, name, "<p>x</p>")
