"""Control charts of what a model says over time, held against what it said of its test images.

Two charts (W. A. Shewhart, Economic Control of Quality of Manufactured Product, 1931):

- p: how many of a group's images are called anomalous. Where a share is expected, limits are those
  of the binomial distribution itself rather than three of its standard deviations, which are wrong
  for small shares (T. P. Ryan, N. C. Schwertman, Optimal limits for attributes control charts,
  Journal of Quality Technology 29, 1997). Where only the test is known, its false alarms are a
  sample, too: limits are those of the next group given that sample, a beta-binomial distribution
  by Jeffreys' prior (U. Menzefricke, On the evaluation of control chart limits based on predictive
  distributions, Communications in Statistics: Theory and Methods 31, 2002).
- x-bar: the mean score of the images that are called normal, by which a slow change is seen before
  verdicts change. Limits are those of the mean of a next group given the mean and the spread of
  the test's (by Student's t). Since a test has few images, the test's own mean is the larger
  doubt of the two, which weighting past groups (EWMA) would not make smaller; measured in
  `tests/benchmarks/console/drift.py`.

Limits are passed by 1 in 741 groups on each side where nothing has changed (`BEYOND`), as by three
standard deviations of a normal distribution. A group that is still filling is looked at more than
once: of 60 to 2,000 images a day with 1 to 20 % anomalies, drawn at random, 0.1 to 1 % of the days
were above a limit at one of 16 looks, and 0.3 to 2 % at a look after each image.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from math import ceil, exp, fsum, lgamma, log, log1p, sqrt
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BEYOND: Final = 0.001349898  # the normal distribution's share above three standard deviations
LEAST: Final = 20
"""Images of a group: of fewer, a mean says little."""
LEAST_SCORES: Final = 5
"""Test images from which a spread can be known at all."""
_SUMMED: Final = 5_000  # images up to which a beta-binomial is summed; then it grows with them
_FAR: Final = 12  # standard deviations above which nothing of a binomial is left


class Kind(StrEnum):
    """What a chart is of."""

    RATE = "rate"
    SCORE = "score"


@dataclass(frozen=True)
class Limits:
    """Between which figures a group is as it was to be expected.

    Attributes:
        low: The lowest such figure.
        high: The highest one.
    """

    low: float
    high: float


@dataclass(frozen=True)
class Expected:
    """The share of images that a person expects to be called anomalous."""

    share: float

    def limits(self, images: int) -> Limits:
        """Return between how many anomalies of `images` images are as expected."""
        below = images - _most(images, 1 - self.share)
        return Limits(float(below), float(_most(images, self.share)))


@dataclass(frozen=True)
class FalseAlarms:
    """How many of a test's normal images were called anomalous.

    Attributes:
        images: The test's normal images.
        alarms: Those that were called anomalous.
    """

    images: int
    alarms: int

    @property
    def share(self) -> float:
        """Their share, 0 to 1."""
        return self.alarms / self.images

    def limits(self, images: int) -> Limits:
        """Return how many of `images` normal images may be called anomalous by this.

        There is no lower limit: fewer false alarms are as good as they look.
        """
        return Limits(0.0, float(_most_predicted(images, self.alarms, self.images)))


@dataclass(frozen=True)
class NormalScores:
    """The scores of a test's normal images that were called normal.

    Attributes:
        images: How many, at least `LEAST_SCORES`.
        mean: Theirs.
        spread: Their standard deviation, above 0.
    """

    images: int
    mean: float
    spread: float

    @classmethod
    def of(cls, scores: Sequence[float]) -> NormalScores | None:
        """Return it; None where they are too few, or all the same."""
        spread = stdev(scores) if len(scores) >= LEAST_SCORES else 0.0
        return cls(len(scores), fmean(scores), spread) if spread > 0 else None

    def limits(self, images: int) -> Limits:
        """Return between which means of `images` scores are as the test's."""
        error = self.spread * sqrt(1 / images + 1 / self.images)
        far = _student(self.images - 1) * error
        return Limits(max(0.0, self.mean - far), min(1.0, self.mean + far))


@dataclass(frozen=True)
class Point:
    """One group of images on a chart.

    Attributes:
        first: Its first day, since 1970; `last` is its last.
        images: Those that count for the figure.
        figure: How many were called anomalous, or the mean score.
        limits: Of such a group; None where it has too few images to tell.
    """

    first: int
    last: int
    images: int
    figure: float
    limits: Limits | None

    @property
    def is_above(self) -> bool:
        """Whether the figure is higher than can be explained."""
        return self.limits is not None and self.figure > self.limits.high

    @property
    def is_below(self) -> bool:
        """Whether it is lower."""
        return self.limits is not None and self.figure < self.limits.low

    @property
    def is_beyond(self) -> bool:
        """Whether it is either."""
        return self.is_above or self.is_below


@dataclass(frozen=True)
class Crossing:
    """The newest groups of a chart that lie beyond one of its limits, without one between.

    Attributes:
        since: The first day of the first of them, since 1970.
        newest: The last of them.
    """

    since: int
    newest: Point


def find_crossing(points: Iterable[Point]) -> Crossing | None:
    """Return the crossing that a chart ends with; None where its newest group is within.

    Args:
        points: The oldest first; those without limits are passed over.
    """
    run: list[Point] = []
    for point in points:
        if point.limits is None:
            continue
        if run and run[-1].is_above != point.is_above:
            run = []
        run = [*run, point] if point.is_beyond else []
    return Crossing(run[0].first, run[-1]) if run else None


@lru_cache(maxsize=4096)
def _most(images: int, share: float) -> int:
    """Return the most of `images` that a binomial distribution explains."""
    if share >= 1 or share <= 0:
        return images if share >= 1 else 0
    spread = sqrt(images * share * (1 - share))
    at = min(images, ceil(images * share + _FAR * spread) + _FAR)
    beyond = 0.0
    while at:
        odds = at * log(share) + (images - at) * log1p(-share)
        beyond += exp(_ways(images, at) + odds)
        if beyond > BEYOND:
            break
        at -= 1
    return at


@lru_cache(maxsize=4096)
def _most_predicted(images: int, seen: int, of: int) -> int:
    """Return the most of `images` that are explained by `seen` of `of` before."""
    if images > _SUMMED:
        return ceil(_most_predicted(_SUMMED, seen, of) * images / _SUMMED)
    a, b = seen + 0.5, of - seen + 0.5
    within = 0.0
    for at in range(images):
        odds = _beta(at + a, images - at + b) - _beta(a, b)
        within += exp(_ways(images, at) + odds)
        if within >= 1 - BEYOND:
            return at
    return images


def _ways(images: int, chosen: int) -> float:
    """Return the logarithm of how many ways there are to choose so many of the images."""
    return lgamma(images + 1) - lgamma(chosen + 1) - lgamma(images - chosen + 1)


def _beta(a: float, b: float) -> float:
    """Return the logarithm of the beta function."""
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _student(freedom: int) -> float:
    """Return how many errors three standard deviations are where the spread is a guess.

    By the expansion of M. Abramowitz and I. Stegun, Handbook of Mathematical Functions (26.7.5);
    at four degrees of freedom, the fewest here, it is 1 % too little.
    """
    z = 3.0
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return fsum([z, *(term / freedom**power for power, term in enumerate(terms, start=1))])
