"""A tree of questions, and how it is made of lists of sub-questions."""

import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

_REFERENCE = re.compile(r"#(\d{1,2})\b")


@dataclass(frozen=True)
class Query:
    """A question of the tree."""

    text: str
    """It names the answer of its k-th sibling ``#k``, from 1."""
    parent: int | None = None
    """Place of its parent in the tree; ``None`` for the root."""
    children: tuple[int, ...] = ()
    """Places of its sub-questions, in their order."""
    depth: int = 0
    logprob: float | None = None
    """d: mean log-probability (nats) of the tokens that list its sub-questions."""


QueryTree = tuple[Query, ...]
"""Level by level, the question itself first."""


class Split(NamedTuple):
    """What a reply says of one question."""

    question: str
    subquestions: tuple[str, ...]
    logprob: float | None = None


@dataclass(frozen=True)
class Limits:
    """How large a tree may be."""

    depth: int = 3
    """Levels below the question."""
    children: int = 5
    """Sub-questions of one question."""
    nodes: int = 12
    """Questions in all."""


def query_tree(
    question: str, splits: Sequence[Split], limits: Limits
) -> tuple[QueryTree, list[str]]:
    """Return the tree that splits make, and what had to be cut off from it.

    Args:
        question: The root; the first split is its own, whatever it calls it.
        splits: A sub-question is split by the first later one of the same text.
        limits: How large the tree may be.
    """
    by_text: dict[str, Split] = {}
    for split in splits[1:]:
        by_text.setdefault(_normal(split.question), split)
    nodes, complaints = [Query(tidy(question))], []
    waiting = deque(
        [(0, splits[0] if splits else None, frozenset({_normal(question)}))]
    )
    while waiting:
        at, own, above = waiting.popleft()
        if own is None or not own.subquestions:
            continue
        wrong = _wrong(own.subquestions, above, nodes[at].depth, len(nodes), limits)
        if wrong:
            complaints.append(
                f"The parts of '{nodes[at].text}' {wrong}; it stays whole."
            )
            continue
        places = range(len(nodes), len(nodes) + len(own.subquestions))
        nodes[at] = replace(nodes[at], children=tuple(places), logprob=own.logprob)
        depth = nodes[at].depth + 1
        for place, text in zip(places, own.subquestions, strict=True):
            nodes.append(Query(text, parent=at, depth=depth))
            name = _normal(text)
            waiting.append((place, by_text.get(name), above | {name}))
    return tuple(nodes), complaints


def _wrong(
    parts: Sequence[str], above: frozenset[str], depth: int, size: int, limits: Limits
) -> str | None:
    """Say why a list of sub-questions cannot be used, if it cannot."""
    if any(_normal(part) in above for part in parts):
        return "lead back to it or to a question above it"
    if depth + 1 > limits.depth:
        return f"are more than {limits.depth} levels deep"
    if len(parts) > limits.children or size + len(parts) > limits.nodes:
        return f"({len(parts)} more) are too many for the limits of the tree"
    needs = {i: references(part) for i, part in enumerate(parts, 1)}
    if any(k not in needs for ks in needs.values() for k in ks):
        return "name an answer that no part has"
    try:
        TopologicalSorter(needs).prepare()
    except CycleError:
        return "wait for the answers of each other"
    return None


def references(text: str) -> set[int]:
    """Return the numbers of the siblings whose answers a sub-question names."""
    return {int(number) for number in _REFERENCE.findall(text)}


def resolved(text: str, answers: Mapping[int, str]) -> str:
    """Return a sub-question with the answers that it names, where they are known."""
    return _REFERENCE.sub(lambda m: answers.get(int(m[1]), m[0]), text)


def tidy(text: str) -> str:
    """Return a text in one line."""
    return " ".join(text.split())


def _normal(text: str) -> str:
    return tidy(text).casefold().rstrip("?. ")
