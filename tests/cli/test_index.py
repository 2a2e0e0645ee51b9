import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ponder.cli.indexing import PlainSteps, RichSteps, report_line
from ponder.errors import ModelUnreachable
from ponder.models.base import Model
from ponder.models.scripted import ScriptedModel
from ponder.retrieval.intake import Progress, Report
from ponder.settings import Settings, load_settings
from tests.support.documents import pdf, write
from tests.support.hashed_embedder import HashedEmbedder

Cli = Callable[..., Any]
Use = Callable[[Model], None]
QUESTION = "Who opened the solar farm?"
ANSWER = "Marta Keller opened it [1].\n\\boxed{Marta Keller}"


def answered(judgement: str) -> list[str]:
    """Return the answer, and five votes on its citation."""
    return [ANSWER, *[judgement] * 5]


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write(
        tmp_path / "docs",
        {
            "solar.md": "# The solar farm\n\nMarta Keller opened it in 1987.",
            "bridge.txt": "Jonas Brandt built the bridge.",
        },
    )


@pytest.fixture
def embedder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every name of an embedder mean the one for tests."""

    def opened(name: str, settings: Settings) -> HashedEmbedder:
        return HashedEmbedder(name=name)

    monkeypatch.setattr("ponder.retrieval.opening.open_embedder", opened)
    monkeypatch.setattr("ponder.retrieval.index.open_embedder", opened)


def folder_of(docs: Path) -> str:
    (folder,) = (load_settings().data_dir / "indexes").iterdir()
    assert folder.name.startswith(docs.name)
    return str(folder)


def test_a_folder_is_built_updated_searched_and_dropped(cli: Cli, docs: Path) -> None:
    done = cli("index", "build", str(docs))
    assert done.code == 0
    indexed, place = done.out.splitlines()
    assert indexed.startswith("Indexed 2 files (2 new), 2 passages, ")
    assert place == f"Index: {folder_of(docs)}"
    assert f'ponder index search {docs} "QUERY"' in done.err
    done = cli("index", "search", str(docs), "who built the bridge", "-k", "1")
    assert done.out.splitlines()[0].startswith("1. bridge.txt · score ")
    assert done.out.splitlines()[1:] == ["   Jonas Brandt built the bridge."]
    write(docs, {"dam.pdf": pdf("The dam leaked.")})
    done = cli("index", "update", str(docs))
    assert "3 files (1 new, 2 unchanged), 3 passages" in done.out
    assert "1. dam.pdf, page 1" in cli("index", "search", str(docs), "dam").out
    done = cli("index", "drop", str(docs), str(docs / "dam.pdf"))
    assert done.out == "Removed dam.pdf: 1 passage.\n"
    done = cli("index", "search", str(docs), "dam")
    assert (done.code, done.out) == (0, "")
    assert "Nothing was found" in done.err
    place = folder_of(docs)
    done = cli("index", "drop", str(docs), "--all")
    assert done.out == f"Removed the index {place}: 2 passages.\n"
    assert not Path(place).exists()


def test_json_is_one_object_and_nothing_else(cli: Cli, docs: Path) -> None:
    write(docs, {"photo.txt": bytes(9), "cat.png": b"x"})
    data = json.loads(cli("index", "build", str(docs), "--json").out)
    assert (data["new"], data["passages"], data["other"]) == (2, 2, {".png": 1})
    assert data["problems"][0]["source"] == "photo.txt"
    found = json.loads(cli("index", "search", str(docs), "bridge", "--json").out)
    assert found["mode"] == "bm25"
    assert found["index"] == data["index"]
    (passage,) = found["passages"]
    assert (passage["source"], passage["start"], passage["end"]) == (
        "bridge.txt",
        0,
        30,
    )
    gone = cli("index", "drop", str(docs), "bridge.txt", "--json")
    assert json.loads(gone.out)["passages"] == 1


def test_bad_files_are_told_of_and_the_rest_is_indexed(cli: Cli, docs: Path) -> None:
    write(docs, {"photo.txt": bytes(9), "torn.pdf": b"%PDF-1.4", "cat.png": b"x"})
    done = cli("index", "build", str(docs))
    assert done.code == 0
    assert "Indexed 2 files (2 new)" in done.out
    assert "Warning: photo.txt: is binary, not text." in done.err
    assert "Warning: torn.pdf: is no readable PDF" in done.err
    assert "Left out 1 file of other kinds (.png)." in done.err
    assert "Traceback" not in done.err


def test_globs_and_a_place_of_its_own(cli: Cli, docs: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "ix")
    done = cli("index", "build", str(docs), "--out", out, "--exclude", "*.md")
    assert "1 file (1 new)" in done.out
    assert f'ponder index search {out} "QUERY"' in done.err
    for arguments in ([out], [str(docs), "--out", out]):
        done = cli("index", "search", *arguments, "bridge")
        assert done.out.startswith("1. bridge.txt")
    assert not (load_settings().data_dir / "indexes").exists()


@pytest.mark.usefixtures("embedder")
def test_an_index_with_embeddings_is_searched_by_meaning_too(
    cli: Cli, docs: Path
) -> None:
    assert cli("index", "build", str(docs), "--embedder", "tiny").code == 0
    found = json.loads(cli("index", "search", str(docs), "bridge", "--json").out)
    assert (found["mode"], len(found["passages"])) == ("hybrid", 2)
    done = cli("index", "search", str(docs), "bridge", "--embedder", "huge")
    assert done.code == 1
    assert "built with 'tiny' embeddings, and 'huge' is asked for" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["search", "DOCS", "x"], 1, "There is no index of DOCS yet"),
        (["update", "DOCS"], 1, "Build it: ponder index build DOCS"),
        (["build", "DOCS/none"], 1, "There is no folder DOCS/none"),
        (["build", "DOCS", "--include", "*.py"], 1, "There is nothing to search"),
        (["build", "DOCS", "--size", "10"], 2, "Passages of 10 characters"),
        (["build", "DOCS", "--embedder", "nope"], 2, "Unknown model 'nope'"),
        (["drop", "DOCS"], 2, "Name sources to remove, or --all"),
        (["search", "DOCS", "x", "-k", "0"], 2, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_done_is_named(
    cli: Cli, docs: Path, arguments: list[str], code: int, message: str
) -> None:
    done = cli("index", *(a.replace("DOCS", str(docs)) for a in arguments))
    assert (done.code, done.out) == (code, "")
    assert message.replace("DOCS", str(docs)) in " ".join(done.err.split())
    assert "Traceback" not in done.err


def test_ask_answers_from_a_folder_in_one_command(
    cli: Cli, docs: Path, use_model: Use
) -> None:
    use_model(ScriptedModel(answered("Yes")))
    done = cli("ask", QUESTION, "--docs", str(docs), "--strategy", "rag")
    assert (done.code, done.out) == (0, "Marta Keller\n")
    assert "Documents: 2 files (2 new), 2 passages" in done.err
    assert "Cites solar.md: supported 1.00: Marta Keller opened it" in done.err
    # Now it is only brought up to date; and without a strategy one that reads is used.
    use_model(ScriptedModel(answered("No")))
    done = cli("ask", QUESTION, "--docs", str(docs))
    assert done.code == 0
    assert "2 files (2 unchanged)" in done.err
    assert "rag over" in done.err
    assert "Cites solar.md: NOT SUPPORTED 0.00: Marta Keller opened it" in done.err
    assert done.err.count("Marta Keller opened it") == 1
    use_model(ScriptedModel(answered("Yes")))
    done = cli("ask", QUESTION, "--docs", str(docs), "--json")
    assert json.loads(done.out)["citations"][0]["passage"]["source"] == "solar.md"


def test_a_run_over_documents_is_resumed_without_naming_them(
    cli: Cli, docs: Path, use_model: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_model(ScriptedModel([ModelUnreachable("gone")]))
    done = cli("ask", QUESTION, "--docs", str(docs), "-s", "rag")
    assert done.code == 1
    (run,) = json.loads(cli("runs", "--json").out)
    use_model(ScriptedModel(answered("Yes")))
    monkeypatch.chdir(docs.parent)
    done = cli("resume", run["run_id"])
    assert (done.code, done.out) == (0, "Marta Keller\n")
    assert cli("replay", run["run_id"]).out == "Marta Keller\n"
    use_model(ScriptedModel([ModelUnreachable("gone")]))
    assert cli("ask", QUESTION, "--docs", str(docs), "-s", "rag").code == 1
    run = next(r for r in json.loads(cli("runs", "--json").out) if r != run)
    cli("index", "drop", str(docs), "--all")
    done = cli("resume", run["run_id"])
    assert done.code == 1
    assert "There is no index of" in done.err


def test_an_index_is_searched_as_it_is_by_its_name(
    cli: Cli, docs: Path, use_model: Use
) -> None:
    cli("index", "build", str(docs))
    write(docs, {"new.txt": "New."})
    use_model(ScriptedModel(answered("Yes")))
    name = f"index:{docs}#bm25"
    done = cli("ask", QUESTION, "--retriever", name, "-s", "rag")
    assert (done.code, done.out) == (0, "Marta Keller\n")
    assert "Documents:" not in done.err
    done = cli("ask", QUESTION, "--retriever", "web", "-s", "rag")
    assert (done.code, done.out) == (2, "")
    assert "Unknown retriever 'web'" in done.err
    done = cli("ask", QUESTION, "--retriever", name, "--docs", str(docs))
    assert "not both" in done.err


def test_a_strategy_that_needs_no_documents_is_told_of(
    cli: Cli, docs: Path, use_model: Use
) -> None:
    use_model(ScriptedModel(["\\boxed{4}"]))
    done = cli("ask", QUESTION, "--docs", str(docs), "-s", "direct")
    assert "'direct' needs no documents, and may not read them" in done.err
    assert "rag" in done.err
    assert "direct over" in done.err
    assert "Warning: the answer cites no passage." in done.err


def test_ask_over_nothing_is_an_error(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    done = cli("ask", QUESTION, "--docs", str(tmp_path / "none"))
    assert (done.code, done.out) == (1, "")
    assert "There is nothing to search in" in done.err


def test_plain_progress_is_not_chatty(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    shown = PlainSteps(clock=lambda: now[0])
    for done in range(12):
        now[0] += 1.0
        shown.tell(Progress(stage="reading", done=done, total=12, item="a.txt"))
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["Reading, 4 of 12 ...", "Reading, 9 of 12 ..."]


def test_the_bar_moves() -> None:
    with RichSteps() as shown:
        shown.tell(Progress(stage="embedding", done=3, total=9, item="x" * 99))
        (task,) = shown._progress.tasks
        assert (task.completed, task.total) == (3, 9)
        assert task.fields["amounts"] == "3 of 9"
        assert len(task.fields["item"]) == 40


def test_a_report_in_words() -> None:
    report = Report(new=1, removed=2, passages=1000, seconds=1.26)
    assert report_line(report) == "1 file (1 new, 2 removed), 1,000 passages, 1.3 s"
    assert report_line(Report()) == "0 files (none), 0 passages, 0.0 s"
