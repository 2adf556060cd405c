"""What the decision on images is made by: costs, a threshold, a rate that is not to be exceeded.

All of it goes by what models said of training images that they had not learnt from; test images
are there to see what a decision does, not to choose it by.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from math import ceil, exp, lgamma, log, log1p, nextafter
from typing import TYPE_CHECKING

from lfvpipe.decision import Decision

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lfvpipe.config.spec import Costs, Decide, ToPerson

CONFIDENCE = 0.95
"""With which a largest rate is to hold, where nobody says."""

_EDGE = 1e-6  # a threshold's least distance from 0 and 1
_HALF = 0.5


@dataclass(frozen=True)
class Judged:
    """The score that models which had not learnt from a training image gave it."""

    score: float
    is_anomaly: bool


@dataclass(frozen=True)
class Choice:
    """A decision, and how it came about.

    Attributes:
        by: What it was made by, in a few words.
        note: What of it cannot be had, or is guessed; "" for nothing.
    """

    decision: Decision
    by: str
    note: str = ""


def decide(
    policy: Decide | None,
    to_person: ToPerson | None,
    training: Sequence[Judged],
    half: float | None = None,
) -> Choice:
    """Return the threshold that a policy comes to.

    Args:
        policy: None for the best F1, by which the model chose its own threshold.
        to_person: Which images a person decides on; None for those where that costs the least, if
            the policy says what a person's look costs, and for none otherwise.
        training: Of all training images of which something is known.
        half: See `calibrated_at_half`; where it is None, scores are held for probabilities.
    """
    band = (to_person.above, to_person.below) if to_person else (None, None)
    if policy is None:
        threshold, by, note = _HALF, "the best expected F1", ""
    elif policy.threshold is not None:
        threshold, by, note = policy.threshold, "a threshold that was set", ""
    elif policy.costs is not None:
        known = _Known.of(policy, training, half)
        threshold, by, note = _by_costs(policy, known)
        if to_person is None and policy.costs.person is not None:
            band, told = _by_look(policy.costs, policy.costs.person, known)
            by += f" with {policy.costs.person:g} for a person's look"
            note = "; ".join(filter(None, (note, told)))
    else:
        threshold, by, note = _by_rate(policy, training, to_person)
    decision = Decision(min(max(threshold, _EDGE), 1 - _EDGE), *band)
    return Choice(decision, by, "; ".join(filter(None, (note, about_band(decision)))))


def at_score(threshold: float) -> str:
    """Return at which score is decided, and how that is to the model's own."""
    if threshold == _HALF:
        return "a score of 0.5, the model's own"
    return f"a score of {threshold:.3g} (the model's own is 0.5)"


def about_band(decision: Decision) -> str:
    """Return that the threshold is not among the scores that go to a person; "" where it is."""
    above, threshold, below = decision.above, decision.threshold, decision.below
    if above is None or below is None or above <= threshold <= below:
        return ""
    called = "anomalous" if threshold < above else "normal"
    return (
        f"a person decides on scores of {above:g} to {below:g}, which do not hold the threshold of"
        f" {threshold:.3g}: images on both sides of them are called {called}"
    )


@dataclass(frozen=True)
class _Known:
    """What turns probabilities on the line into scores.

    Attributes:
        half: See `calibrated_at_half`; where it is None, scores are held for probabilities.
        shift: The odds of a defect among the training images over those on the line; None where
            they are not known and count.
        note: What of that is not known, or assumed.
    """

    half: float | None
    shift: float | None
    note: str

    @classmethod
    def of(cls, policy: Decide, training: Sequence[Judged], half: float | None) -> _Known:
        anomalies = sum(each.is_anomaly for each in training)
        normals = len(training) - anomalies
        shift: float | None = 1.0
        if policy.prevalence is not None:
            line = policy.prevalence / (1 - policy.prevalence)
            shift = (anomalies / normals) / line if anomalies and normals else None
        if half is None or shift is None:
            return cls(half, shift, _UNKNOWN)
        if policy.prevalence is not None or not training:
            return cls(half, shift, "")
        share = f"{100 * anomalies / len(training):.2g} %"
        return cls(
            half,
            shift,
            f"the line is taken to have as many defects as the training images, {share}:"
            " `prevalence: 0.02` beside the costs would say that it has 2 %",
        )

    def score(self, odds: float) -> float:
        """Return the score that the odds of a defect on the line stand for."""
        if self.shift is None:
            return _HALF
        probability = odds * self.shift / (1 + odds * self.shift)
        return probability if self.half is None else _score_of(probability, self.half)


