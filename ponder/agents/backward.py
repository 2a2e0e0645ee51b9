"""The four modules of backward chaining, each a small question to a model.

Fact Check, Rule Selection, Goal Decomposition and Sign Agreement of LAMBADA (Kazemi et
al. 2023, https://arxiv.org/abs/2212.13894). Whatever they name is named by its number,
so no fact and no rule can be made up.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal

from ponder.agents._structured import ask, last_json
from ponder.agents.choice import choose
from ponder.agents.theory import numbered
from ponder.context import RunContext
from ponder.messages import Completion
from ponder.result import Task

Verdict = Literal["proved", "disproved", "unknown"]

FACT_PROMPT = """\
Facts:
{facts}

Statement: {goal}

Which fact says most about whether the statement is true or false? Reply in JSON with \
its number, or 0 if none is about the same thing: {{"fact": 0}}"""

CHECK_PROMPT = """\
Fact: {fact}
Statement: {goal}

Take the fact as true, and nothing else. Does that make the statement true, or false, \
or neither? Answer with one word: True, False or Neither."""

CONSEQUENT_PROMPT = """\
Rules:
{rules}

Write for every rule only what it concludes, without its conditions. For "If something \
is red and big, then it is heavy" that is "it is heavy"; for "All cats sleep" it is \
"cats sleep".

Reply in JSON: {{"1": "...", "2": "..."}}"""

SELECT_PROMPT = """\
Statement: {goal}

What the rules conclude:
{consequents}

Which of them say the same as the statement, or its opposite, perhaps of everyone or \
of something of the same kind? One about another property does not count. Reply in \
JSON with their numbers, or none: {{"rules": []}}"""

DECOMPOSE_PROMPT = """\
Rule: {rule}
Statement: {goal}

Someone wants to use the rule to decide the statement. What has to be true first? \
Write each condition of the rule, never its conclusion, as one short full sentence \
about the person or thing in the statement.

Reply in JSON: {{"conditions": ["..."]}}"""

SIGN_PROMPT = """\
Rule: {rule}
Statement: {goal}

