import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ponder.errors import InvalidParameter, JournalError, UnknownName
from ponder.journal import Entry, Journal, RunRecord, RunStatus, content_key
from ponder.messages import Usage


def record(run_id: str = "r1") -> RunRecord:
    return RunRecord(run_id=run_id, question="q", strategy="direct", model="m")


def entry(path: str, text: str = "hello", elapsed: float = 1.0) -> Entry:
    return Entry(
        path=path,
        key=content_key(path),
        kind="reply",
        body={"text": text},
        usage=Usage(calls=1, output_tokens=3),
        elapsed=elapsed,
    )


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(min_size=1), st.text(), max_size=8))
def test_what_is_written_is_read_back(texts: dict[str, str]) -> None:
    with Journal(":memory:") as journal:
        log = journal.start(record())
        for path, text in texts.items():
            log.record(entry(path, text))
        again = journal.read("r1")
        assert {e.path: e.body["text"] for e in again.entries} == texts
        assert [e.step for e in again.entries] == list(range(1, len(texts) + 1))
        assert again.spent.output_tokens == 3 * len(texts)


def test_content_that_changed_is_not_served(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        log = journal.start(record())
        log.record(entry("a"))
        assert log.find("a", "other") is None
        assert log.warnings == ["'a' has changed since it was journaled."]


def test_damaged_rows_are_reported_and_skipped(tmp_path: Path) -> None:
    path = tmp_path / "j"
    with Journal(path) as journal:
        log = journal.start(record())
        for name in ("a", "b", "c"):
            log.record(entry(name))
    db = sqlite3.connect(path)
    db.execute("UPDATE entries SET body = replace(body, 'll', 'l') WHERE path = 'b'")
    db.execute("UPDATE entries SET body = '{' WHERE path = 'c'")
    db.commit()
    db.close()
    with Journal(path) as journal:
        log = journal.read("r1")
    assert [e.path for e in log.entries] == ["a"]
    assert log.warnings == [
        "2 damaged journal rows are ignored and will be paid again: b, c"
    ]


def test_a_corrupt_file_is_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"this is no database, " * 100)
    with Journal(path) as journal:
        assert journal.runs() == []
        assert "is corrupt" in journal.warnings[0]
    (aside,) = tmp_path.glob("j.corrupt-*")
    assert aside.read_bytes().startswith(b"this is no database")


def test_a_journal_of_a_newer_format_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "j"
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version=99")
    db.commit()
    db.close()
    with pytest.raises(JournalError, match="newer ponder"):
        Journal(path)
    assert path.exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(JournalError, match="PONDER_DATA_DIR"):
        Journal(tmp_path / "file" / "j")


def test_a_full_disk_loses_nothing_that_is_in_memory(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        log = journal.start(record())
        log.record(entry("a"))
        pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
        journal._db.execute(f"PRAGMA max_page_count={pages}")
        log.record(entry("b", "x" * 100_000))
        assert "database or disk is full" in log.warnings[0]
        assert log.find("b", content_key("b")) is not None
        journal._db.execute("PRAGMA max_page_count=1000000")
        log.record(entry("c"))
        assert [e.path for e in journal.read("r1").entries] == ["a", "b", "c"]


def test_runs_are_listed_newest_first_and_found_by_prefix(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        for run_id in ("aa1", "aa2", "bb"):
            journal.start(record(run_id))
        assert [r.run_id for r in journal.runs()] == ["bb", "aa2", "aa1"]
        assert journal.run("b").run_id == "bb"
        with pytest.raises(UnknownName, match="aa1"):
            journal.run("aa")
        with pytest.raises(UnknownName, match="Unknown run 'zz'"):
            journal.run("zz")


def test_like_wildcards_in_a_run_id_match_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.start(record("aa1"))
        with pytest.raises(UnknownName):
            journal.run("%")


def test_a_running_run_is_not_resumed_by_another(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.start(record())
        with pytest.raises(InvalidParameter, match="still running"):
            journal.reopen("r1")


def test_a_run_whose_process_is_gone_counts_as_interrupted(tmp_path: Path) -> None:
    code = (
        "import sys, os; from ponder.journal import *;"
        "j = Journal(sys.argv[1]); j.start(RunRecord(run_id='r1', question='q',"
        " strategy='direct', model='m')); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "j")], check=False)
    with Journal(tmp_path / "j") as journal:
        assert journal.run("r1").status is RunStatus.INTERRUPTED
        assert journal.reopen("r1").entries == []


def test_readers_read_while_one_writes(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as writer, Journal(tmp_path / "j") as reader:
        log = writer.start(record())
        for i in range(20):
            log.record(entry(f"s/{i}"))
            assert len(reader.read("r1").entries) == i + 1


def test_fork_copies_the_first_steps(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        log = journal.start(record())
        for name in "abc":
            log.record(entry(name))
        forked = journal.fork("r1", record("r2"), at=2)
        assert [e.path for e in forked.entries] == ["a", "b"]
        with pytest.raises(InvalidParameter, match="has 3 steps"):
            journal.fork("r1", record("r3"), at=4)


def test_process_names_differ_after_a_restart() -> None:
    from ponder.journal import _alive, _process

    me = _process(os.getpid())
    assert _alive(me)
    assert not _alive(f"{os.getpid()}:1")
