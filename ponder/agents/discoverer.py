"""The role that composes a reasoning structure for a kind of task."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from ponder.agents._lists import array_of_texts, texts_in
from ponder.agents._structured import ask, last_json
from ponder.agents.reasoning_modules import MODULES
from ponder.context import RunContext
from ponder.errors import InvalidParameter
from ponder.messages import Completion, Value
from ponder.result import Task

SELECT_PROMPT = """\
Tasks of one kind have to be solved, such as:

{tasks}

Do not solve them. Which of these ways of reasoning are useful for tasks of this kind?

{modules}

Choose at most {most}. Reply in JSON with their numbers, the most useful first: \
{{"modules": [<number>, <number>]}}"""

ADAPT_PROMPT = """\
Tasks of one kind have to be solved, such as:

{tasks}

Do not solve them. Rewrite each of these ways of reasoning so that it says what to do \
in tasks of this kind, in one short sentence each:

{modules}

Reply in JSON, with the sentences in the same order: {{"modules": ["...", "..."]}}"""

IMPLEMENT_PROMPT = """\
Tasks of one kind have to be solved, such as:

{tasks}

Do not solve them. Turn these instructions into a plan that works for every task of \
this kind:

{modules}

A plan is a list of at most {longest} steps in their order. Each has a short name and \
says what is to be worked out and written down there, without any values. For example, \
a plan for telling which of two offers is cheaper:
{example}

