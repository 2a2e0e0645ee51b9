"""From the bytes of a file to documents: text, Markdown, HTML, PDF and JSONL."""

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple
from warnings import catch_warnings

from ponder.errors import MissingExtra, RetrievalError
from ponder.retrieval.documents import HTML, JSONL, MARKDOWN, PDF, Document, Problem

if TYPE_CHECKING:
    from bs4 import BeautifulSoup
    from pypdf import PdfReader

EXTRA = "retrieval"
BOMS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    # UTF-32 first: its mark begins with that of UTF-16.
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
NOT_CONTENT = (
    "script", "style", "noscript", "template", "svg", "nav", "header", "footer",
    "aside", "form", "button", "iframe",
)  # fmt: skip
"""Elements of a page that are no part of its text."""
BLOCKS = (
    "address", "article", "blockquote", "dd", "details", "div", "dl", "dt",
    "figcaption", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "main",
    "ol", "p", "pre", "section", "summary", "table", "ul",
)  # fmt: skip

_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
_MULTIBYTE = re.compile(r"[\u0080-\U0010ffff]")
_TITLE = re.compile(r"^#{1,6}\s+(.+?)\s*#*\s*$|^(\S.*)\n(?:=+|-{3,})\s*$", re.MULTILINE)
_FRONT_TITLE = re.compile(r"\A---\n(?:.*\n)*?title:\s*[\"']?(.+?)[\"']?\s*\n")


class Reading(NamedTuple):
    """What a file gave."""

    documents: list[Document]
    problems: list[Problem]
    """Of parts of the file; the rest is there."""


def read(path: Path, source: str) -> Reading:
    """Read a file.

    Args:
        path: The file; its suffix tells the format, and an unknown one means text.
        source: What citations call it.

    Raises:
        RetrievalError: The file as a whole cannot be read; names it and the remedy.
        MissingExtra: A package for this format is not installed.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RetrievalError(
            f"{source}: cannot be read: {error.strerror}. Allow reading it, or leave "
            "it out with --exclude."
        ) from error
    suffix = PurePosixPath(source).suffix.lower()
    for suffixes, reader in READERS:
        if suffix in suffixes:
            reading = reader(data, source)
            break
    else:
        reading = _read_text(data, source)
    filled = [d for d in reading.documents if d.text.strip()]
    if not filled and not reading.problems:
        raise RetrievalError(f"{source}: {_why_empty(suffix)}")
    return Reading(filled, reading.problems)


def _why_empty(suffix: str) -> str:
    if suffix in PDF:
        return (
            "its pages hold no text, as those of a scan. Recognise the text first, "
            "for example with: ocrmypdf IN.pdf OUT.pdf"
        )
    return "holds no text. Fill it, or leave it out with --exclude."


def decoded(data: bytes, source: str) -> tuple[str, str | None]:
    """Return bytes as text, and a remark if some of them had to be guessed.

    A byte order mark decides, then UTF-8, then UTF-8 with stray Windows-1252 bytes,
    then the guess of charset-normalizer.

    Raises:
        RetrievalError: The bytes are no text.
    """
    for mark, encoding in BOMS.items():
        if data.startswith(mark):
            try:
                return _clean(data.decode(encoding)), None
            except UnicodeDecodeError:
                raise RetrievalError(
                    f"{source}: begins like {encoding.upper()}, but is damaged after "
                    "that. Save it again as UTF-8."
                ) from None
    _refuse_binary(data, source)
    try:
        return _clean(data.decode("utf-8")), None
    except UnicodeDecodeError:
        return _guessed(data, source)


def _refuse_binary(data: bytes, source: str) -> None:
    # UTF-16 without a mark holds zeros, too; nothing tells it from a binary file.
    controls = len(_CONTROLS.findall(data))
    if b"\x00" in data[:65536] or controls > 0.02 * len(data):
        raise RetrievalError(
            f"{source}: is binary, not text. Give it the suffix of what it is, save "
            "it as UTF-8 text, or leave it out with --exclude."
        )


def _guessed(data: bytes, source: str) -> tuple[str, str | None]:
    lenient = data.decode("utf-8", "surrogateescape")
    stray = [c for c in lenient if "\udc80" <= c <= "\udcff"]
    whole = len(_MULTIBYTE.findall(lenient)) - len(stray)
    if whole > len(stray):
        text = "".join(
            bytes([ord(c) - 0xDC00]).decode("cp1252", "replace")
            if "\udc80" <= c <= "\udcff"
            else c
            for c in lenient
        )
        return _clean(text), (
            f"mixes encodings: {len(stray)} bytes are not UTF-8 and were read as "
            "Windows-1252. Save it as UTF-8 if a character is wrong."
        )
    try:
        import charset_normalizer
    except ImportError as error:
        raise MissingExtra(
            "charset-normalizer", EXTRA, f"Reading {source}, which is not UTF-8,"
        ) from error
    best = charset_normalizer.from_bytes(data).best()
    if best is None:
        raise RetrievalError(
            f"{source}: is not text in any known encoding. Save it as UTF-8, or leave "
            "it out with --exclude."
        )
    return _clean(str(best)), (
        f"is not UTF-8 and was read as {best.encoding}, which is a guess. Save it as "
        "UTF-8 if a character is wrong."
    )


def _clean(text: str) -> str:
    """Return text that any store can hold, with one kind of line end."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    return text.encode("utf-8", "replace").decode("utf-8")


def _noted(source: str, remark: str | None) -> list[Problem]:
    return [Problem(source=source, reason=remark)] if remark else []


