"""Make any language model reason better, inside an enforced budget."""

from ponder.agents.verifier import Judge, verifier
from ponder.budget import Budget
from ponder.errors import PonderError
from ponder.graphs.base import Strategy, register, strategies, strategy
from ponder.journal import Journal
from ponder.messages import Completion, Message, Request, Sampling, Usage
from ponder.models.base import Capabilities, Model
from ponder.models.load import open_model
from ponder.models.scripted import ScriptedModel
from ponder.models.simulated import SimulatedModel
from ponder.node import as_node
from ponder.passages import Citation, Passage, Retriever
from ponder.result import Candidate, Result, StopReason, Task, Verdict
from ponder.retrieval.memory import MemoryRetriever
from ponder.retrieval.opening import build_index, open_index
from ponder.run import (
    afork,
    areplay,
    aresume,
    asolve,
    fork,
    replay,
    resume,
    solve,
    stream,
)
from ponder.thoughts import ThoughtGraph

__version__ = "0.1.0"

__all__ = [
    "Budget",
    "Candidate",
    "Capabilities",
    "Citation",
    "Completion",
    "Journal",
    "Judge",
    "MemoryRetriever",
    "Message",
    "Model",
    "Passage",
    "PonderError",
    "Request",
    "Result",
    "Retriever",
    "Sampling",
    "ScriptedModel",
    "SimulatedModel",
    "StopReason",
    "Strategy",
    "Task",
    "ThoughtGraph",
    "Usage",
    "Verdict",
    "afork",
    "areplay",
    "aresume",
    "as_node",
    "asolve",
    "build_index",
    "fork",
    "open_index",
    "open_model",
    "register",
    "replay",
    "resume",
    "solve",
    "strategies",
    "strategy",
    "stream",
    "verifier",
]
