"""A model that is right as often as it is told to be, for testing how things scale."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b

from pydantic import Field

from ponder.errors import InvalidParameter
from ponder.messages import Completion, OnDelta, Request, Value
from ponder.models._chains import (
    FILLER_ODDS,
    FILLERS,
    Question,
    Word,
    completion,
    conversation,
    drawn,
    is_right,
    joined,
    judge_prompt,
    last_line,
    latent,
    next_chain,
    odds,
    read,
)
from ponder.models._words import check, count, count_prompt, deliver, limit
from ponder.models.base import Capabilities, Model

Difficulty = str | float
Accuracy = float | Mapping[Difficulty, float] | Callable[[Difficulty], float]


class Problem(Value):
    """What the model knows about a question."""

    truth: str = Field(min_length=1)
    difficulty: Difficulty = ""
    """Looked up in the accuracies."""
    wrong: tuple[str, ...] = ()
    """Wrong answers that it may give, likeliest first; by default it makes some up."""


class ErrorRates(Value):
    """A judge that errs at given rates, and is always equally sure of itself."""

    false_positive: float = Field(default=0.1, ge=0, le=1)
    """How many wrong solutions get a Yes."""
    false_negative: float = Field(default=0.1, ge=0, le=1)
    """How many right solutions get a No."""
    certainty: float = Field(default=0.9, gt=0.5, lt=1)
    """Probability of the word that it prefers."""

    def p_yes(self, right: bool, u: float) -> float:
        """Return P(Yes) for a draw ``u`` from the uniform distribution on (0, 1)."""
        says_yes = u >= self.false_negative if right else u < self.false_positive
        return self.certainty if says_yes else 1 - self.certainty


class Separation(Value):
    """A judge whose P(Yes) ranks right solutions above wrong ones at a given AUC.

    P(Yes) ~ Beta(r, 1) for right solutions and Beta(1/r, 1) for wrong ones. With
    distribution functions x^r and x^(1/r), a right solution beats a wrong one with
    probability r / (r + 1/r), so r = sqrt(auc / (1 - auc)); the means r / (r + 1) and
    1 / (r + 1) lie symmetrically around 1/2.
    """

    auc: float = Field(default=0.8, gt=0, lt=1)

    def p_yes(self, right: bool, u: float) -> float:
        """Return P(Yes) for a draw ``u`` from the uniform distribution on (0, 1)."""
        r = (self.auc / (1 - self.auc)) ** 0.5
        return float(u ** (1 / r if right else r))


class SimulatedModel(Model):
    r"""A seeded stochastic oracle with chosen statistics, and no intelligence.

    **Answers.** The probability p that one sample of a question is right has the mean
    a, the accuracy, and the samples of a question are correlated:

        p ~ Beta(a (1 - rho) / rho, (1 - a) (1 - rho) / rho)

    drawn once per model seed and question. The number of right samples is then
    beta-binomial, and rho is the correlation of any two samples of one question
    (Skellam 1948, J. R. Stat. Soc. B 10:257; the intraclass correlation is
    1 / (alpha + beta + 1)). With rho = 0 the samples are independent, with rho = 1 all
    are right or all are wrong. ``expected_coverage`` gives the resulting pass@k.

    **Solutions.** A solution has ``steps`` lines ``Step j: ... gives V.`` of
    ``tokens_per_step`` words, and a last line ``The answer is X``. Each step is right
    with probability p^(1/steps), so the whole chain is with probability p. The first
    step that is not leads to one of the wrong answers, by their weights, and the rest
    follows from it. A ``prefill`` is continued: its steps are recognised, and a wrong
    one is never mended. One that ends in ``\boxed{`` gets the answer. An assistant
    message that comes to no answer counts as a solution under way: the message after
    it gets only the last line.

    **Questions.** The question of a prompt is the longest key of ``problems`` that its
    latest message holds, or else an earlier one. A prompt without any is a question of
    its own (its last user message), whose truth is a number derived from the text.

    **Judging.** A user message with a line ``Question:``, a later line
    ``Proposed solution:`` and, in the same message, the words Yes and No is a request
    to judge. The last answer in the solution (``\boxed{}``, or "answer is") is compared
    with the truth; of one without an answer the steps are. P(Yes) depends on the
    solution alone, never on the seed; at temperature 0 the likelier word is said, else
    one is drawn.

    **Randomness** derives from the model's seed, the request's seed, the question and
    the index of the sample, never from the order of calls. Two calls alike in these
    get the same answer. Temperature and the like change no solution.

    A token is a word between white space. Log-probabilities are those of the
    distribution that the words were drawn from.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        accuracy: Accuracy = 0.6,
        problems: Mapping[str, Problem] | None = None,
        correlation: float = 0.0,
        wrong_weights: Sequence[float] = (3.0, 2.0, 1.0),
        steps: int = 3,
        tokens_per_step: int = 8,
        judge: ErrorRates | Separation | None = None,
        latency: float = 0.0,
        latency_per_token: float = 0.0,
        name: str = "simulated",
        capabilities: Capabilities | None = None,
    ) -> None:
        """Choose the statistics.

        Args:
            seed: Another seed is another model with the same statistics.
            accuracy: Probability of a right answer, 0 to 1; one for all questions, or
                one for each difficulty, or a function of it.
            problems: From the text of a question to what is known about it.
            correlation: rho, 0 to 1; see above.
            wrong_weights: One weight for each distinct wrong answer.
            steps: Steps of a solution, 1 or more.
            tokens_per_step: Words of a step, 4 or more.
            judge: How it judges; by default with ``ErrorRates()``.
            latency: Seconds of each call.
            latency_per_token: Seconds for each word of the longest completion.
            name: Identity of the model.
            capabilities: What it claims to do; ``UnsupportedCapability`` is raised
                for the rest.

        Raises:
            InvalidParameter: A value is outside its range.
        """
        _require("correlation", correlation, 0 <= correlation <= 1, "0 to 1")
        _require("steps", steps, steps >= 1, "1 or more")
        _require("tokens_per_step", tokens_per_step, tokens_per_step >= 4, "4 or more")
        positive = len(wrong_weights) > 0 and min(wrong_weights) > 0
        _require("wrong_weights", wrong_weights, positive, "positive numbers")
        _require("latency", latency, latency >= 0, "0 or more seconds")
        _require("latency_per_token", latency_per_token, latency_per_token >= 0, "0 up")
        self.name, self.seed = name, seed
        self.capabilities = capabilities or Capabilities(
            n=True, seed=True, logprobs=True, prefill=True, stream=True
        )
        self.problems = dict(problems or {})
        self._accuracy, self._correlation = accuracy, correlation
        self._weights = tuple(wrong_weights)
        self._steps, self._padding = steps, tokens_per_step - 4
        self._judge = judge or ErrorRates()
        self._latency, self._latency_per_token = latency, latency_per_token
        self._questions: dict[str, Question] = {}

    def count_tokens(self, request: Request) -> int:
        """Return the words of messages and prefill: exactly what is charged."""
        return count_prompt(request)

    async def generate(
        self,
        request: Request,
        *,
        on_delta: OnDelta | None = None,
        max_seconds: float | None = None,
    ) -> list[Completion]:
        """Answer by chance; see the class and ``Model.generate``."""
        check(self.name, self.capabilities, request)
        drafts = [limit(self._say(request, i), request) for i in range(request.n)]
        longest = max(count(draft.text) for draft in drafts)
        return await deliver(
            drafts,
            request,
            seconds=self._latency + self._latency_per_token * longest,
            on_delta=on_delta,
            max_seconds=max_seconds,
        )

    def truth(self, question: str) -> str:
        """Return the right answer of a question, as it stands in a prompt."""
        return self._question((question,)).answers[0]

    def _say(self, request: Request, index: int) -> Completion:
        if prompt := judge_prompt(request):
            return self._verdict(*prompt, request, index)
        asked, under_way, forced = conversation(request)
        question = self._question(asked)
        words = self._solution(question, under_way, forced, (request.seed, index))
        return completion(words, request)

    def _question(self, texts: Sequence[str]) -> Question:
        """Return the question that is asked in texts, the latest text first."""
        for text in texts:
            if known := [key for key in self.problems if key in text]:
                key = max(known, key=len)
                return self._known(key, self.problems[key])
        return self._known(texts[0].strip(), None)

    def _known(self, text: str, problem: Problem | None) -> Question:
        if text not in self._questions:
            self._questions[text] = self._new(text, problem)
        return self._questions[text]

    def _new(self, text: str, problem: Problem | None) -> Question:
        draw = self._random("question", text)
        problem = problem or Problem(truth=str(draw.randint(10, 999)))
        others = [str(n) for n in draw.sample(range(10, 1000), len(self._weights) + 1)]
        others = [other for other in others if other != problem.truth]
        wrong = (problem.wrong or others)[: len(self._weights)]
        weights = self._weights[: len(wrong)]
        values = range(1000, 10_000)
        p = latent(self._mean(problem.difficulty), self._correlation, draw)
        return Question(
            text=text,
            answers=(problem.truth, *wrong),
            weights=tuple(weight / sum(weights) for weight in weights),
            per_step=p ** (1 / self._steps),
            values=tuple(
                tuple(draw.sample(values, len(wrong) + 1)) for _ in range(self._steps)
            ),
        )

    def _mean(self, difficulty: Difficulty) -> float:
        accuracy = self._accuracy
        if isinstance(accuracy, Mapping):
            if difficulty not in accuracy:
                raise InvalidParameter(
                    f"No accuracy is given for difficulty {difficulty!r}. "
                    f"Known: {', '.join(map(repr, accuracy))}."
                )
            value = accuracy[difficulty]
        else:
            value = accuracy(difficulty) if callable(accuracy) else accuracy
        _require("accuracy", value, 0 <= value <= 1, "0 to 1")
        return value

    def _random(self, *place: object) -> random.Random:
        digest = blake2b(repr((self.seed, *place)).encode(), digest_size=8).digest()
        return random.Random(int.from_bytes(digest))

    def _solution(
        self, question: Question, prefix: str, forced: bool, sample: tuple[object, ...]
    ) -> list[Word]:
        """Continue a solution from ``prefix`` to its end."""
        chain, done, rest = read(question, prefix)
        if forced or re.search(r"\\boxed\{\s*\Z", prefix):
            return self._forced(question, chain, done, forced, sample)
        lines: list[list[Word]] = []
        for step in range(done, self._steps):
            draw = self._random(question.text, sample, step)
            came_to = next_chain(question, chain, question.per_step, draw)
            lines.append(self._step(question, step, chain, came_to, draw))
            chain = came_to
        lines.append([Word(w) for w in last_line(question.answers[chain]).split()])
        written = len(rest.split()) if rest.lstrip().startswith(("Step", "The")) else 0
        return joined([lines[0][written:], *lines[1:]], prefix, written > 0)

    def _step(
        self,
        question: Question,
        step: int,
        chain: int,
        came_to: int,
        draw: random.Random,
    ) -> list[Word]:
        fillers = draw.choices(FILLERS, k=self._padding)
        values = [f"{value}." for value in question.values[step]]
        likely = odds(question, chain, question.per_step)
        return [
            Word("Step"),
            Word(f"{step + 1}:"),
            *(drawn(filler, FILLER_ODDS) for filler in fillers),
            Word("gives"),
            drawn(values[came_to], dict(zip(values, likely, strict=True))),
        ]

    def _forced(
        self,
        question: Question,
        chain: int,
        done: int,
        whole_line: bool,
        sample: tuple[object, ...],
    ) -> list[Word]:
        """Answer at once, as likely to be right as the steps left out."""
        left = question.per_step ** (self._steps - done)
        draw = self._random(question.text, sample, "forced")
        came_to = next_chain(question, chain, left, draw)
        line = "The answer is \\boxed{{{}}}" if whole_line else "{}}}"
        said = [line.format(answer) for answer in question.answers]
        likely = dict(zip(said, odds(question, chain, left), strict=True))
        first, *others = said[came_to].split()
        # The words of one answer stand or fall together.
        start = Word(first, likely[said[came_to]], likely)
        return [start, *(Word(word, space=" ") for word in others)]

    def _verdict(
        self, asked: str, solution: str, request: Request, index: int
    ) -> Completion:
        question = self._question((asked,))
        right = is_right(question, solution)
        # Open at both ends, so that neither logarithm is infinite.
        u = self._random("judge", question.text, solution).uniform(1e-9, 1 - 1e-9)
        p_yes = min(max(self._judge.p_yes(right, u), 1e-9), 1 - 1e-9)
        likely = {"Yes": p_yes, "No": 1 - p_yes}
        word = "Yes" if p_yes >= 0.5 else "No"
        if request.sampling.temperature > 0:
            draw = self._random("vote", question.text, solution, request.seed, index)
            word = "Yes" if draw.random() < p_yes else "No"
        return completion([drawn(word, likely)], request)


def expected_coverage(accuracy: float, correlation: float, k: int) -> float:
    """Return the probability that at least one of k samples is right.

    It is 1 - E[(1 - p)^k] under the beta distribution of ``SimulatedModel``, that is
    1 - B(alpha, beta + k) / B(alpha, beta).

    Args:
        accuracy: Mean probability of a right sample.
        correlation: rho, of two samples of one question.
        k: How many samples.
    """
    if correlation == 1:
        return accuracy if k else 0.0
    alpha = accuracy * (1 - correlation)
    beta = (1 - accuracy) * (1 - correlation)
    all_wrong = 1.0
    for i in range(k):
        all_wrong *= (beta + i * correlation) / (alpha + beta + i * correlation)
    return 1 - all_wrong


def _require(name: str, value: object, fits: bool, wanted: str) -> None:
    if not fits:
        raise InvalidParameter(f"{name} is {value}: give {wanted}.")
