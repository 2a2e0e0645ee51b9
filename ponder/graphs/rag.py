"""One search, and one answer from what it finds."""

from typing import ClassVar

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from pydantic import Field

from ponder.agents.reader import reader
from ponder.context import RunContext
from ponder.graphs.base import Graph, State, Strategy, register
from ponder.graphs.evidence import grounded, searched
from ponder.messages import Sampling
from ponder.passages import Passage
from ponder.result import Outcome


class RagState(State, total=False):
    """The state, with what was found."""

    passages: list[Passage]


@register
class RAG(Strategy):
    """Search with the question, and answer from the k passages that are found.

    Lewis et al. 2020 trained retriever and generator together; this is the frozen
    form that everybody calls by the name.
    """

    name: ClassVar[str] = "rag"
    source: ClassVar[str] = "https://arxiv.org/abs/2005.11401"
    wrap_up_share: ClassVar[float] = 0.15
    needs_retriever: ClassVar[bool] = True

    k: int = Field(default=5, ge=1)
    """Passages read; 5 as in the paper's experiments with its shortest context."""
    temperature: float = Field(default=0.0, ge=0)
    """T of the answer."""
    max_tokens: int = Field(default=256, ge=1)
    """Limit of the answer."""

    def build(self) -> Graph:
        """START -> search -> read -> END."""
        read = reader(
            sampling=Sampling(temperature=self.temperature), max_tokens=self.max_tokens
        )

        async def search(state: RagState, runtime: Runtime[RunContext]) -> RagState:
            place = runtime.context.at("search")
            return {"passages": await searched(state["task"].question, self.k, place)}

        async def answer(state: RagState, runtime: Runtime[RunContext]) -> RagState:
            context, passages = runtime.context, state["passages"]
            if not passages:
                context.warn("No passage was found: the answer rests on none.")
            place = context.at("read")
            candidate = await read(state["task"], passages, place)
            context.keep(candidate, (context.at("search").id,))
            outcome = Outcome(
                answer=candidate.answer,
                text=candidate.text,
                candidates=(candidate,),
            )
            return {
                "outcome": await grounded(outcome, passages, context, state["task"])
            }

        graph = StateGraph(RagState, context_schema=RunContext)
        graph.add_node("search", search)
        graph.add_node("read", answer)
        graph.add_edge(START, "search")
        graph.add_edge("search", "read")
        graph.add_edge("read", END)
        return graph