def _read_text(data: bytes, source: str) -> Reading:
    text, remark = decoded(data, source)
    return Reading([Document(source=source, text=text)], _noted(source, remark))


def _read_markdown(data: bytes, source: str) -> Reading:
    text, remark = decoded(data, source)
    found = _FRONT_TITLE.match(text) or _TITLE.search(text)
    title = next((g for g in found.groups() if g), "") if found else ""
    document = Document(source=source, text=text, title=title.strip())
    return Reading([document], _noted(source, remark))


def _read_html(data: bytes, source: str) -> Reading:
    try:
        from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning
    except ImportError as error:
        raise MissingExtra("beautifulsoup4", EXTRA, "Reading HTML") from error
    if not data.startswith(tuple(BOMS)):
        _refuse_binary(data, source)
    with catch_warnings(action="ignore", category=XMLParsedAsHTMLWarning):
        page = BeautifulSoup(data, "html.parser")
    heading = page.title or page.h1
    title = _spaced(heading.get_text()) if heading else ""
    text = _clean(_page_text(page))
    return Reading([Document(source=source, text=text, title=_clean(title))], [])


def _page_text(page: "BeautifulSoup") -> str:
    """Return what a reader of the page sees as its content, block by block."""
    from bs4.element import NavigableString

    for element in page.find_all(["head", *NOT_CONTENT]):
        # A header inside an article holds its heading, not the site's menu.
        if element.name in ("header", "footer") and element.find_parent("article"):
            continue
        element.extract()
    for string in page.find_all(string=True):
        # Comments and declarations are strings of other types, and stay what they are.
        if type(string) is NavigableString and string.find_parent("pre") is None:
            string.replace_with(re.sub(r"\s+", " ", string))
    for element in page.find_all(["br", "tr", "td", "th", *BLOCKS]):
        if element.name in ("td", "th"):
            element.append(" \t")
        elif element.name in ("br", "tr", "li"):
            element.insert_before("\n")
        else:
            element.insert_before("\n\n")
            element.insert_after("\n\n")
    text = re.sub(r"[ \t]+(?=\n)|(?<=\n) (?=\S)", "", page.get_text())
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _read_pdf(data: bytes, source: str) -> Reading:
    try:
        import pypdf
    except ImportError as error:
        raise MissingExtra("pypdf", EXTRA, "Reading PDF") from error
    with _quiet("pypdf"):
        try:
            reader = pypdf.PdfReader(io.BytesIO(data))
            _unlock(reader, source)
            return Reading([_pdf_document(reader, source)], [])
        except RetrievalError:
            raise
        except Exception as error:
            # A damaged file raises whatever its bytes lead to, KeyError included.
            raise RetrievalError(
                f"{source}: is no readable PDF ({type(error).__name__}: "
                f"{_spaced(str(error))}). Open it and save it again, or leave it out "
                "with --exclude."
            ) from error


def _unlock(reader: "PdfReader", source: str) -> None:
    """Open a file that is locked with the empty password, as many are."""
    if not reader.is_encrypted:
        return
    from pypdf.errors import DependencyError

    try:
        opened = bool(reader.decrypt(""))
    except DependencyError:
        raise RetrievalError(
            f"{source}: is encrypted with AES. Install what reads it with: "
            "pip install 'pypdf[crypto]'"
        ) from None
    if not opened:
        raise RetrievalError(
            f"{source}: is encrypted and needs a password. Save a copy without one, "
            "for example with: qpdf --password=PASSWORD --decrypt IN.pdf OUT.pdf"
        )


def _pdf_document(reader: "PdfReader", source: str) -> Document:
    starts, parts, offset = [], [], 0
    for page in reader.pages:
        text = _clean(page.extract_text()).strip() + "\n\n"
        starts.append(offset)
        parts.append(text)
        offset += len(text)
    title = reader.metadata.title if reader.metadata else None
    title = _spaced(_clean(title)) if isinstance(title, str) else ""
    return Document(
        source=source, text="".join(parts), title=title, pages=tuple(starts)
    )


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a library from writing its own remarks into the user's terminal."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _read_jsonl(data: bytes, source: str) -> Reading:
    text, remark = decoded(data, source)
    documents: dict[str, Document] = {}
    problems = _noted(source, remark)
    # Not splitlines(), which also cuts at separators that JSON allows in strings.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            document = _json_document(line, source, number, documents)
        except (ValueError, TypeError) as error:
            problems.append(
                Problem(source=f"{source}, line {number}", reason=f"{error}")
            )
        else:
            documents[document.source] = document
    return Reading(list(documents.values()), problems)


def _json_document(
    line: str, source: str, number: int, taken: dict[str, Document]
) -> Document:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        reason = f"{error.msg}, at column {error.colno}"
        raise ValueError(f"is not JSON: {reason}. Correct the line.") from None
    except RecursionError:
        raise ValueError("is nested too deeply. Correct the line.") from None
    text = row.get("text") if isinstance(row, dict) else None
    if not isinstance(text, str):
        raise ValueError('has no string "text". Write {"text": ..., "title": ...}.')
    known = row.get("id")
    name = f"{source}#{number if known is None else known}"
    if name in taken:
        name = f"{name} (line {number})"
    title = row.get("title")
    return Document(
        source=_clean(name),
        text=_clean(text),
        title=_clean(title) if isinstance(title, str) else "",
    )


READERS: tuple[tuple[frozenset[str], Callable[[bytes, str], Reading]], ...] = (
    (MARKDOWN, _read_markdown),
    (HTML, _read_html),
    (PDF, _read_pdf),
    (JSONL, _read_jsonl),
)
"""Formats by suffix; anything else is read as text."""