def _by_costs(policy: Decide, known: _Known) -> tuple[float, str, str]:
    """Return the score from which on passing an image costs more than rejecting it.

    That is where the odds of an anomaly are those of the costs. With a prevalence, the odds of
    the training images' own share are taken out of the calibrated ones, and the line's put in.
    Source: Elkan, "The foundations of cost-sensitive learning", IJCAI 2001.
    """
    costs = policy.costs
    if costs is None:
        raise ValueError("a policy by costs has costs")
    by = f"costs of {costs.false_accept:g}:{costs.false_reject:g}"
    if policy.prevalence is not None:
        by += f" at a prevalence of {100 * policy.prevalence:g} %"
    return known.score(costs.false_reject / costs.false_accept), by, known.note


def _by_look(
    costs: Costs, look: float, known: _Known
) -> tuple[tuple[float, float] | tuple[None, None], str]:
    """Return between which scores a person's look costs less than to pass and than to reject.

    To pass an image costs, on average, its probability times a false accept; to reject it, what is
    left of 1 times a false reject. Source: Chow, "On optimum recognition error and reject
    tradeoff", IEEE Transactions on Information Theory, 1970.
    """
    least, most = look / costs.false_accept, 1 - look / costs.false_reject
    if least >= most:
        dearest = 1 / (1 / costs.false_accept + 1 / costs.false_reject)
        return (None, None), (
            f"a person's look at {look:g} costs no less than to decide without one: it pays under"
            f" {dearest:.2g}"
        )
    if known.shift is None:
        return (None, None), ""
    above, below = (known.score(each / (1 - each)) for each in (least, most))
    return (above, below), ""


def band_that_pays(
    policy: Decide, look: float, training: Sequence[Judged], half: float | None
) -> tuple[float, float] | None:
    """Return the scores between which a person's look would pay at a cost; None where it does not.

    Args:
        policy: By costs.
        look: What a look costs.
        training: See `decide`; likewise `half`.
        half: See there.
    """
    if policy.costs is None:
        raise ValueError("a policy by costs has costs")
    (above, below), _ = _by_look(policy.costs, look, _Known.of(policy, training, half))
    return None if above is None or below is None else (above, below)


_UNKNOWN = (
    "how probable a defect is is not known, as with fewer than five defective training images, or"
    " another service: scores are held for probabilities"
)


def calibrated_at_half(pairs: Iterable[tuple[float, float | None]]) -> float | None:
    """Return the calibrated probability that the score 0.5 stands for; None where nobody tells.

    Scores are calibrated probabilities moved in two straight lines that meet there.

    Args:
        pairs: Score and calibrated probability of some images.
    """
    known = [(score, calibrated) for score, calibrated in pairs if calibrated is not None]
    if not known:
        return None
    # The one nearest to the bend: figures are rounded.
    score, calibrated = min(known, key=lambda each: abs(each[0] - _HALF))
    if score < _HALF:
        found = calibrated / (2 * score) if score > 0 else _HALF
    else:
        part = 2 * score - 1
        found = (calibrated - part) / (1 - part) if part < 1 else _HALF
    return min(max(found, _EDGE), 1 - _EDGE)


