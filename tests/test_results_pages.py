"""Pages of measured results: how they are put together, and that their studies load."""

from pathlib import Path

import pytest

from benchmarks import results
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


def test_a_page_is_its_head_and_the_reports_a_level_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "DOCS", tmp_path / "docs")
    (tmp_path / "docs" / "search").mkdir(parents=True)
    (tmp_path / "docs" / "search" / "head.md").write_text("# Search\n\nIt pays.\n")
    (tmp_path / "docs" / "search" / "gone.svg").write_text("of an earlier study")
    folder = tmp_path / "out" / "calendar"
    (folder / "plots").mkdir(parents=True)
    (folder / "plots" / "01-calendar-cost.svg").write_text("<svg/>")
    (folder / "report.md").write_text(REPORT)

    page = results.write("search", [folder / "report.md"])

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
    assert shown == ["calendar-01-calendar-cost.svg", "head.md"]


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_every_study_of_a_page_loads(study: Path) -> None:
    assert load_plan(study).tasks
