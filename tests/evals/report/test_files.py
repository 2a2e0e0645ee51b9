"""The whole report: its text, its files, and how they are written."""

import csv
import json
import re
from pathlib import Path

import pytest

from ponder.errors import InvalidInput
from ponder.evals.record import Cell
from ponder.evals.report import write_report
from tests.support.studies import attempt, bank, cell, record, simulated_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of a study with two tasks."""
    made = tmp_path_factory.mktemp("report") / "deep" / "folder"
    study = simulated_study(("game24", "calendar:people=3"), problems=12)
    paths = write_report(
        study, made, title="Baselines", notes=["Said plainly."], sealed_reads=2
    )
    assert paths[0] == made / "report.md"
    assert sorted(paths) == sorted(p for p in made.rglob("*") if p.is_file())
    return made


def test_every_file_is_there_and_no_other(folder: Path) -> None:
    names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    stems = ("01-game24", "02-calendar-people-3")

    assert names == {
        "report.md",
        "table.csv",
        "table.json",
        "comparisons.csv",
        "comparisons.json",
        "curves.json",
        *(
            f"plots/{stem}-{kind}.{ending}"
            for stem in stems
            for kind in ("cost", "coverage", "calibration")
            for ending in ("png", "svg")
        ),
    }


def test_the_text_holds_all_parts_in_order(folder: Path) -> None:
    text = (folder / "report.md").read_text()

    headings = re.findall(r"^#+ .*$", text, re.M)
    parts = [
        "### Against the baselines",
        "### Accuracy over tokens",
        "### Coverage over attempts",
        "### Verifiers",
        "### Random-scorer control",
        "### Tokens by role",
        "### How the runs ended",
    ]
    assert headings == [
        "# Baselines",
        "## What was measured",
        "## game24",
        *parts,
        "## calendar:people=3",
        *parts,
    ]
    assert "Said plainly." in text
    assert "read 2 times" in text
    assert "not known" in text


def test_links_lead_to_files(folder: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", (folder / "report.md").read_text())

    assert len(links) == 12
    assert all((folder / link).is_file() for link in links)


def test_tables_are_well_formed(folder: Path) -> None:
    lines = (folder / "report.md").read_text().splitlines()
    widths: list[set[int]] = []
    for previous, line in zip(["", *lines], lines, strict=False):
        if line.startswith("|"):
            if not previous.startswith("|"):
                widths.append(set())
            widths[-1].add(len(re.split(r"(?<!\\)\|", line)))

    assert len(widths) == 1 + 2 * 9
    assert all(len(found) == 1 for found in widths)


def test_every_cell_is_a_row_in_all_three_forms(folder: Path) -> None:
    rows = json.loads((folder / "table.json").read_text())
    with (folder / "table.csv").open() as file:
        flat = list(csv.DictReader(file))

    assert len(rows) == len(flat) == 32
    for row, line in zip(rows, flat, strict=True):
        assert row["label"] == line["label"]
        assert float(line["accuracy"]) == row["accuracy"]["value"]
    assert len(json.loads((folder / "comparisons.json").read_text())) == 64
    curves = json.loads((folder / "curves.json").read_text())
    assert {"costs", "coverages", "verifiers", "controls"} <= set(curves)


def test_negative_results_are_printed_like_the_others(tmp_path: Path) -> None:
    def answered(strategy: str, right: bool) -> Cell:
        records = [record(f"p{i}", right, [attempt("x", right)]) for i in range(20)]
        return cell(strategy, records)

    study = [answered("direct", True), answered("tot", False)]
    write_report(study, tmp_path, title="T")

    (line,) = re.findall(
        r"^\| tot \| worse .*$", (tmp_path / "report.md").read_text(), re.M
    )
    assert "| -100.0 (" in line


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    judge = bank().model_copy(update={"strategy": "best_of_n", "verifier": "judge"})
    failed = cell("tot", [record("a", None, error="The server | is down.")])

    write_report([judge, failed], tmp_path, title="T")

    text = (tmp_path / "report.md").read_text()
    assert "self_consistency was not run: no bank" in text
    assert "No random control was run for: best_of_n + judge." in text
    assert "- tot, budget none: The server | is down. (1)" in text
    assert "sealed" not in text


def test_models_and_seeds_are_told_apart(tmp_path: Path) -> None:
    study = [bank(), bank().model_copy(update={"seed": 7})]

    write_report(study, tmp_path, title="T", sealed_reads=1)

    text = (tmp_path / "report.md").read_text()
    assert "## arithmetic, simulated, seed 0" in text
    assert "## arithmetic, simulated, seed 7" in text
    assert "read once" in text
    assert len(list((tmp_path / "plots").glob("*-cost.png"))) == 2


@pytest.mark.parametrize("cells", [[], [cell("direct", [])]])
def test_a_study_of_nothing_is_a_report_of_nothing(
    cells: list[Cell], tmp_path: Path
) -> None:
    written = write_report(cells, tmp_path, title="T")

    assert "What was measured" in (tmp_path / "report.md").read_text()
    assert not (tmp_path / "plots").exists()
    assert all(path.is_file() for path in written)


def test_a_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report([bank()], tmp_path, title="Before")

    def fails(self: Path, target: Path) -> Path:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(InvalidInput, match="No space left"):
        write_report([bank()], tmp_path, title="After")

    assert (tmp_path / "report.md").read_text().startswith("# Before")


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")

    with pytest.raises(InvalidInput, match="out"):
        write_report([bank()], tmp_path / "out", title="T")
