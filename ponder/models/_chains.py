"""Chains of reasoning as the simulated model writes and reads them."""

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import exp, log
from typing import NamedTuple

from ponder.messages import Completion, Request, TokenLogprob

FILLERS = tuple("so now then here next this that thus".split())
"""Words that pad a step, each equally likely, so that no two solutions are alike."""
FILLER_ODDS = dict.fromkeys(FILLERS, 1 / len(FILLERS))


@dataclass(frozen=True)
class Question:
    """What the model knows of a question, the p of its own included."""

    text: str
    answers: tuple[str, ...]
    """The truth, then the wrong answers: one for each chain of reasoning."""
    weights: tuple[float, ...]
    """Of the wrong answers; their sum is 1."""
    per_step: float
    """Probability that a step of a right chain is right."""
    values: tuple[tuple[int, ...], ...]
    """What each step of each chain gives: ``values[step][chain]``."""


def latent(mean: float, correlation: float, draw: random.Random) -> float:
    """Draw the p of one question."""
    if mean in (0.0, 1.0) or correlation == 0:
        return mean
    if correlation == 1:
        return float(draw.random() < mean)
    spread = (1 - correlation) / correlation
    a = _log_gamma_variate(mean * spread, draw)
    b = _log_gamma_variate((1 - mean) * spread, draw)
    return 1 / (1 + exp(min(b - a, 700.0)))


def _log_gamma_variate(shape: float, draw: random.Random) -> float:
    # In logarithms, since variates of tiny shapes underflow: G(a) ~ G(a + 1) U^(1/a).
    return log(draw.gammavariate(shape + 1, 1)) + log(1 - draw.random()) / shape


def odds(question: Question, chain: int, right: float) -> list[float]:
    """Return the probability of coming to each chain from ``chain``."""
    if chain:
        return [float(i == chain) for i in range(len(question.answers))]
    return [right, *((1 - right) * weight for weight in question.weights)]


def next_chain(
    question: Question, chain: int, right: float, draw: random.Random
) -> int:
    """Draw the chain that the next step comes to."""
    likely = odds(question, chain, right)
    return draw.choices(range(len(likely)), likely)[0]


class Word(NamedTuple):
    """A word and the distribution that it was drawn from."""

    text: str
    p: float = 1.0
    odds: Mapping[str, float] | None = None
    """All words that could have stood here; ``None`` if no other could."""
    space: str = ""
    """White space before the word."""

    def token(self) -> TokenLogprob:
        """Return the word as a token with all its alternatives."""
        odds = self.odds or {self.text: self.p}
        top = {self.space + other: log(p) for other, p in odds.items() if p > 0}
        return TokenLogprob(token=self.space + self.text, logprob=log(self.p), top=top)


def drawn(text: str, odds: Mapping[str, float]) -> Word:
    """Return a word that was drawn by the given odds."""
    return Word(text, odds[text], odds)


def completion(words: Iterable[Word], request: Request) -> Completion:
    """Return the words as a completion, with log-probabilities where asked for."""
    words = list(words)
    text = "".join(word.space + word.text for word in words)
    if request.logprobs is None:
        return Completion(text=text)
    return Completion(text=text, logprobs=tuple(word.token() for word in words))


def joined(lines: list[list[Word]], prefix: str, within_line: bool) -> list[Word]:
    """Put white space before the words."""
    joined: list[Word] = []
    for line in lines:
        for i, word in enumerate(line):
            space = " " if i or (within_line and not joined) else "\n"
            if not joined and (not prefix or prefix[-1].isspace()):
                space = ""
            joined.append(Word(word.text, word.p, word.odds, space))
    return joined


def last_line(answer: str) -> str:
    """Return the line that gives the answer."""
    if re.fullmatch(r"[-\w$%,]+(?:\.\d+)?", answer):
        return f"The answer is {answer}"
    # Only braces tell where an answer of several words ends.
    return f"The answer is \\boxed{{{answer}}}"


_STEP = re.compile(r"Step (\d+):[^\n]*? gives (\d+)\.")


def read(question: Question, text: str) -> tuple[int, int, str]:
    """Return the chain that a solution follows, its steps so far, and what is left."""
    chain, done, end = 0, 0, 0
    for match in _STEP.finditer(text):
        if int(match[1]) != done + 1 or done == len(question.values):
            continue
        values = question.values[done]
        value = int(match[2])
        if chain == 0 and value != values[0]:
            chain = values.index(value) if value in values else 1
        done, end = done + 1, match.end()
    return chain, done, text[end:]


def conversation(request: Request) -> tuple[list[str], str, bool]:
    """Return the user's texts, the solution under way, and whether to answer at once.

    The texts come latest first.
    """
    messages = [m for m in request.messages if m.role != "system"] or [
        *request.messages
    ]
    forced = False
    under_way = request.prefill
    if len(messages) > 1 and messages[-2].role == "assistant":
        text = messages[-2].content
        if "Step 1:" in text and answer(text) is None:
            messages, under_way, forced = messages[:-2], text + request.prefill, True
    texts = [m.content for m in reversed(messages) if m.role == "user"]
    return texts or [messages[-1].content], under_way, forced


_JUDGE = re.compile(r"^Question:(.*?)^Proposed solution:(.*)", re.DOTALL | re.MULTILINE)
_ANSWER = re.compile(r"\\boxed\{([^{}]*)\}|answer is:?[ *$]*([^\n*$]+)", re.IGNORECASE)


def judge_prompt(request: Request) -> tuple[str, str] | None:
    """Return the question and the solution to be judged."""
    match = _JUDGE.search(request.messages[-1].content)
    if match is None:
        return None
    lines = match[2].split("\n")
    asks = [i for i, line in enumerate(lines) if {"Yes", "No"} <= _word_set(line)]
    if not asks:
        return None
    return match[1].strip(), "\n".join(lines[: asks[-1]]).strip()


def _word_set(line: str) -> set[str]:
    return set(re.findall(r"\w+", line))


def answer(text: str) -> str | None:
    """Return the last answer of a solution, in lower case."""
    found = [a or b for a, b in _ANSWER.findall(text)]
    return found[-1].strip().rstrip(".").casefold() if found else None


def is_right(question: Question, solution: str) -> bool:
    """Tell whether a solution, or what there is of it, is right."""
    given = answer(solution)
    if given is not None:
        return given == question.answers[0].casefold()
    chain, done, _ = read(question, solution)
    return done > 0 and chain == 0
