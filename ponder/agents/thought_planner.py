"""The role that plans the next layer of a graph of thoughts."""

from collections.abc import Sequence
from typing import Any, Protocol

from pydantic import Field

from ponder.agents._structured import ask, last_json
from ponder.context import RunContext
from ponder.errors import InvalidParameter
from ponder.messages import Completion, Value
from ponder.models.base import Model
from ponder.result import Task

FIRST_LAYER_PROMPT = """\
Plan how to work on a problem. Do not solve it. Write at most {most} smaller questions \
whose answers are needed for it. They are answered side by side, so none may rest on \
the answer of another one, and each must repeat the numbers, names and conditions that \
it is about. One question is enough for a simple problem.
{background}
Problem:
{question}

Reply in JSON: {{"strategy": "<one sentence: how this leads to the answer>", \
"thoughts": [{{"title": "<a few words>", "question": "<question>"}}]}}"""

NEXT_LAYER_PROMPT = """\
Plan the next step of the work on a problem. Do not solve it.
{background}
Problem:
{question}

Thoughts so far, with their numbers:
{thoughts}

If they are enough to answer the problem, set "final" to true and write no thoughts. \
Else set it to false, and write at most {most} new questions that go on from the \
answers above: "needs" has the numbers of the thoughts that a question rests on. Do \
not repeat a question.

Reply in JSON: {{"final": <true or false>, "strategy": "<one sentence>", "thoughts": \
[{{"title": "<a few words>", "question": "<question>", "needs": [<numbers>]}}]}}"""

PLAN_REMINDER = """\
That could not be read. Reply with the plan alone, in the JSON form described above."""

UNANSWERED = "(not answered)"
LONGEST_TITLE, LONGEST_QUESTION, LONGEST_STRATEGY = 60, 300, 200
"""Characters, where the reply is held to a schema."""


class NewThought(Value):
    """A thought as it is planned."""

    title: str
    question: str = Field(min_length=1)
    needs: tuple[int, ...] = ()
    """Numbers of the thoughts that it rests on, as the model gave them."""


class Layer(Value):
    """Thoughts that are worked on side by side."""

    strategy: str
    """What they are to achieve, in one sentence."""
    thoughts: tuple[NewThought, ...] = ()
    final: bool = False
    """Whether the graph is complete; then there are no new thoughts."""


class SubThought(Value):
    """A thought in its graph."""

    number: int = Field(ge=1)
    """Its place in the graph, in the order of planning: what ``needs`` speaks of."""
    title: str
    question: str
    needs: tuple[int, ...] = ()
    """Edges: numbers of earlier thoughts."""
    strategy: str = ""
    """Of its layer."""
    answer: str | None = None
    """``None`` before it is answered, and if it could not be."""


class ThoughtPlanner(Protocol):
    """Plans layers of thoughts. See ``thought_planner``."""

    async def __call__(
        self,
        task: Task,
        thoughts: Sequence[SubThought],
        context: RunContext,
        *,
        background: str = "",
    ) -> Layer | None:
        """Plan the next layer of a graph, the first one if it has no thoughts.

        Args:
            task: What the graph is to answer.
            thoughts: The graph so far.
            context: The place of the call.
            background: What a nested graph knows of the graphs around it.

        Returns:
            The layer as the model gave it: its edges and its size are not checked.
            ``None`` if two replies were unreadable.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def thought_planner(
    *,
    n_max: int = 3,
    model: Model | None = None,
    max_tokens: int = 512,
    first_prompt: str = FIRST_LAYER_PROMPT,
    next_prompt: str = NEXT_LAYER_PROMPT,
) -> ThoughtPlanner:
    """Return the planner of Adaptive Graph of Thoughts.

    Pandey et al. 2025, https://arxiv.org/abs/2502.05078: T_0 plans the first layer of
    the outermost graph (there without an index) and of a nested one, which has a
    background; T_e plans the layers after it, and says when the graph is complete.

    Args:
        n_max: Most thoughts of a layer, at least 1.
        model: Who plans; by default the model of the run.
        max_tokens: Limit of the reply.
        first_prompt: With places for ``{question}``, ``{background}``, ``{most}``.
        next_prompt: The same, and ``{thoughts}``.

    Raises:
        InvalidParameter: ``n_max`` is below 1.
    """
    if n_max < 1:
        raise InvalidParameter(f"n_max is {n_max}: give at least 1 thought.")

    async def plan(
        task: Task,
        thoughts: Sequence[SubThought],
        context: RunContext,
        *,
        background: str = "",
    ) -> Layer | None:
        first = not thoughts
        prompt = (first_prompt if first else next_prompt).format(
            question=task.question,
            background=f"\n{background}\n" if background else "",
            thoughts=listed(thoughts),
            most=n_max,
        )
        return await ask(
            task,
            prompt,
            lambda completion: _read(completion, first),
            context.acting("planner"),
            reminder=PLAN_REMINDER,
            max_tokens=max_tokens,
            schema=_schema(n_max, len(thoughts)),
            model=model,
        )

    return plan


def listed(thoughts: Sequence[SubThought]) -> str:
    """Return thoughts as a prompt shows them, with number, question and answer."""
    return "\n".join(
        f"[{t.number}] {t.question}\nAnswer: {t.answer or UNANSWERED}" for t in thoughts
    )


def _read(completion: Completion, first: bool) -> Layer | None:
    value = last_json(completion.text)
    if not isinstance(value, dict):
        return None
    final = value.get("final") is True and not first
    items = value.get("thoughts")
    found = [_thought(item) for item in items] if isinstance(items, list) else []
    thoughts = tuple(t for t in found if t is not None)
    if not thoughts and not final:
        return None
    strategy = value.get("strategy")
    return Layer(
        strategy=_line(strategy) if isinstance(strategy, str) else "",
        thoughts=() if final else thoughts,
        final=final,
    )


def _thought(item: Any) -> NewThought | None:
    if isinstance(item, str):
        item = {"question": item}
    if not isinstance(item, dict) or not isinstance(item.get("question"), str):
        return None
    question = _line(item["question"])
    if not question:
        return None
    title, needs = item.get("title"), item.get("needs")
    return NewThought(
        title=(_line(title) if isinstance(title, str) else "")
        or question[:LONGEST_TITLE],
        question=question,
        needs=tuple(n for n in needs if type(n) is int)
        if isinstance(needs, list)
        else (),
    )


def _line(text: str) -> str:
    return " ".join(text.split())


def _schema(most: int, known: int) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "title": _text(LONGEST_TITLE),
        "question": _text(LONGEST_QUESTION),
    }
    layer: dict[str, Any] = {"strategy": _text(LONGEST_STRATEGY)}
    if known:
        # A final layer is said to be one before its thoughts are written.
        layer = {"final": {"type": "boolean"}, **layer}
        number = {"type": "integer", "minimum": 1, "maximum": known}
        properties["needs"] = {"type": "array", "items": number, "maxItems": known}
    layer["thoughts"] = {
        "type": "array",
        "items": _object(properties),
        "minItems": 0 if known else 1,
        "maxItems": most,
    }
    return _object(layer)


def _text(longest: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
