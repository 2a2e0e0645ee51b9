"""A study as one Markdown text that a person reads from top to bottom."""

from collections.abc import Iterator, Sequence

from ponder.evals.cells import Setting
from ponder.evals.report.formats import markdown_table, percent
from ponder.evals.report.plots import Kind, Plot
from ponder.evals.report.sections import (
    against,
    budget,
    chosen,
    controls,
    coverages,
    endings,
    fitted,
    front,
    judges,
    results,
    roles,
)
from ponder.evals.report.study import Study
from ponder.evals.report.table import Row

READING = """\
Numbers in brackets are {level:.0%} intervals, clustered by problem. Tokens, seconds \
and money are means per problem, of the runs that did not fail; tokens count \
{counted} of all roles, verifiers included. Accuracy is that of the selected answer. A \
run whose answer could not be read, or that failed, counts as not correct there, and \
is counted in its own column. Coverage is the share of problems with a right answer \
among all attempts: the most that any selection could reach. pass@1 is the mean share \
of right attempts."""

AGAINST = """\
Paired over problems; differences in percentage points. p-values are corrected after \
Holm for all {tests} tests against baselines of this report. Better and worse are said \
only where the interval excludes 0 and the corrected p-value is at most {alpha:.2g}."""

EQUAL = """\
**At equal total tokens**: self-consistency with as many samples as the tokens of the \
strategy pay for."""

COMPUTED = """\
**At equal computed tokens**: self-consistency with as many samples as the computed \
tokens of the strategy pay for."""

PLAIN = """\
**As they are**: direct answers and one chain of thought, whatever they cost."""

COVERAGE = """\
Coverage of k attempts in percent, beside the accuracy of the selected answers of the \
same runs, and the fitted law log c = a k^b. Effective is how many independent votes \
scatter as much as the attempts at a problem do. Far below the number of attempts, \
problems differ in how hard they are for the model: its attempts err together."""

JUDGES = """\
Over all attempts whose truth is known. The limit is the accuracy of resampling until \
an attempt is accepted, however long: the mean over problems. Best samples is how \
often to resample at most if a right answer is worth 1, a wrong one costs 1, \
abstaining and sampling nothing; 0 means not to answer at all."""

CONTROLS = """\
The same strategy with random scores in place of its verifier. Blind choice is what \
picking any of the control's attempts is expected to reach. The p-values here are \
corrected for the tests against controls."""


ALLOCATION = """\
The computation allocation model (Yue et al. 2024, equation 2) for k documents, m \
demonstrations and n iterations: sigma^-1(P) = a log(theta + 0.01) + c, with P the \
mean {metric}. For each budget of context the model fitted to one half of the problems \
chooses, and so does who takes what was the best in that half; both choices are \
measured on the other half, in turn. Most is the most that any configuration reached \
there, which nobody can know before."""


def markdown(
    study: Study,
    plots: Sequence[Plot],
    *,
    title: str,
    notes: Sequence[str] = (),
    sealed_reads: int | None = None,
) -> str:
    """Return the whole report.

    Args:
        study: The results.
        plots: The drawings; they are looked for in ``plots`` beside the text.
        title: First heading.
        notes: Paragraphs under the title.
        sealed_reads: How often the sealed problems have been read so far.
    """
    return (
        "\n\n".join(
            part.strip() for part in _parts(study, plots, title, notes, sealed_reads)
        )
        + "\n"
    )


def _parts(
    study: Study,
    plots: Sequence[Plot],
    title: str,
    notes: Sequence[str],
    sealed_reads: int | None,
) -> Iterator[str]:
    yield f"# {title}"
    yield from notes
    if sealed_reads is not None:
        times = "once" if sealed_reads == 1 else f"{sealed_reads:,} times"
        yield f"The sealed problems have been read {times}, this study included."
    yield "## What was measured"
    if not study.rows:
        yield "Nothing: the study has no cells."
        return
    settings = _settings(study)
    yield _measured(study, settings)
    computed = any(row.count == "computed" for row in study.comparisons)
    counted = (
        "output, and input that no cache served," if computed else "input and output"
    )
    yield READING.format(level=study.level, counted=counted)
    for setting in settings:
        yield from _section(study, plots, setting, several=_several(settings))


def _settings(study: Study) -> list[Setting]:
    places = dict.fromkeys(row.place for row in study.rows)
    return [Setting(task=t, model=m, seed=s) for t, m, s in places]


def _several(settings: Sequence[Setting]) -> bool:
    """Whether a task appears under more than one model or seed."""
    return len({setting.task for setting in settings}) < len(settings)


