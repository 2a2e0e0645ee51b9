"""How a result is shown: the answer on standard output, the rest beside it."""

import sys

from ponder.cli.board import verdict_text
from ponder.cli.console import is_terminal, put, say, usage_line, write
from ponder.cli.errors import ExitCode
from ponder.drawing import one_line
from ponder.passages import Citation
from ponder.result import Result, StopReason

REASONS = {
    StopReason.FINISHED: "the strategy came to its end",
    StopReason.VERIFIED: "a verifier accepted the answer",
    StopReason.AGREED: "the leading answer is unlikely to be overtaken",
}

CLAIM_WIDTH = 100
"""Columns of the claim of a citation."""

RAISED = {
    StopReason.TOKENS,
    StopReason.SECONDS,
    StopReason.CALLS,
    StopReason.COST,
}
"""Limits that an option of the command line can raise."""


def show_result(result: Result, *, as_json: bool, text_shown: bool = False) -> ExitCode:
    """Show a result.

    Args:
        result: What to show.
        as_json: One JSON object on standard output and nothing else.
        text_shown: The reasoning was on the screen already.

    Returns:
        The exit code that tells whether there is an answer.
    """
    if as_json:
        put_json(result.model_dump_json())
    else:
        show_answer(result, text_shown=text_shown)
        for line, style in details(result):
            say(line, style)
    return ExitCode.NO_ANSWER if result.answer is None else ExitCode.ANSWER


def put_json(data: str) -> None:
    """Write JSON to standard output, in ASCII where the encoding is not UTF-8."""
    encoding = (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    if encoding.replace("-", "") != "utf8":
        # Outside ASCII only string contents remain, so that escapes are valid JSON.
        data = "".join(c if c.isascii() else _escaped(c) for c in data)
    write(data)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def show_answer(result: Result, *, text_shown: bool = False) -> None:
    """Show the answer, and on a terminal the reasoning that led to it.

    Args:
        result: What to show.
        text_shown: The reasoning was on the screen already.
    """
    reasoning = result.text.strip()
    wanted = is_terminal(sys.stderr) and not text_shown
    if wanted and reasoning and reasoning != (result.answer or "").strip():
        say(f"\n{reasoning}\n", "dim")
    if result.answer is None:
        say("No answer could be found within the budget.", "bold yellow")
    else:
        put(result.answer, "bold green")


def details(result: Result, *, brief: bool = False) -> list[tuple[str, str]]:
    """Return lines with styles that tell of a result all but its answer.

    Args:
        result: What to tell of.
        brief: Leave out what is as expected.
    """
    lines = [(usage_line(result.usage), "dim")]
    if not brief or result.answer is None:
        lines.insert(0, (_how_sure(result), "dim"))
    if result.verdict is not None:
        lines.append((f"Verdict: {verdict_text(result.verdict)}", "dim"))
    for note in result.substitutes:
        lines.append((f"Substitute: {note.used}, for want of {note.missing}", "yellow"))
    lines += [_cited(citation) for citation in result.citations]
    told = [(c.passage.place, _claim(c)[:40]) for c in result.citations]
    lines += [
        (f"Warning: {warning}", "yellow")
        for warning in result.warnings
        # A citation without support was told with its score already.
        if not any(place in warning and claim in warning for place, claim in told)
    ]
    if not brief:
        lines.append((f"Thoughts: ponder show {result.run_id}", "dim"))
    if result.answer is None and result.stop_reason in RAISED:
        option = f"--budget-{result.stop_reason.value} MORE"
        lines.append(
            (f"Go on with more: ponder resume {result.run_id} {option}", "dim")
        )
    return lines


def _cited(citation: Citation) -> tuple[str, str]:
    """Return a line for a citation, and its style."""
    word, style = {
        True: ("supported", "green"),
        False: ("NOT SUPPORTED", "yellow"),
        None: ("not checked", "dim"),
    }[citation.supported]
    score = "" if citation.score is None else f" {citation.score:.2f}"
    claim = one_line(_claim(citation), CLAIM_WIDTH)
    return f"Cites {citation.passage.place}: {word}{score}: {claim}", style


def _claim(citation: Citation) -> str:
    return " ".join(citation.claim.split())


def _how_sure(result: Result) -> str:
    reason = REASONS.get(result.stop_reason)
    why = reason or f"the limit of {result.stop_reason.value.replace('_', ' ')} is met"
    stopped = f"Stopped: {result.stop_reason.value} ({why})"
    if result.confidence is None:
        return stopped
    return f"Confidence {result.confidence:.2f} · {stopped}"
