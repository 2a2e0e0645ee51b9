"""A strategy as one node of an ordinary LangGraph application, with a human in it.

The application has a state, a checkpointer and an interrupt of its own; the events of
ponder's run come through its stream. Run with a local model:
python examples/inside_langgraph.py local
"""

import asyncio
import sys
from typing import Any, TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from ponder import Budget, Model
from ponder.node import as_node


class Ticket(TypedDict, total=False):
    """The application's own state."""

    question: str
    answer: str
    sent: str


def review(state: Ticket) -> Ticket:
    """Let a person see the answer before it goes out, and change it."""
    return {"answer": interrupt({"approve": state["answer"]})}


def send(state: Ticket) -> Ticket:
    return {"sent": f"Dear customer, it is {state['answer']}."}


def application(model: Model | str) -> Any:
    """START -> solve (ponder) -> review (a person) -> send -> END."""
    graph = StateGraph(Ticket)
    solve = as_node("self_consistency", model=model, budget=Budget(tokens=8_000))
    graph.add_node("solve", solve)
    graph.add_node("review", review)
    graph.add_node("send", send)
    graph.add_edge(START, "solve")
    graph.add_edge("solve", "review")
    graph.add_edge("review", "send")
    graph.add_edge("send", END)
    return graph.compile(checkpointer=InMemorySaver())


async def main(model: Model | str = "simulated") -> Ticket:
    app = application(model)
    thread: Any = {"configurable": {"thread_id": "ticket-1"}}
    ticket: Ticket = {"question": "A box holds 6 eggs. How many are in 7 boxes?"}
    async for event in app.astream(ticket, thread, stream_mode="custom"):
        if event["kind"] == "candidate_found":
            print("attempt:", event["candidate"]["answer"])
    waiting = await app.aget_state(thread)
    proposed = waiting.interrupts[0].value["approve"]
    print("waits for a person:", proposed)
    done: Ticket = await app.ainvoke(Command(resume=proposed), thread)
    print(done["sent"])
    return done


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "simulated"))