def _measured(study: Study, settings: Sequence[Setting]) -> str:
    head = (
        "Task",
        "Model",
        "Seed",
        "Problems",
        "Runs",
        "Strategies",
        "Budgets (tokens)",
        "Unreadable %",
        "Failed %",
    )
    groups = [[r for r in study.rows if r.place == s.place] for s in settings]
    return markdown_table(
        head, [_overview(rows) for rows in groups], text={"Task", "Model"}
    )


def _overview(rows: Sequence[Row]) -> tuple[str, ...]:
    runs = sum(row.runs for row in rows)
    unreadable, failed = sum(r.unreadable for r in rows), sum(r.failed for r in rows)
    few, many = min(row.problems for row in rows), max(row.problems for row in rows)
    limits = sorted({r.budget_tokens for r in rows}, key=lambda b: (b is None, b or 0))
    return (
        rows[0].task,
        rows[0].model,
        str(rows[0].seed),
        str(many) if few == many else f"{few} to {many}",
        f"{runs:,}",
        str(len({row.label for row in rows})),
        "; ".join(map(budget, limits)),
        percent(unreadable / runs if runs else None),
        percent(failed / runs if runs else None),
    )


def _section(
    study: Study, plots: Sequence[Plot], setting: Setting, several: bool
) -> Iterator[str]:
    place = setting.place
    rows = [row for row in study.rows if row.place == place]
    more = f", {setting.model}, seed {setting.seed}" if several else ""
    yield f"## {setting.task}{more}"
    yield results(rows)
    yield from _comparisons(study, setting)
    yield from _curves(study, plots, setting)
    yield from _verifiers(study, plots, setting)
    yield from _allocations(study, setting)
    yield "### Tokens by role"
    yield roles(rows)
    yield "### How the runs ended"
    yield endings(rows)
    yield from _errors(rows)


def _comparisons(study: Study, setting: Setting) -> Iterator[str]:
    rows = [row for row in study.comparisons if row.place == setting.place]
    if rows:
        tests = sum(row.p_value is not None for row in study.comparisons)
        yield "### Against the baselines"
        yield AGAINST.format(tests=tests, alpha=1 - study.level)
    for about, equal in ((EQUAL, True), (PLAIN, False)):
        table = [row for row in rows if row.equal_tokens is equal]
        if table:
            computed = equal and table[0].count == "computed"
            yield COMPUTED if computed else about
            yield against(table)


def _curves(study: Study, plots: Sequence[Plot], setting: Setting) -> Iterator[str]:
    for cost in study.costs:
        if cost.place == setting.place:
            yield "### Accuracy over tokens"
            yield from _images(plots, setting, "cost")
            yield "On the Pareto front:"
            yield front(cost)
    found = [curve for curve in study.coverages if curve.place == setting.place]
    if found:
        yield "### Coverage over attempts"
        yield COVERAGE
        yield from _images(plots, setting, "coverage")
        yield coverages(found)


def _verifiers(study: Study, plots: Sequence[Plot], setting: Setting) -> Iterator[str]:
    found = [row for row in study.verifiers if row.place == setting.place]
    if found:
        yield "### Verifiers"
        yield JUDGES
        yield from _images(plots, setting, "calibration")
        yield judges(found)
    paired = [row for row in study.controls if row.place == setting.place]
    if paired:
        yield "### Random-scorer control"
        yield CONTROLS
        yield controls(paired)
    alone = [row for row in study.uncontrolled if row.place == setting.place]
    if alone:
        labels = ", ".join(dict.fromkeys(row.label for row in alone))
        yield f"No random control was run for: {labels}."


def _allocations(study: Study, setting: Setting) -> Iterator[str]:
    for allocation in study.allocations:
        if allocation.place == setting.place:
            metric = "score" if allocation.metric == "score" else "accuracy"
            yield "### Allocation of context"
            yield ALLOCATION.format(metric=metric)
            yield fitted(allocation)
            yield chosen(allocation)


def _images(plots: Sequence[Plot], setting: Setting, kind: Kind) -> Iterator[str]:
    for plot in plots:
        if plot.place == setting.place and plot.kind == kind:
            path = f"plots/{plot.name}"
            yield f"![{setting.task}: {kind}]({path}.png)\n\n[SVG]({path}.svg)"


def _errors(rows: Sequence[Row]) -> Iterator[str]:
    lines = [
        f"- {row.label}, budget {budget(row.budget_tokens)}: {message} ({count})"
        for row in rows
        for message, count in row.errors.items()
    ]
    if lines:
        yield "What the failed runs said:\n\n" + "\n".join(lines)
