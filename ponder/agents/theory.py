"""The role that reads facts, rules and the statement in question out of a text."""

import re
from collections.abc import Sequence
from typing import Any, Literal, Protocol, get_args

from ponder.agents._structured import ask, last_json
from ponder.context import RunContext
from ponder.messages import Completion, Value
from ponder.models.base import Model
from ponder.result import Task

GOAL_PROMPT = """\
{question}

Which statement does the text above ask to judge true or false? Write it as one plain \
sentence, without the words that ask. If the text asks for something else, leave it \
empty.

Reply in JSON: {{"goal": "..."}}"""

KINDS_PROMPT = """\
{numbered}

Say of every sentence whether it is a fact or a rule.
- fact: it tells something about one certain person, thing or event, without a \
condition. "Tom is a cat." is a fact.
- rule: it says what follows from something else, or what holds for all or for none of \
a kind. "People who swim are fit." is a rule.

Reply in JSON: {{"1": "fact", "2": "rule"}}"""

REMINDER = "That could not be read. Reply with the JSON alone."

_RULE = re.compile(
    r"(?:if|all|every|everyone|everybody|each|any|anyone|no|none|whoever|whenever|when)\b"
    r"|.*\b(?:if|then|implies)\b",
    re.IGNORECASE,
)
_GOAL = re.compile(
    r"\s*(?:conclusion|statement|hypothesis|claim)\s*:\s*(.+)"
    r"|.*?\b(?:follow|true|false|the case|prove|correct)\b.*?\bthat\s+(.+)",
    re.IGNORECASE,
)

_MARK = re.compile(r"^\s*(?:[-*•]|\d{1,3}[.)])\s+")
_HEADING = re.compile(r"^\s*([^.!?:]{1,40}):\s*$")
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'(\d])")

Kind = Literal["fact", "rule"]


class Theory(Value):
    """Facts and rules, and the statement that they are to decide."""

    facts: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    goal: str
    """Empty if the text asks for something else."""


class TheoryReader(Protocol):
    """Reads the theory of a question. See ``theory_reader``."""

    async def __call__(self, task: Task, context: RunContext) -> Theory:
        """Return facts and rules, in the words of the question.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def theory_reader(*, model: Model | None = None) -> TheoryReader:
    """Return who reads theories.

    What the form of the question tells is not asked: headings (``Facts:``, ``Rules:``),
    sentences with if, all, every or no, and a goal in ``Conclusion: ...`` or ``... that
    ...?``. The model names the goal where there is none of that form, and tells facts
    from rules among the other sentences; it cannot add any. What it says twice without
    being readable is a fact, with a warning.

    Args:
        model: Who reads; by default the model of the run.
    """

    async def read(task: Task, context: RunContext) -> Theory:
        context = context.acting("reader")
        theory = by_form(task.question)
        if not theory.goal:
            goal = await _goal(task, context.at("goal"), model)
            theory = theory.model_copy(update={"goal": goal})
        if not theory.goal or "facts" in headings(task.question):
            return theory
        rules = await _rules_among(theory.facts, task, context.at("kinds"), model)
        given = premises(task.question)
        kept = {*theory.rules, *rules}
        return Theory(
            facts=tuple(s for s in given if s not in kept),
            rules=tuple(s for s in given if s in kept),
            goal=theory.goal,
        )

    return read


read_theory = theory_reader()
"""Who reads theories, with its defaults."""


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, without list marks and headings."""
    return [sentence for sentence, _ in _under_headings(text)]


def headings(text: str) -> set[str]:
    """Return the headings of a text, in lower case."""
    found = (_HEADING.match(line) for line in text.splitlines())
    return {match[1].lower() for match in found if match}


def stated(text: str) -> list[str]:
    """Return the sentences of a text that could be part of a theory: no questions."""
    return [s for s in sentences(text) if not s.endswith("?") and "\\boxed" not in s]


def numbered(items: Sequence[str], start: int = 1) -> str:
    """Return texts as lines ``1. text``."""
    return "\n".join(f"{i}. {item}" for i, item in enumerate(items, start))


