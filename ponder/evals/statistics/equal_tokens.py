"""Self-consistency that spends as many tokens as the strategy it is compared with."""

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from ponder.agents.answers import Equality, group
from ponder.errors import InvalidParameter


@dataclass(frozen=True)
class Draw:
    """One sampled chain of thought."""

    answer: str | None
    """``None`` if none could be read."""
    tokens: int
    """All that the sample was charged."""


@dataclass(frozen=True)
class EqualTokens:
    """Self-consistency at a given mean number of tokens."""

    values: dict[str, float]
    """Expected correctness of each problem, 0 to 1."""
    samples: float
    """Mean number of samples, m."""
    tokens: float
    """Mean tokens that m samples take: the target, unless one sample takes more; where
    the bank holds fewer, those of as many as it has of every problem."""
    enough: bool
    """Whether the bank was large enough; if not, all of it was used."""


def vote(draws: Sequence[Draw], equality: Equality = "math") -> str | None:
    """Return the most frequent answer; ties go to the one that came first.

    Args:
        draws: In the order in which they were drawn.
        equality: Which answers are the same.

    Returns:
        The first form of that answer; ``None`` if no answer could be read.
    """
    groups = group([draw.answer for draw in draws], equality)
    leader = max(groups, key=lambda g: len(g.indices), default=None)
    return None if leader is None else leader.representative


def at_equal_tokens(
    bank: Mapping[str, Sequence[Draw]],
    tokens: float,
    correct: Callable[[str, str | None], float],
    *,
    equality: Equality = "math",
) -> EqualTokens:
    """Return self-consistency with the number of samples that a token target pays for.

    With k samples for each problem the bank says that T(k) tokens are spent on average
    over problems. The target mostly lies between T(k) and T(k + 1), at the share

        w = (target - T(k)) / (T(k + 1) - T(k)),   m = k + w

    and the baseline is a mixture: on every problem k + 1 samples with probability w,
    else k, whatever the problem. This is a procedure that one could run. It spends the
    target in expectation, and its expected correctness on a problem is
    (1 - w) a(k) + w a(k + 1), which is what is returned, without the noise of tossing
    the coin. It is unbiased because

    - draws are used in the order of their seeds, so the first k of them are just what a
      run with k samples would have drawn: no run is repeated, and none is picked;
    - k does not depend on the problem. Drawing until the tokens of one problem are used
      up would favour short chains, whose lengths tell something of their answers;
    - the coin does not depend on the answers.

    What remains is that T is estimated from the same draws, an error of the size of the
    standard error of the mean tokens.

    At least one sample is always drawn, even if it takes more than the target.

    Args:
        bank: Draws of each problem, in the order of their seeds.
        tokens: Target: mean tokens for each problem.
        correct: Correctness, 0 to 1, of an answer to a problem, given by its id;
            ``None`` is no answer.
        equality: Which answers are the same.

    Returns:
        The values. ``enough`` is false if the target is beyond the shortest list of
        draws; then all draws of every problem are used.

    Raises:
        InvalidParameter: The bank is empty, or a problem has no draws.
    """
    spent = _mean_tokens(bank)
    whole = tokens > spent[-1]
    low, weight = (0, 0.0) if whole else _samples(spent, tokens)
    values: dict[str, float] = {}
    for problem, draws in bank.items():
        fewer = len(draws) if whole else low
        answer = vote(draws[:fewer], equality)
        values[problem] = correct(problem, answer)
        if weight and (other := vote(draws[: fewer + 1], equality)) != answer:
            gain = correct(problem, other) - values[problem]
            values[problem] += weight * gain
    if whole:
        return _whole(bank, values, spent[-1])
    used = spent[low - 1]
    if weight:
        used += weight * (spent[low] - used)
    return EqualTokens(values, low + weight, used, enough=True)


def _mean_tokens(bank: Mapping[str, Sequence[Draw]]) -> list[float]:
    """Return T(1), T(2) ... up to the shortest list of draws."""
    if not bank:
        raise InvalidParameter("The bank holds no problem: sample some first.")
    for problem, draws in bank.items():
        if not draws:
            raise InvalidParameter(f"The bank holds no draw of problem '{problem}'.")
    # Lists may differ in length; zip ends with the shortest.
    sums = (accumulate(draw.tokens for draw in draws) for draws in bank.values())
    return [sum(each) / len(bank) for each in zip(*sums, strict=False)]


def _samples(spent: Sequence[float], tokens: float) -> tuple[int, float]:
    """Return k and w of a target that is at most T of all draws."""
    low = bisect_right(spent, tokens)
    if low == 0:
        return 1, 0.0
    if low == len(spent):
        return low, 0.0
    return low, (tokens - spent[low - 1]) / (spent[low] - spent[low - 1])


def _whole(
    bank: Mapping[str, Sequence[Draw]], values: dict[str, float], used: float
) -> EqualTokens:
    samples = sum(len(draws) for draws in bank.values())
    return EqualTokens(values, samples / len(bank), used, enough=False)