The conditions of the rule are met, so its conclusion is true. Is the statement then \
true, or does the rule conclude its opposite? Answer Yes if the statement is true, No \
if the rule makes it false: Yes or No."""

REMINDER = "That could not be read. Reply with the JSON alone."

MOST_CONDITIONS = 8

_IF_THEN = re.compile(r"if\b.+?,?\s+then\s+(.+?)\.?", re.IGNORECASE | re.DOTALL)

_NOTHING = Task(question="-")
"""The modules see their own prompt alone, not the conversation."""


async def select_fact(
    goal: str, facts: Sequence[str], context: RunContext
) -> int | None:
    """Return the index of the fact that is most relevant to a goal.

    Returns:
        ``None`` if there is none, or, with a warning, if it cannot be read.

    Raises:
        OutOfBudget: The budget admits no such call.
        ModelError: The call failed.
    """
    found = await ask(
        _NOTHING,
        FACT_PROMPT.format(facts=numbered(facts), goal=goal),
        lambda completion: _number(completion, "fact", len(facts)),
        context,
        reminder=REMINDER,
        max_tokens=24,
        schema=_object(fact=_choice(0, len(facts))),
    )
    if found is None:
        context.warn("A choice of a fact could not be read: no fact is taken.")
    return found - 1 if found else None


async def check_fact(goal: str, fact: str, context: RunContext) -> Verdict:
    """Say whether a fact alone decides a goal; ``unknown`` too if it cannot be read.

    Raises:
        OutOfBudget: The budget admits no such call.
        ModelError: The call failed.
    """
    prompt = CHECK_PROMPT.format(fact=fact, goal=goal)
    chances = await choose(prompt, ("True", "False", "Neither"), context)
    if chances is None:
        context.warn("A check of a fact could not be read: it decides nothing.")
        return "unknown"
    verdicts: dict[str, Verdict] = {"True": "proved", "False": "disproved"}
    return verdicts.get(max(chances, key=lambda word: chances[word]), "unknown")


async def consequents(rules: Sequence[str], context: RunContext) -> tuple[str, ...]:
    """Return what each rule concludes; the first half of Rule Selection.

    It depends on no goal, so it is asked once for all of them; a rule of the form "if
    ..., then ..." is not asked about.

    Returns:
        One for each rule; the rule itself, with a warning, where none can be read.

    Raises:
        OutOfBudget: The budget admits no such call.
        ModelError: The call failed.
    """
    words = {"type": "string", "minLength": 1, "maxLength": 160}
    formed = [_IF_THEN.fullmatch(rule.strip()) for rule in rules]
    asked = [r for r, match in zip(rules, formed, strict=True) if match is None]
    if not asked:
        return tuple(match[1] for match in formed if match)
    found = await ask(
        _NOTHING,
        CONSEQUENT_PROMPT.format(rules=numbered(asked)),
        lambda completion: _texts(completion, len(asked)),
        context,
        reminder=REMINDER,
        max_tokens=32 + 24 * len(asked),
        schema=_object(**{str(i + 1): words for i in range(len(asked))}),
    )
    if found is None:
        context.warn("What the rules conclude could not be read: they stand whole.")
    said = dict(zip(asked, found or asked, strict=True))
    return tuple(
        match[1] if match else said[rule] or rule
        for rule, match in zip(rules, formed, strict=True)
    )


async def select_rules(
    goal: str, concluded: Sequence[str], context: RunContext
) -> tuple[int, ...]:
    """Return the indices of rules whose conclusion fits a goal, in either sign.

    Returns:
        Ascending; all of them, with a warning, if the reply cannot be read.

    Raises:
        OutOfBudget: The budget admits no such call.
        ModelError: The call failed.
    """
    n = len(concluded)
    numbers = {"type": "array", "items": _choice(1, n), "maxItems": n}
    found = await ask(
        _NOTHING,
        SELECT_PROMPT.format(goal=goal, consequents=numbered(concluded)),
        lambda completion: _numbers(completion, "rules", n),
        context,
        reminder=REMINDER,
        max_tokens=16 + 4 * n,
        schema=_object(rules=numbers),
    )
    if found is None:
        context.warn("A choice of rules could not be read: all of them are tried.")
        return tuple(range(n))
    return tuple(number - 1 for number in found)


async def decompose(goal: str, rule: str, context: RunContext) -> tuple[str, ...]:
    """Return the sub-goals from which a rule decides a goal.

    Returns:
        Without repetitions; empty, with a warning, if they cannot be read: then the
        rule is of no use.

    Raises:
        OutOfBudget: The budget admits no such call.
        ModelError: The call failed.
    """
    words = {"type": "string", "minLength": 1, "maxLength": 200}
    items = {
        "type": "array", "items": words, "minItems": 1, "maxItems": MOST_CONDITIONS,
    }  # fmt: skip
    found = await ask(
        _NOTHING,
        DECOMPOSE_PROMPT.format(rule=rule, goal=goal),
        _conditions,
        context,
        reminder=REMINDER,
        max_tokens=256,
        schema=_object(conditions=items),
    )
    if found is None:
        context.warn(f"The conditions of the rule '{rule}' could not be read.")
    return found or ()


async def sign_agrees(goal: str, rule: str, context: RunContext) -> bool | None:
    """Say whether a rule that fires makes a goal true (or else false).

    Returns:
        ``None``, with a warning, if the reply cannot be read.

    Raises:
        OutOfBudget: The budget admits no such call.
        ModelError: The call failed.
    """
    prompt = SIGN_PROMPT.format(rule=rule, goal=goal)
    chances = await choose(prompt, ("Yes", "No"), context)
    if chances is None:
        context.warn(f"Whether the rule '{rule}' agrees with a goal is unreadable.")
        return None
    return chances["Yes"] >= chances["No"]


def _value(completion: Completion, key: str) -> Any:
    value = last_json(completion.text)
    return value.get(key) if isinstance(value, dict) else None


def _number(completion: Completion, key: str, most: int) -> int | None:
    value = _value(completion, key)
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
    return value if fits else None


def _numbers(completion: Completion, key: str, most: int) -> list[int] | None:
    value = _value(completion, key)
    if not isinstance(value, list):
        return None
    fits = [v for v in value if isinstance(v, int) and not isinstance(v, bool)]
    kept = sorted({v for v in fits if 1 <= v <= most})
    # Numbers of nothing are no empty choice.
    return kept if kept or not value else None


def _texts(completion: Completion, n: int) -> list[str] | None:
    value = last_json(completion.text)
    if not isinstance(value, dict):
        return None
    texts = [value.get(str(i + 1)) for i in range(n)]
    read = [t.strip() if isinstance(t, str) else "" for t in texts]
    return read if any(read) else None


def _conditions(completion: Completion) -> tuple[str, ...] | None:
    value = _value(completion, "conditions")
    if not isinstance(value, list):
        return None
    texts = [" ".join(t.split()) for t in value if isinstance(t, str)]
    return tuple(dict.fromkeys(t for t in texts if t))[:MOST_CONDITIONS] or None


def _choice(low: int, high: int) -> dict[str, Any]:
    # As a list: bounds on integers are lost in some grammars.
    return {"type": "integer", "enum": list(range(low, high + 1))}


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
