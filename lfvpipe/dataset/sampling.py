"""Which images take part, and where: deterministic, nested, the same on every machine.

The members of a label are ranked by a hash of (seed, label, name), so neither the archive's order
nor the machine matters. The first ``floor(total * percent / 100)`` of the ranking are the sample;
a larger percentage therefore contains the smaller one.

The split walks down the ranking and gives each image to train or test such that after every n
images train holds exactly ``floor(n * train%)`` and test the rest (or ``floor(n * test%)`` where
the two do not add up to 100). An image's place depends only on the ranking above it, so what is
in train at 40 % is in train at 100 %, and the counts are those of the plain floor rule at each
size: nothing is traded. (A second hash would be nested as well, but only about right in number.)
One exception: where test is to have some, and is owed none of two images or more, it is lent one.

The price is that an image that comes or goes moves those below it. A division cannot be exact,
nested and stable at once: exact after every image of the ranking, an image's side is its place's.
So `divide_stably` gives up the second: it orders the sample by a second hash, and cuts that order
where the shares say. An image more moves the cut, hence at most one other.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from lfvpipe.config.spec import Share


@dataclass(frozen=True)
class Division:
    """A label's images after sampling and splitting: names, each in the ranking's order."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    unused: tuple[str, ...]


def rank(names: Iterable[str], *, seed: int, label: str) -> list[str]:
    """Return `names` in an order that depends on nothing but the names, `seed` and `label`."""

    def place(name: str) -> tuple[bytes, str]:
        # JSON, so that no other three values make the same text, and of ASCII alone, so that it
        # is the same bytes on every machine. Ledgers depend on it: it never changes.
        return hashlib.sha256(json.dumps([seed, label, name]).encode()).digest(), name

    return sorted(names, key=place)


def share_of(share: Share, total: int) -> int:
    """Return how many of `total` images `share` means, at most `total`; percentages round down."""
    if share.count is not None:
        return min(share.count, total)
    return min(int(_exact(share.percent) * total / 100), total)


@lru_cache
def _exact(percent: float | None) -> Fraction:
    """Return the percentage that was written, not its nearest binary fraction."""
    return Fraction(str(percent or 0))


def sample_size(share: Share, available: int, withheld: int) -> int:
    """Return the size of the sample of a label with `available` images.

    A percentage is of all images, the `withheld` evaluation images included, as someone who
    asks for 40 % of 1,000 expects 400; the withheld ones are then not among them.
    """
    return min(share_of(share, available), available - withheld)


def divide(ranking: Sequence[str], sampled: int, train: Share, test: Share | None) -> Division:
    """Split the first `sampled` images of `ranking`; all else is unused."""
    in_train: list[str] = []
    in_test: list[str] = []
    # Images that neither split is owed so far, where the shares do not make a whole. They may still
    # be taken further down, the latest first: any rule would do, if only it never changes.
    free: list[str] = []
    for position, name in enumerate(ranking[:sampled], start=1):
        free.append(name)
        train_size, test_size = owed_sizes(position, train, test)
        while len(in_train) < train_size and free:
            in_train.append(free.pop())
        while len(in_test) < test_size and free:
            in_test.append(free.pop())
    if len(in_test) < split_sizes(min(sampled, len(ranking)), train, test)[1]:
        in_test.append((free or in_train).pop())
    taken = {*in_train, *in_test}
    unused = tuple(name for name in ranking if name not in taken)
    return Division(tuple(in_train), tuple(in_test), unused)


def divide_stably(
    ranking: Sequence[str], sampled: int, train: Share, test: Share | None, *, seed: int, label: str
) -> Division:
    """Split the first `sampled` images of `ranking` so that each keeps its side beside others."""
    order = rank_for_sides(ranking[:sampled], seed=seed, label=label)
    train_size, test_size = split_sizes(len(order), train, test)
    in_test, in_train = order[:test_size], order[len(order) - train_size :]
    taken = {*in_train, *in_test}
    unused = tuple(name for name in ranking if name not in taken)
    return Division(tuple(in_train), tuple(in_test), unused)


def rank_for_sides(names: Iterable[str], *, seed: int, label: str) -> list[str]:
    """Return `names` in the order of a second hash: test takes from its front, train from its end.

    A second one, as the sample is the front of the first: what it takes would be test before all.
    """
    return rank(names, seed=seed, label=f"{label}/sides")


def split_sizes(sampled: int, train: Share, test: Share | None) -> tuple[int, int]:
    """Return how many of `sampled` images go to train and to test.

    As `owed_sizes`; but never none of two or more to test, unless test is to have none.
    """
    train_size, test_size = owed_sizes(sampled, train, test)
    if test_size or sampled < 2 or test is None or not (test.count or test.percent):
        return train_size, test_size
    return min(train_size, sampled - 1), 1


def owed_sizes(sampled: int, train: Share, test: Share | None) -> tuple[int, int]:
    """Return how many of `sampled` images the shares make train and test."""
    train_size = share_of(train, sampled)
    if test is None:
        return train_size, 0
    if makes_whole(train, test):
        return train_size, sampled - train_size  # no image is lost to rounding down twice
    return train_size, min(share_of(test, sampled), sampled - train_size)


def makes_whole(train: Share, test: Share | None) -> bool:
    """Tell whether two shares are percentages that leave nothing over."""
    return test is not None and _exact(train.percent) + _exact(test.percent) == 100
