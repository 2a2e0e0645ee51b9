"""How good a verifier is, and what that means for resampling."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import expm1, fsum, log1p

from ponder.errors import InvalidParameter
from ponder.evals.statistics.interval import Interval, accuracy_interval


@dataclass(frozen=True)
class Judged:
    """One candidate: what the verifier said, and the truth."""

    problem: str
    score: float | None
    """0 to 1; ``None`` if the verifier could not tell."""
    passed: bool | None
    """Whether it accepted the candidate; ``None`` if it did not decide."""
    correct: bool


@dataclass(frozen=True)
class Bin:
    """Candidates with similar scores."""

    mean_score: float
    share_correct: float
    count: int


@dataclass(frozen=True)
class VerifierReport:
    """What is known of a verifier; ``None`` where it cannot be computed."""

    false_positive_rate: Interval | None
    """Share of the wrong candidates that it accepts."""
    true_positive_rate: Interval | None
    """Share of the right candidates that it accepts."""
    precision: Interval | None
    """Share of the accepted candidates that are right: the limit of resampling."""
    auc: float | None
    """Probability that a right candidate of any problem has a higher score than a
    wrong one of any problem; a tie counts half."""
    auc_within: float | None
    """The same for two candidates of one problem, averaged over the problems that have
    both kinds. It is the one that counts for choosing among candidates: the other is
    high for a score that only tells easy problems from hard ones."""
    bins: tuple[Bin, ...]
    """Calibration: bins of equal width that are not empty, by rising score."""
    expected_calibration_error: float | None
    """Mean distance of score and share correct over the bins, weighted by count."""
    brier: float | None
    """Mean squared distance of score and truth (Brier 1950)."""
    candidates: int
    unscored: int
    """Candidates without score."""
    undecided: int
    """Candidates that were neither accepted nor refused."""


def verifier_report(
    items: Sequence[Judged], *, bins: int = 10, level: float = 0.95
) -> VerifierReport:
    """Compare a verifier with the truth.

    A candidate without a score or a decision is counted and left out; it is never taken
    as 0 or as refused. Intervals are clustered by problem. The AUC is the Mann-Whitney
    statistic; calibration is as in Guo et al. 2017, https://arxiv.org/abs/1706.04599.

    Args:
        items: Candidates of all problems.
        bins: How many bins the calibration has, 1 or more.
        level: Of the intervals.

    Raises:
        InvalidParameter: A score is outside 0 to 1, there are no bins, or the level is
            not between 0 and 1.
    """
    if bins < 1:
        raise InvalidParameter(f"{bins} bins: give 1 or more.")
    scored = [(i, i.score) for i in items if i.score is not None]
    if not all(0 <= score <= 1 for _, score in scored):
        raise InvalidParameter("A score of the verifier is outside 0 to 1.")
    pairs = [(score, item.correct) for item, score in scored]
    found = _bins(pairs, bins)
    wrong = [i for i in items if not i.correct]
    right = [i for i in items if i.correct]
    accepted = [i for i in items if i.passed]
    return VerifierReport(
        false_positive_rate=_pass_rate(wrong, level),
        true_positive_rate=_pass_rate(right, level),
        precision=_share(((i.correct, i.problem) for i in accepted), level),
        auc=_auc(pairs),
        auc_within=_auc_within(scored),
        bins=found,
        expected_calibration_error=_calibration_error(found),
        brier=_mean([(score - correct) ** 2 for score, correct in pairs]),
        candidates=len(items),
        unscored=len(items) - len(scored),
        undecided=sum(item.passed is None for item in items),
    )


def accepted_precision(p: float, t: float, f: float) -> float | None:
    """Return the share of accepted candidates that are right.

    p t / (p t + (1 - p) f) (Stroebl et al. 2024, https://arxiv.org/abs/2411.17501).
    Resampling until one candidate is accepted gives this accuracy, however many samples
    are allowed. With c = p t, the rate of accepted right candidates, and e = (1 - p) f,
    that of accepted wrong ones, it is c / (c + e).

    Args:
        p: Probability that a candidate is right.
        t: Probability that a right candidate is accepted.
        f: Probability that a wrong candidate is accepted.

    Returns:
        The share; ``None`` if nothing is ever accepted.

    Raises:
        InvalidParameter: One of them is no probability.
    """
    _check_probabilities(p=p, t=t, f=f)
    accepted = p * t + (1 - p) * f
    return p * t / accepted if accepted > 0 else None


def best_number_of_samples(
    p: float | Sequence[float],
    t: float,
    f: float,
    gain: float,
    cost: float,
    sample_cost: float,
    largest: int,
) -> tuple[int, float]:
    """Return how often to resample at most, and the utility of doing so.

    Samples are drawn until one is accepted, at most k; if none is, one abstains, which
    is worth 0. On a problem with single-sample accuracy p a sample is accepted with
    probability a = p t + (1 - p) f, so that (1 - (1 - a)^k) / a samples are expected
    (k if a = 0), and each brings p t gain - (1 - p) f cost - sample_cost:

        U(k) = (1 - (1 - a)^k) / a * (p t gain - (1 - p) f cost - sample_cost)

    averaged over problems. The setting is that of Stroebl et al. 2024,
    https://arxiv.org/abs/2411.17501; that each sample has a price is our addition.

    For a single p the sign of U does not depend on k, so the best k is 0 or the
    largest. With several problems there can be a best k in between: the easy ones are
    accepted early, and what is left is mostly accepted wrongly. So give the accuracy of
    each problem where it is known.

    Args:
        p: Probability of a right sample; one, or one for each problem.
        t: Probability that a right sample is accepted.
        f: Probability that a wrong sample is accepted.
        gain: Utility of accepting a right sample.
        cost: Loss of accepting a wrong one, 0 or more.
        sample_cost: Loss of drawing one sample, 0 or more.
        largest: The most samples to consider.

    Returns:
        k, the smallest of the best; 0 means that abstaining is best. And U(k).

    Raises:
        InvalidParameter: There is no p, one of p, t, f is no probability, a cost is
            negative, or ``largest`` is.
    """
    accuracies = list(p) if isinstance(p, Sequence) else [p]
    _check_probabilities(t=t, f=f)
    for accuracy in accuracies:
        _check_probabilities(p=accuracy)
    if not accuracies or min(cost, sample_cost, largest) < 0:
        raise InvalidParameter(
            "The best number of samples needs one accuracy or more, and costs and "
            "largest of 0 or more."
        )
    terms = [
        (q * t + (1 - q) * f, q * t * gain - (1 - q) * f * cost - sample_cost)
        for q in accuracies
    ]
    utilities = [
        fsum(_expected_samples(a, k) * each for a, each in terms) / len(terms)
        for k in range(largest + 1)
    ]
    best = max(range(largest + 1), key=lambda k: utilities[k])
    return best, utilities[best]


def _expected_samples(accepted: float, k: int) -> float:
    if accepted == 0:
        return float(k)
    if accepted >= 1:
        return float(min(k, 1))
    return -expm1(k * log1p(-accepted)) / accepted


def _check_probabilities(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise InvalidParameter(f"{name} is {value}: give a probability, 0 to 1.")


def _pass_rate(items: Iterable[Judged], level: float) -> Interval | None:
    decided = ((i.passed, i.problem) for i in items if i.passed is not None)
    return _share(decided, level)


def _share(items: Iterable[tuple[bool, str]], level: float) -> Interval | None:
    pairs = list(items)
    if not pairs:
        return None
    return accuracy_interval([x for x, _ in pairs], [c for _, c in pairs], level)


def _mean(values: Sequence[float]) -> float | None:
    return fsum(values) / len(values) if values else None


def _auc(pairs: Sequence[tuple[float, bool]]) -> float | None:
    right = [score for score, correct in pairs if correct]
    wrong = sorted(score for score, correct in pairs if not correct)
    if not right or not wrong:
        return None
    # Twice the number of wrong scores below, a tie counting as half a win.
    wins = sum(bisect_left(wrong, s) + bisect_right(wrong, s) for s in right)
    return wins / (2 * len(right) * len(wrong))


def _auc_within(scored: Sequence[tuple[Judged, float]]) -> float | None:
    by_problem: dict[str, list[tuple[float, bool]]] = {}
    for item, score in scored:
        by_problem.setdefault(item.problem, []).append((score, item.correct))
    found = [_auc(pairs) for pairs in by_problem.values()]
    return _mean([auc for auc in found if auc is not None])


def _bins(pairs: Sequence[tuple[float, bool]], bins: int) -> tuple[Bin, ...]:
    members: dict[int, list[tuple[float, bool]]] = {}
    for score, correct in pairs:
        place = min(int(score * bins), bins - 1)
        members.setdefault(place, []).append((score, correct))
    return tuple(
        Bin(
            mean_score=fsum(score for score, _ in each) / len(each),
            share_correct=sum(correct for _, correct in each) / len(each),
            count=len(each),
        )
        for _, each in sorted(members.items())
    )


def _calibration_error(bins: Sequence[Bin]) -> float | None:
    total = sum(each.count for each in bins)
    if not total:
        return None
    gaps = (each.count * abs(each.mean_score - each.share_correct) for each in bins)
    return fsum(gaps) / total