Reply in JSON: {{"steps": [{{"name": "...", "do": "..."}}]}}"""

EXAMPLE = """\
{"steps": [{"name": "Offers", "do": "price and amount of each offer"}, \
{"name": "Unit prices", "do": "price divided by amount, for each offer"}, \
{"name": "Comparison", "do": "which unit price is lower, and by how much"}]}"""
"""A structure written by hand for another task, which the paper shows the model too."""

T = TypeVar("T")

REMINDER = "That could not be read. Reply in the JSON form that was asked for, alone."

LONGEST_NAME, LONGEST_TEXT = 60, 200
"""Characters."""

_NUMBERS = re.compile(r"\s*\[?\s*(\d+(?:\s*,\s*\d+)*)\s*\]?\s*\.?\s*")


class Step(Value):
    """A key of a reasoning structure."""

    name: str
    """The key."""
    do: str
    """What its value is to say."""


@dataclass(frozen=True)
class Discovery:
    """A reasoning structure, and how it came about."""

    selected: tuple[str, ...]
    adapted: tuple[str, ...]
    steps: tuple[Step, ...]
    whole: bool = True
    """Whether the model wrote all of it; ``False`` if something had to stand in."""


class Discoverer(Protocol):
    """Composes reasoning structures. See ``discoverer``."""

    async def __call__(self, tasks: Sequence[str], context: RunContext) -> Discovery:
        """Return a structure for a kind of task.

        Args:
            tasks: Tasks of the kind, without answers; or a description of it.
            context: The place of the calls: ``select``, ``adapt`` and ``implement``.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: A call failed.
        """
        ...


def discoverer(
    *,
    modules: Sequence[str] = MODULES,
    most: int = 5,
    longest: int = 8,
    max_tokens: int = 768,
) -> Discoverer:
    """Return the first stage of Self-Discover: three calls for each kind of task.

    Zhou et al. 2024, https://arxiv.org/abs/2402.03620: with the meta-prompts p_S, p_A,
    p_I and unlabelled examples t_i of the task, D_S = M(p_S, D, t_i) selects modules,
    D_A = M(p_A, D_S, t_i) adapts them, and D_I = M(p_I, S, D_A, t_i) implements them
    as a structure, given a structure S of another task that was written by hand.

    An unreadable reply, twice, is replaced by what went before it, and the result of
    the run says so: the first modules, the modules as selected, or a step for each
    adapted module.

    Args:
        modules: D, the kinds of reasoning.
        most: Most modules that are selected; the paper states no limit.
        longest: Most steps of the structure; the paper states no limit.
        max_tokens: Limit of each reply.

    Raises:
        InvalidParameter: There are no modules, or a limit is below 1.
    """
    if not modules or most < 1 or longest < 1:
        raise InvalidParameter(
            f"{len(modules)} modules, at most {most} selected, {longest} steps: give "
            "at least 1 of each."
        )
    return _Discovering(tuple(modules), most, longest, max_tokens)


@dataclass(frozen=True)
class _Discovering:
    modules: tuple[str, ...]
    most: int
    longest: int
    max_tokens: int

    async def __call__(self, tasks: Sequence[str], context: RunContext) -> Discovery:
        context = context.acting("planner")
        shown = "\n\n".join(f"Task: {task}" for task in tasks)
        chosen = await self._select(shown, context.at("select"))
        selected = chosen or self.modules[: self.most]
        rewritten = await self._adapt(shown, selected, context.at("adapt"))
        adapted = rewritten or selected
        steps = await self._implement(shown, adapted, context.at("implement"))
        whole = None not in (chosen, rewritten, steps)
        return Discovery(selected, adapted, steps or _makeshift(adapted), whole)

    async def _select(self, tasks: str, context: RunContext) -> tuple[str, ...] | None:
        number = {"type": "integer", "minimum": 1, "maximum": len(self.modules)}
        array = {"type": "array", "items": number, "minItems": 1, "maxItems": self.most}
        found = await self._ask(
            SELECT_PROMPT.format(
                tasks=tasks, modules=_numbered(self.modules), most=self.most
            ),
            lambda c: numbers_in(c.text, len(self.modules)),
            _object({"modules": array}),
            context,
        )
        if found is None:
            context.substitute("a selection of modules", "the first modules")
            return None
        return tuple(self.modules[i - 1] for i in found[: self.most])

    async def _adapt(
        self, tasks: str, modules: tuple[str, ...], context: RunContext
    ) -> tuple[str, ...] | None:
        count = len(modules)
        found = await self._ask(
            ADAPT_PROMPT.format(tasks=tasks, modules=_numbered(modules)),
            lambda c: texts_in(c.text, "modules"),
            array_of_texts("modules", 1, count, LONGEST_TEXT),
            context,
        )
        if found is None:
            context.substitute("adapted modules", "modules as they were selected")
            return None
        return found[:count]

    async def _implement(
        self, tasks: str, modules: tuple[str, ...], context: RunContext
    ) -> tuple[Step, ...] | None:
        prompt = IMPLEMENT_PROMPT.format(
            tasks=tasks,
            modules=_numbered(modules),
            longest=self.longest,
            example=EXAMPLE,
        )
        found = await self._ask(
            prompt, lambda c: steps_in(c.text), _steps_schema(self.longest), context
        )
        if found is None:
            context.substitute("a reasoning structure", "a step for each module")
            return None
        return tuple(found[: self.longest])

    async def _ask(
        self,
        prompt: str,
        read: Callable[[Completion], T | None],
        schema: dict[str, Any],
        context: RunContext,
    ) -> T | None:
        return await ask(
            Task(question=prompt),
            prompt,
            read,
            context,
            reminder=REMINDER,
            max_tokens=self.max_tokens,
            schema=schema,
        )


def _makeshift(modules: Sequence[str]) -> tuple[Step, ...]:
    return tuple(Step(name=f"Step {i}", do=m) for i, m in enumerate(modules, 1))


def numbers_in(text: str, largest: int) -> tuple[int, ...] | None:
    """Return the numbers of modules that a reply names.

    Args:
        text: JSON, or numbers between commas and nothing else.
        largest: Numbers from 1 to here count, each once, in their order.

    Returns:
        ``None`` if there are none.
    """
    value = last_json(text)
    if isinstance(value, dict):
        value = value.get("modules")
    if not isinstance(value, list):
        alone = _NUMBERS.fullmatch(text)
        value = [int(n) for n in alone[1].split(",")] if alone else []
    whole = [n for n in value if type(n) is int and 1 <= n <= largest]
    return tuple(dict.fromkeys(whole)) or None


def steps_in(text: str) -> list[Step] | None:
    """Return the steps of a structure that a reply states in JSON.

    Returns:
        Those with a name and a description; of two of one name, the first. ``None`` if
        there are none.
    """
    value = last_json(text)
    if isinstance(value, dict):
        value = value.get("steps")
    found: dict[str, Step] = {}
    for item in value if isinstance(value, list) else []:
        step = _step(item)
        if step is not None:
            found.setdefault(step.name.casefold(), step)
    return list(found.values()) or None


def _step(item: object) -> Step | None:
    if not isinstance(item, dict):
        return None
    name, do = (" ".join(str(item.get(key, "")).split()) for key in ("name", "do"))
    return Step(name=name[:LONGEST_NAME], do=do) if name and do else None


def shown(steps: Sequence[Step], answer: str) -> str:
    """Return a structure as JSON whose values say what to fill in.

    Args:
        steps: The structure.
        answer: Key of the final answer, which comes last.
    """
    values = {step.name: step.do for step in steps}
    values[answer] = "only the short final answer"
    return json.dumps(values, ensure_ascii=False, indent=1)


def _numbered(texts: Sequence[str]) -> str:
    return "\n".join(f"{i}. {text}" for i, text in enumerate(texts, 1))


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _steps_schema(longest: int) -> dict[str, Any]:
    name = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}
    do = {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}
    step = _object({"name": name, "do": do})
    array = {"type": "array", "items": step, "minItems": 2, "maxItems": longest}
    return _object({"steps": array})
