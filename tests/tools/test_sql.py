import time

import pytest

from ponder.errors import InvalidParameter, PonderError
from ponder.result import Candidate, Task
from ponder.tools.sql import SqlDatabase, gives_rows_of

SCRIPT = """
CREATE TABLE town (name TEXT, people INTEGER, photo BLOB);
INSERT INTO town VALUES
    ('Ulm', 126, x'00ff'), ('Jena', 110, NULL), ('Trier', 112, NULL);
"""
ENDLESS = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) "


async def opened(**options: float) -> SqlDatabase:
    database = SqlDatabase(SCRIPT, **options)  # type: ignore[arg-type]
    await database.reset()
    return database


async def test_it_shows_tables_rows_and_errors() -> None:
    database = await opened()

    assert "CREATE TABLE town (name TEXT, people INTEGER" in database.observe().text
    seen = await database.step("SELECT name, photo FROM town ORDER BY people DESC")
    assert seen.text == "name | photo\nUlm | <2 bytes>\nTrier | NULL\nJena | NULL"
    assert (await database.step("SELECT city FROM town")).text == (
        "Error: no such column: city"
    )
    assert (await database.step("SELECT name FROM town WHERE 0")).text.endswith(
        "(no rows)"
    )
    await database.aclose()


async def test_submitting_ends_the_episode_with_the_query_as_its_answer() -> None:
    database = await opened()
    seen = await database.step("submit: SELECT max(people) FROM town")

    assert seen.done and seen.answer == "SELECT max(people) FROM town"
    assert seen.text.endswith("126") and seen.reward is None
    await database.aclose()


async def test_submitting_alone_hands_in_the_last_query_of_that_state() -> None:
    database = await opened()
    await database.step("SELECT min(people) FROM town")
    snapshot = await database.snapshot()
    await database.step("SELECT max(people) FROM town")
    await database.step("SELECT nonsense")
    assert (await database.step("SUBMIT")).answer == "SELECT max(people) FROM town"
    await database.restore(snapshot)
    assert (await database.step("SUBMIT")).answer == "SELECT min(people) FROM town"
    await database.aclose()


async def test_what_fails_cannot_be_submitted() -> None:
    database = await opened()
    for action in ("SUBMIT SELECT nothing FROM nowhere", "SUBMIT", ""):
        seen = await database.step(action)
        assert not seen.done and seen.text.startswith("Error: ")
    await database.aclose()


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM town",
        "INSERT INTO town VALUES ('Bonn', 330, NULL)",
        "UPDATE town SET people = 0",
        "DROP TABLE town",
        "CREATE TABLE x (y)",
        "ATTACH ':memory:' AS other",
        "PRAGMA writable_schema = ON",
        "VACUUM INTO '/tmp/x'",
        "SELECT random()",
        "SELECT load_extension('x')",
        "SELECT 1; DROP TABLE town",
        "SELECT zeroblob(100000000)",
    ],
)
async def test_nothing_but_reading_is_possible(statement: str) -> None:
    database = await opened()

    assert (await database.step(statement)).text.startswith("Error: ")
    _, rows = await database.execute("SELECT count(*), sum(people) FROM town")
    assert rows == [(3, 348)]
    await database.aclose()


async def test_a_query_that_takes_too_long_is_stopped() -> None:
    database = await opened(seconds=0.1)
    begun = time.monotonic()
    seen = await database.step(f"{ENDLESS} SELECT count(*) FROM t")

    assert seen.text == "Error: stopped after 0.1 seconds"
    assert time.monotonic() - begun < 5
    assert "3" in (await database.step("SELECT count(*) FROM town")).text
    await database.aclose()


async def test_only_so_many_rows_are_fetched_and_long_values_are_cut() -> None:
    database = await opened(rows=2)
    seen = await database.step(f"{ENDLESS} SELECT n FROM t")
    assert seen.text == "n\n1\n2\n... and more than these 2 rows"
    seen = await database.step("SELECT printf('%.200c', 'x') AS long")
    assert len(seen.text.splitlines()[1]) == 80
    await database.aclose()


async def test_it_is_restored_without_a_query() -> None:
    database = await opened()
    await database.step("SELECT 1")
    snapshot = await database.snapshot()
    await database.step("SUBMIT SELECT 2")
    await database.restore(snapshot)

    assert database.played == 2
    assert (await database.step("SELECT 3")).text.endswith("3")
    await database.aclose()


async def test_bad_arguments_and_a_closed_database_are_named() -> None:
    with pytest.raises(InvalidParameter, match='near "TABEL"'):
        await SqlDatabase("CREATE TABEL x").reset()
    with pytest.raises(InvalidParameter, match="seconds=0"):
        SqlDatabase(SCRIPT, seconds=0)
    with pytest.raises(PonderError, match="closed"):
        await SqlDatabase(SCRIPT).execute("SELECT 1")


@pytest.mark.parametrize(
    ("query", "ordered", "right"),
    [
        ("SELECT name FROM town ORDER BY people", False, True),
        ("SELECT name FROM town ORDER BY people DESC", True, False),
        ("SELECT name AS x FROM town ORDER BY name", True, True),
        ("SELECT name FROM town WHERE people > 111", False, False),
        ("SELECT name FROM town UNION ALL SELECT 'Ulm'", False, False),
        (f"{ENDLESS} SELECT n FROM t", False, False),
        ("SELECT nonsense", False, False),
        (None, False, False),
    ],
)
async def test_a_query_is_right_that_gives_the_right_rows(
    query: str | None, ordered: bool, right: bool
) -> None:
    check = gives_rows_of(
        SCRIPT, "SELECT name FROM town ORDER BY name", ordered=ordered
    )
    candidate = Candidate(id="x", text="", answer=query)

    assert await check(Task(question="Which towns?"), candidate) is right
