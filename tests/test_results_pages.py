"""Pages of measured results: how they are put together, and that their studies load."""

import json
from pathlib import Path

import pytest

from benchmarks import results
from benchmarks._glance import glance
from ponder.evals.plan import load_plan

ROOT = Path(__file__).parents[1]
STUDIES = sorted(ROOT.glob("docs/results/*/*.toml"))
REPORT = """\
# Calendars

## What was measured

![calendar: cost](plots/01-calendar-cost.png)

[SVG](plots/01-calendar-cost.svg)

Less #1 is no heading.
"""
ROW = {
    "strategy": "rebase",
    "verifier": "exact",
    "equal_tokens": True,
    "accuracy": 0.75,
    "difference": {"value": 0.5, "low": 0.1, "high": 0.8},
    "verdict": "no difference shown",
}


def test_a_page_is_its_head_and_the_reports_a_level_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "DOCS", tmp_path / "docs")
    (tmp_path / "docs" / "search").mkdir(parents=True)
    (tmp_path / "docs" / "search" / "head.md").write_text("# Search\n\nIt pays.\n")
    (tmp_path / "docs" / "search" / "gone.svg").write_text("of an earlier study")

    page = results.write("search", [reported(tmp_path / "out" / "calendar", rows=())])

    assert page.read_text().splitlines() == [
        "# Search",
        "",
        "It pays.",
        "",
        "## Calendars",
        "",
        "### What was measured",
        "",
        "![calendar: cost](search/calendar-01-calendar-cost.svg)",
        "",
        "Less #1 is no heading.",
    ]
    shown = sorted(path.name for path in (tmp_path / "docs" / "search").iterdir())
    assert shown == ["calendar-01-calendar-cost.svg", "calendar.json", "head.md"]


def test_a_study_that_was_not_run_again_stays_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "DOCS", tmp_path)
    folder = tmp_path / "search"
    folder.mkdir()
    (folder / "head.md").write_text("# Search\n")
    for name, title in (("a", "Calendars"), ("a-more", "Trips"), ("b", "Never run")):
        (folder / f"{name}.toml").write_text(f'title = "{title}"\n')
    first = reported(tmp_path / "out" / "a")
    other = reported(tmp_path / "out" / "a-more", "Trips")
    before = results.write("search", [first, other]).read_text()
    again = reported(tmp_path / "again" / "a", rows=[ROW | {"accuracy": 0.5}])

    page = results.write("search", [again]).read_text()

    assert page == before.replace(
        "| **75 (+50)** | **75 (+50)** |", "| **50 (+50)** | **75 (+50)** |"
    )
    assert page != before and "## Trips" in page and "Never run" not in page
    (folder / "a-more.toml").unlink()
    assert "Trips" not in results.write("search", []).read_text()
    shown = sorted(path.name for path in folder.glob("a*"))
    assert shown == ["a-01-calendar-cost.svg", "a.json", "a.toml"]


def reported(folder: Path, title: str = "Calendars", rows: object = (ROW,)) -> Path:
    """Write what an evaluation leaves, and return its report."""
    (folder / "plots").mkdir(parents=True)
    (folder / "plots" / "01-calendar-cost.svg").write_text("<svg/>")
    (folder / "comparisons.json").write_text(json.dumps(rows))
    (folder / "report.md").write_text(REPORT.replace("Calendars", title))
    return folder / "report.md"


def test_a_page_shows_all_studies_at_a_glance(tmp_path: Path) -> None:
    def compared(strategy: str, verifier: str | None, **found: object) -> object:
        return ROW | {"strategy": strategy, "verifier": verifier} | found

    none = {"value": 0.0, "low": -0.2, "high": 0.2}
    studies = {
        "calendar": [
            compared(
                'plangen{"variant": "rebase"}', None, accuracy=0.25, difference=none
            ),
            compared('rebase{"n": 8, "scorer": "verifier"}', "exact", verdict="better"),
            compared("direct", None, equal_tokens=False),
        ],
        "trip": [
            compared("plangen", "exact"),
            compared('rebase{"n": 8}', "judge"),
            compared('rebase{"n": 4}', "judge", accuracy=0.5),
        ],
    }
    for name, rows in studies.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(rows))

    table = glance(tmp_path, [*studies, "empty"])

    assert table.splitlines()[-6:] == [
        "| strategy | calendar | trip |",
        "| --- | ---: | ---: |",
        "| plangen, mixture + exact | - | **75 (+50)** |",
        "| rebase, on steps + exact | **75 (+50)**\\* | - |",
        "| plangen, rebase + itself | 25 (+0) | - |",
        "| rebase + itself | - | **75 (+50)** **50 (+50)** |",
    ]
    assert glance(tmp_path, ["empty"]) == ""


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_every_study_of_a_page_loads(study: Path) -> None:
    assert load_plan(study).tasks
