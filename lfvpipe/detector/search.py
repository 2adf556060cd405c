"""Which scales a model looks at: tried in turn while there is doubt, kept where they pay.

Defects are large or tiny, and what one scale shows plainly another hides. Looking costs time, which
grows with the area; so a scale must earn its milliseconds in out-of-fold likelihood.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector import blend
from lfvpipe.detector.heads import columns
from lfvpipe.detector.scale import Fitted

APART = 1.2  # how much finer a scale must be to be worth its time
ENLARGED = 2.2  # how much a small image may be magnified
NATIVE = 1.2  # times an image's own side: up to there, it is looked at as it is
SMALLEST = 128
MILLISECONDS = 0.215  # of one thread, for a thousand pixels
PRICE = 0.045  # nats of likelihood that a millisecond of judging must bring
LONG = 90.0  # ms; the shorter a look, the cheaper its milliseconds, since nobody waits for them
AT_A_LOSS = 0.5  # of what is unexplained without any score: above it, going on is worth a try
TELLING = 0.5  # of what is explained: what other scores than places must explain
Bools = NDArray[np.bool_]


def ladder(size: tuple[int, int], sides: Sequence[int]) -> tuple[int, ...]:
    """Return the sides, px, on which to look at images of `size` (width, height), ascending.

    Small images are not magnified without end, nor any on a finer side by so little that it shows
    no more; and two sides close to each other are one.
    """
    native = (size[0] * size[1]) ** 0.5
    most = max(SMALLEST, round(native * ENLARGED / 16) * 16)
    own = round(native / 16) * 16
    finer = [own if native < each < NATIVE * native else each for each in sides[2:]]
    result: list[int] = []
    for side in sorted({min(each, most) for each in (*sides[:2], *finer)}):
        if result and side < APART * result[-1]:
            result.pop()
        result.append(side)
    return tuple(result)


def cost(fitted: Sequence[Fitted]) -> float:
    """Return the price of looking on these scales, nats."""
    return sum(price(each.scale.side) for each in fitted)


def price(side: int) -> float:
    """Return the price of looking on one scale, nats."""
    needed = MILLISECONDS * side**2 / 1000
    return PRICE * needed * min(1.0, (needed / LONG) ** 2)


def in_doubt(side: int, tried: Sequence[Fitted], labels: Bools) -> bool:
    """Say whether the scales tried leave more unexplained than another one would cost."""
    return _loss(tried, labels, _known(tried)) > price(side)


def worth_trying(side: int, tried: Sequence[Fitted], labels: Bools, *, persistent: bool) -> bool:
    """Say whether a finer scale could pay, by what the scales tried leave unexplained.

    It could not where even a perfect one would cost more than there is to explain. Where the last
    one tried did not pay, or where places explain most, which finer scales do not know, a finer one
    hardly will, unless all of them are at a loss.
    """
    if not in_doubt(side, tried, labels):
        return False
    known = _known(tried)
    nothing = blend.loss(np.zeros(int(known.sum())), labels[known])
    left = _loss(tried, labels, known)
    if persistent or left > AT_A_LOSS * nothing:
        return True
    paid = any(each is tried[-1] for each in chosen(tried, labels))
    return paid and nothing - _loss(_placeless(tried), labels, known) > TELLING * (nothing - left)


def _placeless(tried: Sequence[Fitted]) -> list[Fitted]:
    """Return the scales without what places tell."""
    scores = [{name: e for name, e in each.scores.items() if name != "place"} for each in tried]
    return [replace(each, scores=rest) for each, rest in zip(tried, scores, strict=True)]


def chosen(tried: Sequence[Fitted], labels: Bools, *, always: int | None = None) -> list[Fitted]:
    """Return the scales whose scores together explain most for their price.

    One of them at least scores positions, so that there is a heat map. They are compared on the
    images that all of them have scores of.

    Args:
        tried: From coarse to fine.
        labels: True for anomalies.
        always: The side of one that is needed in any case.
    """
    known = _known(tried)
    sets = [
        list(some)
        for count in range(1, len(tried) + 1)
        for some in combinations(tried, count)
        if any(each.scale.local is not None for each in some)
        and (always is None or any(each.scale.side == always for each in some))
    ]
    return min(sets, key=lambda some: _loss(some, labels, known) + cost(some))


def steadied(some: list[Fitted], tried: Sequence[Fitted], usual: int) -> list[Fitted]:
    """Return the scales chosen of those `tried`; all finer ones, where no usual one was chosen.

    What shows on finer scales only is small. Which of them shows it best out of fold is chance
    where images are few: the average errs less, and such defects are worth the time.

    Args:
        some: Those chosen.
        tried: From coarse to fine.
        usual: The side, px, up to which a scale is a usual one.
    """
    if any(each.scale.side <= usual for each in some):
        return some
    return [each for each in tried if each.scale.side > usual]


def better(tried: Sequence[Fitted], instead: Fitted, labels: Bools) -> list[Fitted]:
    """Return `tried` scales; with another `instead` of the last where that explains more."""
    return min([*tried], [*tried[:-1], instead], key=lambda some: _shortfall(some, labels))


def _shortfall(tried: Sequence[Fitted], labels: Bools) -> float:
    """Return what the best of these scales together leave unexplained, and their price, nats."""
    best = chosen(tried, labels)
    return _loss(best, labels, _known(tried)) + cost(best)


def _known(tried: Sequence[Fitted]) -> Bools:
    """Say of which images all of these scales have scores."""
    return np.asarray(np.isfinite(columns(tried)[1]).all(1), np.bool_)


def _loss(some: Sequence[Fitted], labels: Bools, known: Bools) -> float:
    """Return what the scores of these scales together leave unexplained of the `known`, nats."""
    scores = columns(some)[1][known]
    mix = blend.average(scores, labels[known])
    return blend.loss(mix.combined(scores), labels[known])
