"""Which scales a model looks at: tried in turn while there is doubt, kept where they pay.

Defects are large or tiny, and what one scale shows plainly another hides. Looking costs time, which
grows with the area; so a scale must earn its milliseconds in out-of-fold likelihood:

1. The ladder (`ladder`): which sides make sense for images of this size.
2. The coarsest scale is fitted. Finer ones are tried one by one, as long as a perfect one could
   still pay (`is_worth_trying`).
3. Of those tried, the set with the least loss and price together is chosen (`choose_scales`); it
   can skip some.

Loss and price are in the same unit, nats of likelihood of the labels, so that they can be added:
`label_loss` says how much is left to explain, `price` what a scale's milliseconds must explain.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.blending import label_loss
from lfvpipe.detector.ensemble import blend_scales, score_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.detector.arrays import Bools
    from lfvpipe.detector.scale import FittedScale


def ladder(size: tuple[int, int], sides: Sequence[int]) -> tuple[int, ...]:
    """Return the sides, px, on which to look at images of `size` (width, height), ascending.

    Small images are not magnified without end, nor any on a finer side by so little that it shows
    no more; and two sides close to each other are one.
    """
    native = (size[0] * size[1]) ** 0.5
    most = max(tuning.SCALE_SMALLEST, round(native * tuning.SCALE_MOST_ENLARGED / 16) * 16)
    own = round(native / 16) * 16
    finer = [own if native < each < tuning.SCALE_NATIVE * native else each for each in sides[2:]]
    result: list[int] = []
    for side in sorted({min(each, most) for each in (*sides[:2], *finer)}):
        if result and side < tuning.SCALE_APART * result[-1]:
            result.pop()
        result.append(side)
    return tuple(result)


def price(side: int) -> float:
    """Return the price of looking on one scale, nats."""
    needed = tuning.SCALE_MILLISECONDS * side**2 / 1000
    return tuning.SCALE_PRICE * needed * min(1.0, (needed / tuning.SCALE_LONG) ** 2)


def is_worth_trying(
    side: int, tried: Sequence[FittedScale], labels: Bools, *, persistent: bool
) -> bool:
    """Say whether a finer scale could pay, by what the scales tried leave unexplained.

    It could not where even a perfect one would cost more than there is to explain. It hardly will
    where those tried explain most: on photographs, a finer scale than the first has not paid.
    """
    known = _common_images(tried)
    if _loss(tried, labels, known) <= price(side):
        return False
    return persistent or _unexplained(tried, labels) > tuning.SCALE_AT_A_LOSS


def is_novelty_worth_trying(tried: Sequence[FittedScale], labels: Bools) -> bool:
    """Say whether what is normal on another scale could tell more than the scales tried.

    With few anomalies it decides more than labels do, and places can only be compared there where
    the product is brought to one position.
    """
    few = int(labels.sum()) < tuning.NOVELTY_ANOMALIES
    most = tuning.NOVELTY_LEAST_UNEXPLAINED if few else tuning.SCALE_AT_A_LOSS
    return _unexplained(tried, labels) > most


def choose_scales(
    tried: Sequence[FittedScale], labels: Bools, *, always: int | None = None
) -> list[FittedScale]:
    """Return the scales whose scores together explain most for their price.

    One of them at least scores cells, so that there is a heat map. They are compared on the images
    that all of them have scores of. There are at most five scales, so that all sets are tried.

    Args:
        tried: From coarse to fine.
        labels: True for anomalies.
        always: The side of one that is needed in any case.
    """
    known = _common_images(tried)
    sets = [
        list(some)
        for count in range(1, len(tried) + 1)
        for some in combinations(tried, count)
        if any(each.scale.has_cell_heads for each in some)
        and (always is None or any(each.side == always for each in some))
    ]
    return min(sets, key=lambda some: _loss(some, labels, known) + _price(some))


def _unexplained(some: Sequence[FittedScale], labels: Bools) -> float:
    """Return what these scales leave unexplained, as a share of what there is to explain."""
    known = _common_images(some)
    nothing = label_loss(np.zeros(int(known.sum())), labels[known])
    return _loss(some, labels, known) / nothing


def _price(some: Sequence[FittedScale]) -> float:
    return sum(price(each.side) for each in some)


def _common_images(tried: Sequence[FittedScale]) -> Bools:
    """Say of which images all of these scales have scores."""
    return np.asarray(np.isfinite(score_table(tried)[1]).all(1), np.bool_)


def _loss(some: Sequence[FittedScale], labels: Bools, known: Bools) -> float:
    """Return what the scores of these scales together leave unexplained of the `known`, nats."""
    scores = score_table(some)[1][known]
    return label_loss(blend_scales(some, labels, known).combine(scores), labels[known])