def _score_of(probability: float, half: float) -> float:
    if probability < half:
        return _HALF * probability / half
    return _HALF + _HALF * (probability - half) / (1 - half)


def _by_rate(
    policy: Decide, training: Sequence[Judged], to_person: ToPerson | None
) -> tuple[float, str, str]:
    """Return the model's own threshold, moved as far as a rate needs to hold with a confidence.

    Of n images whose scores come from the same source as those to come, the k-th from the end is
    a bound on all to come: the share beyond it is a Beta variable (Wilks, "Determination of sample
    sizes for setting tolerance limits", 1941). So many may lie beyond the threshold as a share of
    the rate would exceed only with a probability of 1 - confidence.
    """
    escapes = policy.max_escape_rate is not None
    rate = policy.max_escape_rate if escapes else policy.max_false_alarm_rate
    if rate is None:
        raise ValueError("a policy by a rate has a rate")
    confidence = policy.confidence if policy.confidence is not None else CONFIDENCE
    what, kind = ("defective", "escapes") if escapes else ("good", "false alarms")
    by = f"a limit of {100 * rate:g} % on {kind}, with {100 * confidence:g} % confidence"
    scores = sorted(each.score for each in training if each.is_anomaly == escapes)
    if not scores:
        known = "what models say of training images that they had not learnt from is not known"
        return _HALF, by, f"{known}, so the model's own threshold stands"
    count = len(scores)
    beyond = _may_lie_beyond(count, rate, confidence)
    if escapes:
        threshold = min(scores[max(beyond, 0)], _HALF)
    else:
        threshold = max(nextafter(scores[count - 1 - max(beyond, 0)], 1), _HALF)
    if beyond >= 0:
        return threshold, by, ""
    threshold = min(max(threshold, _EDGE), 1 - _EDGE)
    promised = 1 - (1 - confidence) ** (1 / count)
    if escapes:
        key, called = "max_escape_rate", "normal"
        band = f"above: 0, below: {_holding(threshold, up=True)}"
        asked = to_person and to_person.above == 0 and to_person.below >= threshold
    else:
        key, called = "max_false_alarm_rate", "anomalous"
        band = f"above: {_holding(threshold, up=False)}, below: 1"
        asked = to_person and to_person.above < threshold and to_person.below == 1
    until = f"a person looks at all that is called {called}"
    if not asked:
        until = (
            f"promise `{key}: {ceil(1000 * promised) / 1000:g}`, or have a person look at all that"
            f" is called {called}: `to_person: {{{band}}}`"
        )
    wanted = ceil(log(1 - confidence) / log1p(-rate))
    note = (
        f"{count:,} {what} training images can promise {100 * promised:.2g} % at best;"
        f" {100 * rate:g} % takes {wanted:,} of them, {wanted - count:,} more; until then {until}"
    )
    return threshold, by, note


def _holding(threshold: float, *, up: bool) -> str:
    """Return the end of a band that holds all scores on one side of a threshold, three digits.

    Args:
        threshold: That scores below it are called normal, and from it on anomalous.
        up: Whether the band ends there, and holds the former; else it begins there.
    """
    exact = Decimal(threshold)
    unit = Decimal(1).scaleb(exact.adjusted() - 2)
    found = exact.quantize(unit, ROUND_CEILING if up else ROUND_FLOOR)
    if not up and float(found) >= threshold:  # what is just the threshold is called anomalous
        found -= unit
    return f"{found.normalize():f}"


def _may_lie_beyond(count: int, rate: float, confidence: float) -> int:
    """Return how many of `count` images may lie beyond the threshold; -1 where none is too many."""
    chance, found = 0.0, -1
    for beyond in range(count):
        ways = lgamma(count + 1) - lgamma(beyond + 1) - lgamma(count - beyond + 1)
        chance += exp(ways + beyond * log(rate) + (count - beyond) * log1p(-rate))
        if chance > 1 - confidence:
            break
        found = beyond
    return found
