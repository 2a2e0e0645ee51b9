"""The role that breaks a question into a tree of sub-questions."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ponder.agents._queries import Limits as Limits
from ponder.agents._queries import Query as Query
from ponder.agents._queries import QueryTree as QueryTree
from ponder.agents._queries import Split as Split
from ponder.agents._queries import query_tree as query_tree
from ponder.agents._queries import references as references
from ponder.agents._queries import resolved as resolved
from ponder.agents._queries import tidy
from ponder.agents._structured import last_json
from ponder.agents.choice import plain_model
from ponder.context import RunContext
from ponder.messages import GREEDY, Completion, Request, TokenLogprob, assistant, user
from ponder.models.base import Model
from ponder.result import Task

QUERY_TREE_PROMPT = """\
Break the question into simpler sub-questions; do not answer any. Write #1, #2 for the \
answers of the first, second sub-question of the same list. List a sub-question again \
as a question if it has to be broken up too. An easy question has no subquestions.

Example, for "Who founded the club that Ada Moe coaches?":
{{"decompositions": [{{"question": "Who founded the club that Ada Moe coaches?", \
"subquestions": ["Which club does Ada Moe coach?", "Who founded #1?"]}}]}}

Question: {question}

Reply in JSON as in the example."""

QUERY_TREE_REMINDER = """\
That could not be read. Reply with JSON alone: {"decompositions": [{"question": "...", \
"subquestions": ["...", "..."]}]}"""

LONGEST = 240
"""Characters of a sub-question."""


class QueryDecomposer(Protocol):
    """Breaks up questions. See ``query_decomposer``."""

    async def __call__(self, task: Task, context: RunContext) -> QueryTree:
        """Return the tree of a question.

        Args:
            task: The question.
            context: The place of the call.

        Returns:
            The question alone if it has no parts, or, with a warning, if two replies
            were unreadable. What is cyclic or larger than the limits is cut off, with
            a warning.

        Raises:
            OutOfBudget: The budget admits no such call.
            ModelError: The call failed.
        """
        ...


def query_decomposer(
    *,
    limits: Limits | None = None,
    model: Model | None = None,
    max_tokens: int = 512,
    prompt: str = QUERY_TREE_PROMPT,
) -> QueryDecomposer:
    """Return a decomposer that writes the whole tree in one reply.

    Cao et al. 2023 (ProbTree), https://arxiv.org/abs/2311.13982: a mapping from each
    question to the list of its sub-questions, at temperature 0, each list with the
    mean log-probability of its tokens. The paper states no limits.

    Args:
        limits: How large a tree may be.
        model: Who decomposes; by default the model of the run.
        max_tokens: Limit of the reply.
        prompt: With a place for ``{question}``.
    """
    bounds = limits or Limits()

    async def decompose(task: Task, context: RunContext) -> QueryTree:
        context = context.acting("decomposer")
        splits = await _asked(task, context, model, prompt, max_tokens, bounds)
        if splits is None:
            context.warn(
                "No sub-questions could be read from the model's replies: the question "
                "is answered as a whole."
            )
        tree, complaints = query_tree(task.question, splits or (), bounds)
        for complaint in complaints:
            context.warn(complaint)
        return tree

    return decompose


async def _asked(
    task: Task,
    context: RunContext,
    model: Model | None,
    prompt: str,
    max_tokens: int,
    limits: Limits,
) -> list[Split] | None:
    model = model or plain_model(context.model)
    if not model.capabilities.output_schema:
        context.substitute("output_schema", "replies that are read as they come")
    asked = prompt.format(question=task.question)
    request = Request(
        messages=(*task.history, user(asked)),
        max_tokens=max_tokens,
        sampling=GREEDY,
        output_schema=_schema(limits) if model.capabilities.output_schema else None,
        logprobs=0 if model.capabilities.logprobs else None,
    )
    (completion,) = await context.generate(request, model)
    splits = splits_in(completion)
    if splits is not None:
        return splits
    turns: tuple[Any, ...] = (user(f"{asked}\n\n{QUERY_TREE_REMINDER}"),)
    if completion.text.strip():
        said = assistant(completion.text)
        turns = (user(asked), said, user(QUERY_TREE_REMINDER))
    repeated = request.model_copy(update={"messages": (*task.history, *turns)})
    (completion,) = await context.at("again").generate(repeated, model)
    return splits_in(completion)


def splits_in(completion: Completion) -> list[Split] | None:
    """Return what a reply says, with the log-probability of each list.

    Returns:
        ``None`` if the reply holds no decompositions.
    """
    pairs = _pairs(last_json(completion.text))
    if not pairs:
        return None
    likely = list_logprobs(completion.logprobs or (), len(pairs))
    return [Split(q, subs, d) for (q, subs), d in zip(pairs, likely, strict=True)]


def _pairs(value: Any) -> list[tuple[str, tuple[str, ...]]]:
    if isinstance(value, Mapping) and "decompositions" in value:
        value = value["decompositions"]
    items: list[Any] = [value]
    if isinstance(value, Mapping) and "subquestions" not in value:
        items = [{"question": q, "subquestions": subs} for q, subs in value.items()]
    elif isinstance(value, list):
        items = value
    found = []
    for item in items:
        question, subs = _field(item, "question"), _field(item, "subquestions")
        if not isinstance(question, str) or not isinstance(subs, list):
            return []
        if not all(isinstance(sub, str) for sub in subs):
            return []
        found.append((question, tuple(s for sub in subs if (s := tidy(sub)))))
    return found


def _field(item: Any, name: str) -> Any:
    return item.get(name) if isinstance(item, Mapping) else None


def list_logprobs(tokens: Sequence[TokenLogprob], lists: int) -> list[float | None]:
    """Return the mean log-probability (nats) of the tokens of each list of strings.

    Args:
        tokens: The reply.
        lists: How many such lists it holds.

    Returns:
        One for each, its brackets included; the mean of all tokens for each where the
        lists cannot be told apart in the tokens; ``None`` for each without tokens.
    """
    if not tokens:
        return [None] * lists
    text, ends = "", []
    for token in tokens:
        text += token.token
        ends.append(len(text))
    spans = _lists_of_strings(text)
    if len(spans) != lists:
        spans = [(0, len(text))] * lists
    means: list[float | None] = []
    for start, end in spans:
        inside = [
            t.logprob
            for t, stop in zip(tokens, ends, strict=True)
            if stop > start and stop - len(t.token) < end
        ]
        means.append(sum(inside) / len(inside))
    return means


def _lists_of_strings(text: str) -> list[tuple[int, int]]:
    decoder, spans, at = json.JSONDecoder(), [], text.find("[")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            value, end = None, at + 1
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            spans.append((at, end))
            at = text.find("[", end)
        else:
            at = text.find("[", at + 1)
    return spans


def _schema(limits: Limits) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1, "maxLength": LONGEST}
    parts = {"type": "array", "items": text, "maxItems": limits.children}
    split = {
        "type": "object",
        "properties": {"question": text, "subquestions": parts},
        "required": ["question", "subquestions"],
        "additionalProperties": False,
    }
    splits = {"type": "array", "items": split, "minItems": 1, "maxItems": limits.nodes}
    return {
        "type": "object",
        "properties": {"decompositions": splits},
        "required": ["decompositions"],
        "additionalProperties": False,
    }
