"""Numbers and tables as text: for Markdown, and flat for CSV."""

import csv
import io
from collections.abc import Collection, Iterable, Mapping, Sequence

from ponder.evals.cells import Estimate
from ponder.messages import Value

NOTHING = "-"
ENDS = ("low", "high")


def percent(share: float | None) -> str:
    """Return a share in percent with one decimal, without the sign."""
    return NOTHING if share is None else _signless(100 * share)


def with_interval(estimate: Estimate | None) -> str:
    """Return shares in percent, such as ``46.7 (33.1 - 60.8)``."""
    if estimate is None:
        return NOTHING
    low, high = _signless(100 * estimate.low), _signless(100 * estimate.high)
    # "-3.0 - -1.0" cannot be read, so negative bounds are joined by a word.
    joint = " to " if estimate.low < 0 else " - "
    return f"{_signless(100 * estimate.value)} ({low}{joint}{high})"


def gap(estimate: Estimate | None) -> str:
    """Return a difference of shares in points, such as ``+4.0 (-1.2 to +9.2)``."""
    if estimate is None:
        return NOTHING
    value, low, high = (
        f"{_zero(round(100 * x, 1)):+.1f}"
        for x in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} ({low} to {high})"


def number(value: float | None, decimals: int = 0) -> str:
    """Return a number with a comma between thousands."""
    return (
        NOTHING if value is None else f"{_zero(round(value, decimals)):,.{decimals}f}"
    )


def p_value(p: float | None) -> str:
    """Return a p-value to three decimals."""
    if p is None:
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def money(dollars: float | None) -> str:
    """Return US dollars to two significant digits; no price is ``not known``."""
    if dollars is None:
        return "not known"
    return f"${dollars:.2g}" if 0 < dollars < 0.01 else f"${dollars:.2f}"


def counts(found: Mapping[str, int]) -> str:
    """Return counted things, such as ``finished 40, tokens 10``."""
    return ", ".join(f"{name} {n}" for name, n in found.items()) or NOTHING


def markdown_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, text: Collection[str]
) -> str:
    """Return a GitHub table.

    Args:
        head: Titles of the columns.
        rows: Cells, as many in each as there are titles.
        text: Titles of the columns that hold text; the others are aligned to the
            right.
    """
    line = ["---" if title in text else "---:" for title in head]
    body = [[_cell(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(r)} |" for r in [list(head), line, *body]) + "\n"


def as_csv(rows: Sequence[Value]) -> str:
    """Return rows as CSV.

    A nested field becomes ``outer_inner``, an estimate three columns (``accuracy``,
    ``accuracy_low``, ``accuracy_high``), counts one text. Columns are those of all
    rows together: a role may occur in some only.
    """
    flat = [flatten(row) for row in rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(c for row in flat for c in row)))
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue()


def flatten(row: Value, prefix: str = "") -> dict[str, object]:
    """Return the fields of a row as plain values; see ``as_csv``."""
    found: dict[str, object] = {}
    for field, info in type(row).model_fields.items():
        name, value = f"{prefix}{field}", getattr(row, field)
        if info.annotation in (Estimate, Estimate | None):
            found |= {name: value and value.value}
            found |= {f"{name}_{end}": value and getattr(value, end) for end in ENDS}
        elif isinstance(value, Value):
            found |= flatten(value, f"{name}_")
        elif info.annotation == dict[str, float]:
            found |= {f"{name}_{key}": number for key, number in value.items()}
        elif isinstance(value, dict):
            found[name] = "; ".join(f"{key} {n}" for key, n in value.items())
        else:
            found[name] = value
    return found


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _signless(value: float) -> str:
    return f"{_zero(round(value, 1)):.1f}"


def _zero(value: float) -> float:
    """Turn a negative zero into zero."""
    return value + 0.0
