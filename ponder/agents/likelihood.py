"""The role that says how likely an answer and its question are, given evidence."""

from typing import Literal

from ponder.agents.choice import plain_model
from ponder.context import RunContext
from ponder.messages import user

Expert = Literal["a|q,e", "q|a,e", "a|e", "q|e"]
"""Of which probability: answer a, question q, evidence e."""

PROMPTS: dict[Expert, str] = {
    "a|q,e": """\
Evidence: {evidence}

Question: {question}

Reply with the short answer to the question, and with nothing else.""",
    "q|a,e": """\
Evidence: {evidence}

Answer: {answer}

Reply with the question that has this answer, and with nothing else.""",
    "a|e": """\
Evidence: {evidence}

Reply with the short answer to some question about the evidence, and with nothing \
else.""",
    "q|e": """\
Evidence: {evidence}

Reply with a question about the evidence, and with nothing else.""",
}


async def log_likelihood(
    expert: Expert, question: str, answer: str, evidence: str, context: RunContext
) -> float:
    """Return the log-probability (nats) of an answer, or of the question.

    Args:
        expert: Which of the two is scored, and given what.
        question: The question q.
        answer: The short answer a.
        evidence: The paragraph e.
        context: The place of the call.

    Raises:
        OutOfBudget: The budget admits no such call.
        ModelError: The call failed, or the model cannot score given text.
    """
    prompt = PROMPTS[expert].format(evidence=evidence, question=question, answer=answer)
    text = answer if expert.startswith("a") else question
    model = plain_model(context.model)
    judge = context.acting("verifier")
    (score,) = await judge.score((user(prompt),), [text], model)
    return score
