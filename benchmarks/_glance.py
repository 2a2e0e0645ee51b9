"""One table over the studies of a page: each strategy beside self-consistency."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COMPARISONS = "comparisons.json"
"""Written beside every report."""

READING = """\
## At a glance

Accuracy in percent, and how many points that is above self-consistency at equal \
tokens. Bold: the 95 % interval of the difference excludes 0; with a star it does so \
after the correction for all tests of the study, too. Several figures in a place are \
several settings. The verifier is the exact one of the benchmark, or the model itself; \
"on steps" it also rates unfinished solutions. A column is a study, below."""

Cells = dict[str, dict[str, list[str]]]
"""What to show, by strategy and study."""


def glance(folder: Path, names: Sequence[str]) -> str:
    """Return the table as Markdown, empty where no study has compared anything.

    Args:
        folder: Holds ``STUDY.json``, the comparisons of a study's report.
        names: The studies, in the order of the columns.
    """
    cells: Cells = {}
    studies: list[str] = []
    for name in names:
        file = folder / f"{name}.json"
        rows = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
        equal = [row for row in rows if row["equal_tokens"] and row["difference"]]
        studies += [name] if equal else []
        for row in equal:
            cells.setdefault(label(row), {}).setdefault(name, []).append(figure(row))
    if not studies:
        return ""
    lines = [["strategy", *studies], ["---", *["---:"] * len(studies)]]
    for name in sorted(cells, key=lambda n: n.rpartition(" + ")[::-1]):
        lines.append([name, *(" ".join(cells[name].get(s, ["-"])) for s in studies)])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{READING}\n\n{table}"


def label(row: Mapping[str, Any]) -> str:
    """Return strategy and verifier, without the numbers among the parameters."""
    name, brace, rest = row["strategy"].partition("{")
    told = json.loads(brace + rest) if brace else {}
    if name == "plangen":
        name = f"plangen, {told.get('variant', 'mixture')}"
    elif name in ("direct", "chain_of_thought"):
        return str(name)
    steps = ", on steps" if told.get("scorer") == "verifier" else ""
    judge = "exact" if row["verifier"] == "exact" else "itself"
    return f"{name}{steps} + {judge}"


def figure(row: Mapping[str, Any]) -> str:
    """Return accuracy and difference, marked if the difference is shown."""
    gap = row["difference"]
    text = f"{100 * row['accuracy']:.0f} ({100 * gap['value']:+.0f})"
    shown = gap["low"] > 0 or gap["high"] < 0
    star = "\\*" if row["verdict"] in ("better", "worse") else ""
    return f"**{text}**{star}" if shown else text
