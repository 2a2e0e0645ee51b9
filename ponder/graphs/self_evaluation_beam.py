"""Self-evaluation guided beam search as a strategy."""

from typing import ClassVar

from ponder.agents.step_scorer import ScorerName
from ponder.graphs.base import register
from ponder.graphs.search.self_evaluation import SelfEvaluationPolicy
from ponder.graphs.step_search import StepSearch


@register
class SelfEvaluationBeam(StepSearch, SelfEvaluationPolicy):
    """Draw beams by the model's own confidence in each step.

    Xie et al. 2023.
    """

    name: ClassVar[str] = "self_evaluation_beam"
    source: ClassVar[str] = "https://arxiv.org/abs/2305.00633"
    scorer: ScorerName = "self_evaluation"
    """Who gives C, the confidence in a step."""

    logprobs: ClassVar[bool] = True
    without_logprobs: ClassVar[str] = "the self-evaluation alone (lambda = 1)"
