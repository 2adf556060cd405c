"""How much more would be known with more images to judge: intervals by their number.

The further images are supposed to be judged as those were that there are. The interval is
Wilson's, as that of the figures themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.report import certainty
from lfvpipe.report.metrics import wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.report.records import Estimate, RunRecord

MORE = (0, 20, 40, 100, 200)  # images
NARROW = 0.1  # from end to end: five hundredths to either side
_MOST = 100_000  # images; nobody takes so many photographs to narrow an interval


@dataclass(frozen=True)
class Prospect:
    """What would be known of a proportion with `more` images, which makes `images` of them."""

    more: int
    images: int
    estimate: Estimate


@dataclass(frozen=True)
class Outlook:
    """What further images of one kind would tell.

    Attributes:
        metric: The figure's name.
        kind: Of the images.
        prospects: By how many more images, from none on.
        enough: How many more it takes until the interval is `NARROW`; 0 where it is.
    """

    metric: str
    kind: str
    prospects: Sequence[Prospect]
    enough: int

    @property
    def told(self) -> str:
        """What the figures come to, as a sentence."""
        now = self.prospects[0].estimate
        if not self.enough:
            return f"The interval of the {self.metric} is narrow: {_range(now)}."
        then = next(each for each in self.prospects if each.more == 40)
        return (
            f"With 40 more {self.kind} images, judged as those were, the interval of the"
            f" {self.metric} would be {_range(then.estimate)} instead of {_range(now)}; with about"
            f" {self.enough:,} more it would be {NARROW:.2f} wide."
        )


def outlooks(run: RunRecord) -> list[Outlook]:
    """Return what further anomalous and normal images would tell of all that were judged."""
    counts = certainty.all_judged(run)
    return [
        _outlook(metric, kind, part, whole)
        for metric, kind, part, whole in (
            ("recall", "anomalous", counts.true_positive, counts.positive),
            ("false alarm rate", "normal", counts.false_positive, counts.negative),
        )
        if whole
    ]


def _outlook(metric: str, kind: str, part: int, whole: int) -> Outlook:
    def prospect(more: int) -> Prospect:
        images = whole + more
        return Prospect(more, images, wilson(part / whole * images, images))

    def is_narrow(more: int) -> bool:
        found = prospect(more).estimate
        return (found.high or 0) - (found.low or 0) <= NARROW

    low, high = 0, _MOST  # the interval narrows with each image
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_narrow(middle) else (middle + 1, high)
    return Outlook(metric, kind, [prospect(more) for more in MORE], low)


def _range(estimate: Estimate) -> str:
    return f"{estimate.low or 0:.2f} to {estimate.high or 0:.2f}"
