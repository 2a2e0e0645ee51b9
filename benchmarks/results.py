"""Makes a page of ``docs/results``: ``python -m benchmarks.results search``.

A page NAME has a folder ``docs/results/NAME``: ``head.md``, what a person says of the
figures, and one study as a TOML file for each part. Every study is run (what was
finished or paid before is not run again), and the page is the head, one table over all
studies, and the reports below it, unchanged but for the level of their headings and the
place of their plots.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks._glance import glance

DOCS = Path("docs/results")
HEAD = "head.md"


def main() -> int:
    """Run the studies of a page, and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a page that has a folder in docs/results")
    parser.add_argument("--out", type=Path, default=Path("out"), help="for logs")
    options = parser.parse_args()
    studies = sorted((DOCS / options.name).glob("*.toml"))
    if not studies:
        known = sorted({path.parent.name for path in DOCS.glob("*/*.toml")})
        parser.error(f"no studies in {DOCS / options.name}; known: {', '.join(known)}")
    reports = [run(study, options.out / options.name) for study in studies]
    print(write(options.name, reports))
    return 0


def run(study: Path, out: Path) -> Path:
    """Run a study, and return its report."""
    folder = out / study.stem
    command = [sys.executable, "-m", "ponder", "eval", "--config", str(study)]
    print(f"{study}:", flush=True)
    subprocess.run([*command, "--out", str(folder)], check=True)
    return folder / "report.md"


def write(name: str, reports: list[Path]) -> Path:
    """Write a page from its head and the reports, and copy what they show.

    Args:
        name: The page.
        reports: Of its studies, each with ``plots`` beside it.

    Returns:
        The page.
    """
    folder = DOCS / name
    parts = [(folder / HEAD).read_text(encoding="utf-8"), glance(reports)]
    for old in folder.glob("*.svg"):
        old.unlink()
    for report in reports:
        text = report.read_text(encoding="utf-8")
        parts.append(part(text, name, report.parent.name))
        for plot in report.parent.glob("plots/*.svg"):
            shutil.copyfile(plot, folder / f"{report.parent.name}-{plot.name}")
    page = DOCS / f"{name}.md"
    told = [text.strip() + "\n" for text in parts if text]
    page.write_text("\n".join(told), encoding="utf-8")
    return page


def part(report: str, name: str, study: str) -> str:
    """Return a report as a part of a page: headings a level down, plots beside it."""
    report = re.sub(r"^(#+) ", r"#\1 ", report, flags=re.MULTILINE)
    shown = rf"![\1]({name}/{study}-\2.svg)"
    report = re.sub(r"!\[(.*?)\]\(plots/(.*?)\.png\)", shown, report)
    return re.sub(r"\n\n\[SVG\]\(plots/.*?\.svg\)", "", report)


if __name__ == "__main__":
    sys.exit(main())
