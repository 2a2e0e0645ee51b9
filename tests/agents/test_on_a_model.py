"""The roles on a real small model, which a grammar holds to a readable reply."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import platformdirs
import pytest

from ponder import Candidate, Task
from ponder.agents.constraint_verifier import constraint_verifier
from ponder.agents.constraints import extract
from ponder.agents.proposer import Proposal
from ponder.agents.selector import priors
from ponder.agents.step_scorer import ScorerName, step_scorer
from ponder.errors import MissingExtra
from ponder.models.llama import LlamaModel
from ponder.models.llama.bindings import library
from tests.support.places import paths, place

pytestmark = pytest.mark.engine

TASK = Task(
    question="Plan a meeting of Ann and Bob, 30 minutes long, on Monday between 9:00 "
    "and 12:00. Ann is busy until 10:30, and Bob is busy from 11:15 on."
)
PLAN = Candidate(id="plan", text="They meet on Monday from 10:30 to 11:00.")


@pytest.fixture
def gguf() -> Path:
    try:
        library()
    except MissingExtra as error:
        pytest.skip(str(error))
    cached = platformdirs.user_cache_path("ponder") / "models" / "smollm2-135m.gguf"
    path = Path(os.environ.get("PONDER_TEST_GGUF") or cached)
    if not path.is_file():
        pytest.skip(f"no model at {path}: set PONDER_TEST_GGUF")
    return path


@pytest.fixture
async def model(gguf: Path) -> AsyncIterator[LlamaModel]:
    opened = LlamaModel(gguf, n_ctx=4096, profile=False)
    yield opened
    await opened.aclose()


async def test_grammars_make_the_roles_readable_at_once(model: LlamaModel) -> None:
    context = place(model)
    constraints = await extract(TASK, context.at("constraints"))
    assert 1 <= len(constraints) <= 12
    verifier = constraint_verifier(constraints=constraints)
    verdict = await verifier.verify(TASK, PLAN, context.at("verify"))
    assert verdict.score is not None
    rated = await priors(
        TASK,
        constraints,
        {"best_of_n": "Sample, take the best.", "tot": "Search step by step."},
        context.at("select"),
        verdict.feedback,
    )
    assert list(rated) == ["best_of_n", "tot"]
    assert not context.shared.substitutes
    # None of them had to be asked again.
    assert paths(context) == ["here/constraints", "here/verify", "here/select"]


@pytest.mark.parametrize("kind", ["judge", "digit", "self_evaluation"])
async def test_words_are_read_from_probabilities(
    model: LlamaModel, kind: ScorerName
) -> None:
    context = place(model)
    step = Proposal(text=PLAN.text, final=False, output_tokens=12)
    score = await step_scorer(kind).score(TASK, "", step, context)
    assert score is not None
    assert 0 < score < 1
    assert not context.shared.substitutes
