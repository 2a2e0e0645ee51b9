"""The tables of a report, each as Markdown."""

from collections.abc import Sequence

from ponder.evals.allocation import NAMES, Theta
from ponder.evals.report.allocation import Allocation
from ponder.evals.report.comparison import Comparison
from ponder.evals.report.controls import ControlRow
from ponder.evals.report.curves import CostCurve, CoverageCurve
from ponder.evals.report.formats import (
    NOTHING,
    counts,
    gap,
    markdown_table,
    money,
    number,
    p_value,
    percent,
    with_interval,
)
from ponder.evals.report.table import Row
from ponder.evals.report.verifiers import LARGEST, VerifierRow

TEXT = {
    "Strategy",
    "Verifier",
    "Verdict",
    "Against",
    "Stop reasons",
    "Substitutes",
    "Note",
}
"""Columns that hold text."""


def budget(tokens: int | None) -> str:
    """Return the limit of a run in tokens."""
    return "none" if tokens is None else f"{tokens:,}"


def results(rows: Sequence[Row]) -> str:
    """Return what each strategy reached, and for what.

    Partial credit and support are columns only where a row has some.
    """
    partial = {
        "Score %": [row.score for row in rows],
        "Support recall %": [row.support for row in rows],
    }
    more = {name: v for name, v in partial.items() if any(x is not None for x in v)}
    head = (
        "Strategy",
        "Budget",
        "Accuracy %",
        *more,
        "Coverage %",
        "Attempts",
        "pass@1 %",
        "Tokens",
        "Critical path",
        "Seconds",
        "Money",
        "Unreadable",
        "Failed",
    )
    return markdown_table(
        head,
        [
            (
                row.label,
                budget(row.budget_tokens),
                with_interval(row.accuracy),
                *(percent(values[i]) for values in more.values()),
                with_interval(row.coverage),
                number(row.tried.per_run, 1),
                percent(row.tried.right),
                number(row.spent.tokens),
                number(row.spent.critical_tokens),
                number(row.spent.seconds, 1),
                money(row.spent.cost),
                str(row.unreadable),
                str(row.failed),
            )
            for i, row in enumerate(rows)
        ],
        text=TEXT,
    )


def roles(rows: Sequence[Row]) -> str:
    """Return who used the tokens; roles that no strategy has are no columns."""
    names = list(dict.fromkeys(role for row in rows for role in row.spent.by_role))
    head = ("Strategy", "Budget", *names, "Total", "Input", "of it cached", "Output")
    return markdown_table(
        head,
        [
            (
                row.label,
                budget(row.budget_tokens),
                *(number(row.spent.by_role.get(name)) for name in names),
                number(row.spent.tokens),
                number(row.spent.input_tokens),
                number(row.spent.cached_tokens),
                number(row.spent.output_tokens),
            )
            for row in rows
        ],
        text=TEXT,
    )


def against(rows: Sequence[Comparison]) -> str:
    """Return the comparisons with the baselines."""
    head = (
        "Strategy",
        "Verdict",
        "Against",
        "Budget",
        "Tokens",
        "Tokens of baseline",
        "Accuracy %",
        "Baseline %",
        "Difference",
        "p (Holm)",
        "Note",
    )
    return markdown_table(
        head,
        [
            (
                row.label,
                row.verdict,
                baseline(row),
                budget(row.budget_tokens),
                number(row.tokens),
                number(row.baseline_tokens),
                percent(row.accuracy),
                percent(row.baseline_accuracy),
                gap(row.difference),
                p_value(row.p_corrected),
                row.note,
            )
            for row in rows
        ],
        text=TEXT,
    )


def baseline(row: Comparison) -> str:
    """Return the baseline of a comparison, with the samples that it was given."""
    if row.baseline_samples is None:
        return row.against
    return f"{row.against}, {row.baseline_samples:.1f} samples"


def front(curve: CostCurve) -> str:
    """Return the points of the Pareto front, cheapest first."""
    points = sorted((p for p in curve.points if p.on_front), key=lambda p: p.tokens)
    return markdown_table(
        ("Strategy", "Budget", "Tokens", "Accuracy %"),
        [
            (
                point.label,
                budget(point.budget_tokens),
                number(point.tokens),
                with_interval(point.accuracy),
            )
            for point in points
        ],
        text=TEXT,
    )


def fitted(allocation: Allocation) -> str:
    """Return the coefficients of the allocation model, and how well they fit."""
    model = allocation.fitted
    found = [(f"a_{n}", model.a[n]) for n in NAMES if n in model.a] + [("c", model.c)]
    lines = []
    for name, coefficient in found:
        bounds = (coefficient.low, coefficient.high)
        ends = " to ".join("not known" if x is None else f"{x:+.2f}" for x in bounds)
        lines.append(f"{name} = {coefficient.value:+.2f} ({ends})")
    constant = "".join(f"; {n} was always {v}" for n, v in model.constant.items())
    return (
        f"Fitted to {model.observations} configurations: {', '.join(lines)}{constant}. "
        f"R^2 = {model.r2:.2f}."
    )


