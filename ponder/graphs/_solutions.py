"""What the nodes of a search over a model hold, and the solutions they lead to."""

from dataclasses import dataclass
from typing import Any

from ponder.agents.answers import extract
from ponder.agents.proposer import Proposal
from ponder.context import RunContext
from ponder.graphs.search.tree import Node, Tree, added
from ponder.result import Candidate
from ponder.thoughts import Thought


@dataclass(frozen=True)
class Part:
    """What a node of the tree holds."""

    text: str
    """The whole solution up to here."""
    candidate: Candidate | None = None
    """The solution that ends here, judged."""


def solutions(tree: Tree[Any]) -> list[Candidate]:
    """Return the solutions found, in the order in which they were asked for."""
    nodes = (tree.nodes[id] for id in sorted(tree.nodes))
    return [n.value.candidate for n in nodes if n.value.candidate is not None]


def solution(id: str, node: Node, text: str, proposal: Proposal) -> Candidate:
    """Return the solution that a proposal leads to from a node.

    Args:
        id: Of the solution.
        node: Where the proposal goes on.
        text: Of the whole solution.
        proposal: Its last part.
    """
    logprob, tokens = added(node.logprob, proposal.logprob), node.tokens
    tokens += proposal.output_tokens
    return Candidate(
        id=id,
        text=text,
        answer=extract(text),
        logprob=logprob,
        logprob_tokens=0 if logprob is None else tokens,
        output_tokens=tokens,
        finish_reason="length" if proposal.truncated else "stop",
    )


def unfinished(node: Node, context: RunContext) -> Candidate:
    """Return a partial solution as an attempt that was cut off."""
    return Candidate(
        id=context.at("node", node.id).id,
        text=node.value.text,
        output_tokens=node.tokens,
        finish_reason="length",
    )


def keep(node: Node, context: RunContext) -> None:
    """Put a node into the thought graph of the run."""
    parent = node.parent
    above = parent is not None and parent.parent is not None
    parents = (context.at("node", parent.id).id,) if parent and above else ("question",)
    candidate: Candidate | None = node.value.candidate
    if candidate is not None:
        context.keep(candidate, parents)
        return
    context.think(
        Thought(
            id=context.at("node", node.id).id,
            kind="thought",
            label=" ".join(node.step.text.split())[:80],
            score=node.score,
            data={"text": node.step.text},
        ),
        parents,
    )
