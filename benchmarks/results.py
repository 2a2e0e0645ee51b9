"""Makes a page of ``docs/results``: ``python -m benchmarks.results search``.

A page NAME has a folder ``docs/results/NAME``: ``head.md``, what a person says of the
figures, and one study as a TOML file for each part. Every study is run, or those named
by ``--only`` (what was finished or paid before is not run again), and the page is the
head, one table over all studies, and the reports below it, unchanged but for the level
of their headings and the place of their plots. A study that was not run stays as the
page has it.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence, Set
from pathlib import Path

from benchmarks._glance import COMPARISONS, glance

DOCS = Path("docs/results")
HEAD = "head.md"


def main() -> int:
    """Run the studies of a page, and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a page that has a folder in docs/results")
    parser.add_argument("--only", nargs="+", metavar="STUDY", help="studies to run")
    parser.add_argument("--out", type=Path, default=Path("out"), help="for logs")
    options = parser.parse_args()
    studies = {path.stem: path for path in sorted((DOCS / options.name).glob("*.toml"))}
    if not studies:
        known = sorted({path.parent.name for path in DOCS.glob("*/*.toml")})
        parser.error(f"no studies in {DOCS / options.name}; known: {', '.join(known)}")
    chosen = options.only or list(studies)
    if unknown := sorted(set(chosen) - set(studies)):
        parser.error(f"no study {', '.join(unknown)}; known: {', '.join(studies)}")
    reports = [run(studies[stem], options.out / options.name) for stem in chosen]
    print(write(options.name, reports))
    return 0


def run(study: Path, out: Path) -> Path:
    """Run a study, and return its report."""
    folder = out / study.stem
    command = [sys.executable, "-m", "ponder", "eval", "--config", str(study)]
    print(f"{study}:", flush=True)
    subprocess.run([*command, "--out", str(folder)], check=True)
    return folder / "report.md"


def write(name: str, reports: Sequence[Path]) -> Path:
    """Write a page from its head and its studies.

    Args:
        name: The page.
        reports: Of the studies that were run, each with what it shows beside it. The
            others are taken from the page as it is; those that it lacks are left out.

    Returns:
        The page.
    """
    folder, page = DOCS / name, DOCS / f"{name}.md"
    titles = {path.stem: _title(path) for path in folder.glob("*.toml")}
    standing = sections(page.read_text(encoding="utf-8")) if page.exists() else {}
    parts = {s: standing[title] for s, title in titles.items() if title in standing}
    _clear(folder, set(parts) - {report.parent.name for report in reports})
    for report in reports:
        stem = report.parent.name
        parts[stem] = part(report.read_text(encoding="utf-8"), name, stem)
        _take(report, folder)
    order = sorted(parts)
    head = (folder / HEAD).read_text(encoding="utf-8")
    told = [head, glance(folder, order), *(parts[stem] for stem in order)]
    page.write_text("\n".join(t.strip() + "\n" for t in told if t), encoding="utf-8")
    return page


def sections(page: str) -> dict[str, str]:
    """Return what stands below each heading of the second level, by heading."""
    found = re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:]
    return {text.partition("\n")[0].removeprefix("## "): text for text in found}


def part(report: str, name: str, study: str) -> str:
    """Return a report as a part of a page: headings a level down, plots beside it."""
    report = re.sub(r"^(#+) ", r"#\1 ", report, flags=re.MULTILINE)
    shown = rf"![\1]({name}/{study}-\2.svg)"
    report = re.sub(r"!\[(.*?)\]\(plots/(.*?)\.png\)", shown, report)
    return re.sub(r"\n\n\[SVG\]\(plots/.*?\.svg\)", "", report)


def _title(study: Path) -> str:
    return str(tomllib.loads(study.read_text(encoding="utf-8")).get("title", ""))


def _take(report: Path, folder: Path) -> None:
    """Copy the plots and the comparisons of a report."""
    stem = report.parent.name
    for plot in report.parent.glob("plots/*.svg"):
        shutil.copyfile(plot, folder / f"{stem}-{plot.name}")
    if (compared := report.parent / COMPARISONS).exists():
        shutil.copyfile(compared, folder / f"{stem}.json")


def _clear(folder: Path, kept: Set[str]) -> None:
    """Remove the plots and comparisons of all studies but those."""
    for file in (*folder.glob("*.svg"), *folder.glob("*.json")):
        if re.sub(r"-\d\d-.*", "", file.stem) not in kept:
            file.unlink()


if __name__ == "__main__":
    sys.exit(main())