def by_form(text: str) -> Theory:
    """Sort the sentences of a question by their form.

    One that asks about a statement names the goal; what comes after it is taken for
    instructions, unless it comes first. What is neither below a heading ``Rules:`` nor
    formed like a rule counts as a fact.
    """
    given = _under_headings(text)
    asked = [(s, m) for s, _ in given if (m := _GOAL.match(s))]
    # An instruction may speak of statements too, but does not ask.
    asked.sort(key=lambda found: not (found[0].endswith("?") or found[1][1]))
    asking, goal = "", ""
    if asked:
        asking, match = asked[0]
        goal = (match[1] or match[2]).strip().rstrip("?")
    order = [sentence for sentence, _ in given]
    end = order.index(asking) if asking in order[1:] else len(order)
    usable = {*stated(text)} - {asking}
    rest = [(s, heading) for s, heading in given[:end] if s in usable]
    rules = tuple(s for s, h in rest if h == "rules" or _is_rule(s, h))
    facts = tuple(s for s, _ in rest if s not in rules)
    return Theory(facts=facts, rules=rules, goal=goal)


def premises(text: str) -> list[str]:
    """Return the sentences of a question that an answer can rest on, by their form.

    The question itself, a statement that is to be judged, and instructions after it
    are not among them.
    """
    theory = by_form(text)
    return [s for s in sentences(text) if s in {*theory.facts, *theory.rules}]


Words = tuple[str, str, str]
"""What to answer where the goal is proved, disproved, or neither."""

_WORDS: tuple[tuple[re.Pattern[str], Words], ...] = tuple(
    (re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), words)
    for pattern, words in (
        ("yes", ("yes", "no", "no")),
        ("uncertain", ("True", "False", "Uncertain")),
        ("unknown", ("True", "False", "Unknown")),
        ("invalid", ("valid", "invalid", "invalid")),
    )
)


def answer_words(question: str) -> Words:
    """Return the words that a question wants for proved, disproved, and neither.

    A question for yes or no, or for valid or invalid, asks whether a statement
    follows: one that is not decided does not. Others are answered True, False,
    Unknown. What is wanted stands in the last paragraph.
    """
    wanted = question.strip().rpartition("\n\n")[2]
    found = [words for pattern, words in _WORDS if pattern.search(wanted)]
    return found[0] if found else ("True", "False", "Unknown")


def _under_headings(text: str) -> list[tuple[str, str]]:
    """Return the sentences of a text, each with the heading of its paragraph."""
    heading, found = "", list[tuple[str, str]]()
    for line in text.splitlines():
        if match := _HEADING.match(line):
            heading = match[1].lower()
        elif not line.strip():
            heading = ""
        else:
            bare = _MARK.sub("", line).strip()
            found += [(s.strip(), heading) for s in _END.split(bare) if s.strip()]
    return found


def _is_rule(sentence: str, heading: str) -> bool:
    return heading != "facts" and _RULE.match(sentence) is not None


async def _goal(task: Task, context: RunContext, model: Model | None) -> str:
    """Return the statement to be judged; empty, with a warning if unreadable."""

    def read(completion: Completion) -> str | None:
        value = last_json(completion.text)
        found = value.get("goal") if isinstance(value, dict) else None
        return found.strip() if isinstance(found, str) else None

    text = {"type": "string", "maxLength": 300}
    found = await ask(
        task,
        GOAL_PROMPT.format(question=task.question),
        read,
        context,
        reminder=REMINDER,
        max_tokens=112,
        schema=_object(goal=text),
        model=model,
    )
    if found is None:
        context.warn("The statement to be judged could not be read.")
    match = _GOAL.match(found or "")
    return (match[1] or match[2]).rstrip("?") if match else found or ""


async def _rules_among(
    given: Sequence[str], task: Task, context: RunContext, model: Model | None
) -> set[str]:
    """Return the sentences that the model takes for rules."""
    if not given:
        return set()

    def read(completion: Completion) -> set[str] | None:
        value = last_json(completion.text)
        if not isinstance(value, dict):
            return None
        kinds = [value.get(str(i)) for i in range(1, len(given) + 1)]
        told = {s for s, kind in zip(given, kinds, strict=True) if kind == "rule"}
        return told if any(kind in get_args(Kind) for kind in kinds) else None

    kind = {"type": "string", "enum": list(get_args(Kind))}
    found = await ask(
        task,
        KINDS_PROMPT.format(numbered=numbered(given)),
        read,
        context,
        reminder=REMINDER,
        max_tokens=32 + 8 * len(given),
        schema=_object(**{str(i): kind for i in range(1, len(given) + 1)}),
        model=model,
    )
    if found is None:
        context.warn(
            "The model's replies do not say which sentences are facts and which are "
            "rules: they are told apart by their form."
        )
    return found or set()


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
