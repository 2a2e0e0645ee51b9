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


def test_a_page_shows_all_studies_at_a_glance(tmp_path: Path) -> None:
    def compared(strategy: str, verifier: str | None, **found: object) -> object:
        return {
            "strategy": strategy,
            "verifier": verifier,
            "equal_tokens": True,
            "accuracy": 0.75,
            "difference": {"value": 0.5, "low": 0.1, "high": 0.8},
            "verdict": "no difference shown",
            **found,
        }

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
        (tmp_path / name).mkdir()
        (tmp_path / name / "comparisons.json").write_text(json.dumps(rows))

    table = glance([tmp_path / name / "report.md" for name in (*studies, "empty")])

    assert table.splitlines()[-6:] == [
        "| strategy | calendar | trip |",
        "| --- | ---: | ---: |",
        "| plangen, mixture + exact | - | **75 (+50)** |",
        "| rebase, on steps + exact | **75 (+50)**\\* | - |",
        "| plangen, rebase + itself | 25 (+0) | - |",
        "| rebase + itself | - | **75 (+50)** **50 (+50)** |",
    ]
    assert glance([tmp_path / "empty" / "report.md"]) == ""


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_every_study_of_a_page_loads(study: Path) -> None:
    assert load_plan(study).tasks