def chosen(allocation: Allocation) -> str:
    """Return what is chosen for each budget of context, and what it reached."""
    head = (
        "Context at most",
        "Configurations",
        "Model chooses (k, m, n)",
        "Reached %",
        "Best found (k, m, n)",
        "Reached %",
        "Most %",
    )
    return markdown_table(
        head,
        [
            (
                f"{choice.budget:,}",
                str(choice.candidates),
                _thetas([half.fitted for half in choice.halves]),
                percent(choice.mean("fitted_measured")),
                _thetas([half.found for half in choice.halves]),
                percent(choice.mean("found_measured")),
                percent(choice.mean("most")),
            )
            for choice in allocation.choices
        ],
        text={head[2], head[4]},
    )


def _thetas(thetas: Sequence[Theta]) -> str:
    return ", ".join(dict.fromkeys(f"({t.k}, {t.m}, {t.n})" for t in thetas))


def coverages(curves: Sequence[CoverageCurve]) -> str:
    """Return coverage over k, the fitted law and the worth of the attempts."""
    most = max((curve.points[-1][0] for curve in curves), default=1)
    ks = [2**i for i in range(most.bit_length())]
    head = (
        "Strategy",
        "Budget",
        *(f"k={k}" for k in ks),
        "Largest k",
        "Selected",
        "a",
        "b",
        "Attempts",
        "Effective",
    )
    rows = [_coverage(curve, ks) for curve in curves]
    return markdown_table(head, rows, text=TEXT)


def _coverage(curve: CoverageCurve, ks: Sequence[int]) -> tuple[str, ...]:
    reached = dict(curve.points)
    last, share = curve.points[-1]
    return (
        curve.label,
        budget(curve.budget_tokens),
        *(percent(reached.get(k)) for k in ks),
        f"{percent(share)} (k={last})",
        percent(curve.selected),
        number(None if curve.law is None else curve.law.a, 2),
        number(None if curve.law is None else curve.law.b, 2),
        number(curve.attempts, 1),
        number(curve.effective, 1),
    )


def judges(rows: Sequence[VerifierRow]) -> str:
    """Return how good each verifier is."""
    head = (
        "Verifier",
        "Attempts",
        "Unscored",
        "Accepts wrong %",
        "Accepts right %",
        "Limit c/(c+f) %",
        "AUC",
        "AUC in a problem",
        "Calibration error",
        "Brier",
        "Best samples",
    )
    return markdown_table(
        head,
        [
            (
                row.verifier,
                str(row.attempts),
                str(row.unscored),
                with_interval(row.false_positive_rate),
                with_interval(row.true_positive_rate),
                percent(row.limit),
                number(row.auc, 2),
                number(row.auc_within, 2),
                number(row.calibration_error, 2),
                number(row.brier, 2),
                best_samples(row),
            )
            for row in rows
        ],
        text=TEXT,
    )


def best_samples(row: VerifierRow) -> str:
    """Return the best number of samples; the largest considered has no end in sight."""
    if row.best_samples is None:
        return NOTHING
    return (
        f"{LARGEST} or more" if row.best_samples == LARGEST else f"{row.best_samples}"
    )


def controls(rows: Sequence[ControlRow]) -> str:
    """Return the strategies beside their random controls."""
    head = (
        "Strategy",
        "Verdict",
        "Budget",
        "Accuracy %",
        "Random scores %",
        "Blind choice %",
        "Difference",
        "p (Holm)",
        "Note",
    )
    return markdown_table(
        head,
        [
            (
                row.label,
                row.verdict,
                budget(row.budget_tokens),
                percent(row.accuracy),
                percent(row.random_accuracy),
                percent(row.blind_choice),
                gap(row.difference),
                p_value(row.p_corrected),
                row.note,
            )
            for row in rows
        ],
        text=TEXT,
    )


def endings(rows: Sequence[Row]) -> str:
    """Return how the runs ended, and what went wrong in them."""
    head = (
        "Strategy",
        "Budget",
        "Runs",
        "Stop reasons",
        "Unreadable",
        "Failed",
        "Attempts",
        "truncated",
        "unreadable",
        "failed",
        "Substitutes",
    )
    return markdown_table(
        head,
        [
            (
                row.label,
                budget(row.budget_tokens),
                str(row.runs),
                counts(row.stop_reasons),
                str(row.unreadable),
                str(row.failed),
                str(row.tried.attempts),
                str(row.tried.truncated),
                str(row.tried.unreadable),
                str(row.tried.failed),
                counts(row.substitutes),
            )
            for row in rows
        ],
        text=TEXT,
    )
