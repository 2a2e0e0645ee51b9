"""Ask once, for reasoning step by step."""

from typing import ClassVar

from pydantic import Field

from ponder.agents.solver import STEP_BY_STEP, Solver, solver
from ponder.graphs.base import Graph, Strategy, register
from ponder.graphs.direct import ask_once
from ponder.messages import Sampling


@register
class ChainOfThought(Strategy):
    """Ask the model once, to reason step by step before it answers.

    Wei et al. 2022 (with examples), Kojima et al. 2022 (zero-shot, as here).
    """

    name: ClassVar[str] = "chain_of_thought"
    source: ClassVar[str] = "https://arxiv.org/abs/2205.11916"
    wrap_up_share: ClassVar[float] = 0.1

    temperature: float = Field(default=0.0, ge=0)
    """0 is greedy, as in the paper."""
    max_tokens: int = Field(default=1024, ge=1)
    """Limit of the reasoning."""
    instructions: str = STEP_BY_STEP
    """System prompt."""

    def build(self) -> Graph:
        """START -> answer -> END."""
        return ask_once(self.solver())

    def solver(self) -> Solver:
        """Return who makes the one attempt."""
        return solver(
            instructions=self.instructions,
            sampling=Sampling(temperature=self.temperature),
            max_tokens=self.max_tokens,
        )
