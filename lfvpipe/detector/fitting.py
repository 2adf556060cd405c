"""Look at the examples and fit scales: usual ones, the same with products aligned, finer ones.

Every image is looked at on the usual scales. On a finer one at most so many are as its area allows,
the rarer label first: time, disk and memory are bounded whatever the number of images.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import default_rng

from lfvpipe.detector import procedural, scale, search
from lfvpipe.detector.alignment import Alignment
from lfvpipe.detector.alignment import fit as align
from lfvpipe.detector.calibration import Bools
from lfvpipe.detector.facts import Example, Settings
from lfvpipe.detector.features import Floats, prepared
from lfvpipe.detector.gathering import (
    Pass,
    Seen,
    Watch,
    assign_folds,
    gather,
    kept_shares,
    picked,
    require_different,
    sampled,
    usual_size,
    usual_white,
)
from lfvpipe.detector.logistic import Integers
from lfvpipe.detector.memory import give_back
from lfvpipe.detector.pictures import open_rgb
from lfvpipe.detector.scale import Fitted, Table
from lfvpipe.detector.store import CellStore, rounded
from lfvpipe.detector.threads import thread_count
from lfvpipe.executor import in_order

ROWS_AN_IMAGE = 4  # that max_rows allows for
MAX_LOCAL = 600  # images whose positions are kept on the usual scale
LEAST = 40  # images that a finer scale can be judged by
MAX_DRAWN = 150  # normal images that defects are drawn onto
ENOUGH = 100  # labelled anomalies that make drawn ones superfluous
FEW = 5  # labelled anomalies, below which no score that learns from them can be judged out of fold


@dataclass(frozen=True)
class Data:
    """The examples and what was seen of them, in an order that only their content decides.

    Attributes:
        examples: Those that are learnt from.
        seen: What was seen of each on the usual scales.
        labels: True for anomalies.
        folds: Of each.
        sides: All that may be looked on, px, ascending; the first two are usual.
        white: The level of deep grey that is shown as white; None where there is none.
    """

    examples: tuple[Example, ...]
    seen: tuple[Seen, ...]
    labels: Bools
    folds: Integers
    sides: tuple[int, ...]
    white: float | None

    @property
    def usual(self) -> int:
        """The finest usual side, px."""
        return self.sides[:2][-1]

    def different(self, *, anomalous: bool) -> int:
        """Return how many images have that label, copies once: they teach nothing more."""
        pairs = zip(self.seen, self.labels.tolist(), strict=True)
        return len({seen.pixels for seen, label in pairs if label == anomalous})

    @property
    def supervised(self) -> bool:
        """Whether there are anomalies enough to learn from."""
        return self.different(anomalous=True) >= FEW


@dataclass(frozen=True)
class Work:
    """A training's settings, anomaly types, store, and who watches it."""

    settings: Settings
    classes: tuple[str, ...]
    store: CellStore
    watch: Watch

    def looked_at(self, examples: Sequence[Example]) -> Data:
        """Look at the examples on the usual scales.

        Raises:
            DetectorError: One cannot be read, or all normal ones are copies of one image.
            TrainingCancelled: The caller said so.
        """
        limit = self.settings.max_rows // ROWS_AN_IMAGE
        examples = sampled(examples, limit, self.watch)
        coarsest, *further = search.ladder(usual_size(examples), self.settings.sides)
        sides = (coarsest, *further[:1], *(s for s in further[1:] if self._limit(s) >= LEAST))
        share = kept_shares([each.label == "anomaly" for each in examples], MAX_LOCAL)
        white = usual_white(examples)
        how = self._pass(sides[:2], self.settings.views, limit, examples, white)
        seen = gather(examples, how, share, self.store, self.watch)
        order = sorted(range(len(seen)), key=lambda index: seen[index].digest)
        labels = np.array([examples[index].label == "anomaly" for index in order])
        ordered = tuple(seen[index] for index in order)
        first: dict[str, str] = {}  # a copy goes by the digest of the first of its kind
        digests = [first.setdefault(each.pixels, each.digest) for each in ordered]
        require_different(digests, labels)
        folds = assign_folds(digests, labels, self.settings.seed)
        return Data(tuple(examples[index] for index in order), ordered, labels, folds, sides, white)

    def _pass(
        self,
        sides: tuple[int, ...],
        views: int,
        looks: int,
        examples: Sequence[Example],
        white: float | None,
    ) -> Pass:
        """Return how to look at the examples, of which there may be so many looks in all."""
        views = min(views, max(1, looks // len(examples)))
        return Pass(sides, views, self.classes, thread_count(self.settings.threads), white)

    def usual(self, data: Data, side: int) -> Fitted:
        """Fit a usual scale, that of this `side`."""
        everyone, at = np.arange(len(data.seen)), data.sides.index(side)
        table = self._table(data, everyone, data.seen, at, ENOUGH)
        return self._fit(table, supervised=data.supervised, placed=side == data.usual)

    def aligned(self, data: Data) -> Fitted | None:
        """Look on the usual scale again, with products brought to where most lie, and fit it.

        None where they lie anywhere, or where masks say where anomalies are in images as they lie.
        """
        greys = [seen.grey for seen in data.seen]
        normal = zip(greys, data.labels.tolist(), strict=True)
        known = [grey for grey, anomalous in normal if grey is not None and not anomalous]
        alignment = None if self.classes else align(known)
        if alignment is None:
            return None
        known_of = np.array([grey is not None for grey in greys])
        enough = 0 if data.supervised else ENOUGH  # what drawn ones teach is known by now
        return self._again(data, known_of, data.usual, enough, alignment)

    def finer(self, data: Data, side: int) -> Fitted:
        """Look on a finer scale, and fit it; scores are NaN for images that were not picked."""
        share = kept_shares(data.labels.tolist(), self._limit(side))
        shares = np.where(data.labels, share[1], share[0]).tolist()
        pairs = zip(data.seen, shares, strict=True)
        some = np.array([picked(seen.digest, part) for seen, part in pairs])
        return self._again(data, some, side, ENOUGH)

    def _again(
        self, data: Data, some: Bools, side: int, enough: int, alignment: Alignment | None = None
    ) -> Fitted:
        """Look at `some` of the images once more, on one scale, and fit that."""
        rows = np.flatnonzero(some)
        examples = [data.examples[row] for row in rows.tolist()]
        looks, views = self._limit(side), self.settings.finer_views
        how = self._pass((side,), views, looks, examples, data.white)
        how = replace(how, alignment=alignment)
        seen = gather(examples, how, (1.0, 1.0), self.store, self.watch)
        table = self._table(data, rows, seen, 0, enough, alignment)
        found = self._fit(table, supervised=data.supervised, placed=alignment is not None)
        scores = {name: scale.among(some, each) for name, each in found.scores.items()}
        return Fitted(replace(found.scale, alignment=alignment), scores)

    def _limit(self, side: int) -> int:
        """Return how many looks there may be on a finer scale."""
        return round(self.settings.finer_megapixels * 1e6 / side**2)

    def _fit(self, table: Table, *, supervised: bool, placed: bool) -> Fitted:
        threads = thread_count(self.settings.threads)
        give_back()
        found = scale.fit(
            table,
            self.settings.seed,
            self.stage,
            threads,
            supervised=supervised,
            placed=placed,
        )
        give_back()
        return found

    def _table(
        self,
        data: Data,
        rows: Integers,
        seen: Sequence[Seen],
        at: int,
        enough: int,
        alignment: Alignment | None = None,
    ) -> Table:
        """Return in numbers what was `seen` of the images `rows`, `at` the scale of that number.

        With less than `enough` labelled anomalies, defects are drawn too.
        """
        kept = [each.scales[at] for each in seen]
        numbers = [each.stored for each in kept if each.stored is not None]
        patches = [each.patches for each in kept if each.patches is not None]
        stored = [each for each in kept if each.stored is not None]

        def read(index: int, view: int) -> Floats:
            return self.store.read(numbers[index] + view)

        def shown(index: int, view: int) -> Floats:
            return stored[index].marked(read(index, view), view)

        return Table(
            side=kept[0].side,
            pooled=np.concatenate([each.pooled for each in kept]),
            placed=np.stack([each.placed for each in kept]),
            labels=data.labels[rows],
            folds=data.folds[rows],
            stored=np.array([each.stored is not None for each in kept]),
            grids=[each.grid for each in kept if each.stored is not None],
            read=read,
            patches=lambda index: self.store.read(patches[index]),
            shown=shown,
            drawn=self._drawn(data, rows, kept[0].side, alignment)
            if numbers and data.different(anomalous=True) < enough
            else {},
        )

    def _drawn(
        self, data: Data, rows: Integers, side: int, alignment: Alignment | None
    ) -> dict[int, list[Floats]]:
        """Draw defects onto normal ones of the images `rows`.

        Returns:
            Positions within them, rounded as stored ones are, by fold.
        """
        normals = [row for row in rows.tolist() if not data.labels[row]][:MAX_DRAWN]

        def draw(row: int) -> list[Floats]:
            seed = [self.settings.seed, side, int(data.seen[row].digest[:8], 16)]
            pixels, _motion = prepared(
                open_rgb(data.examples[row].path, data.white), side, alignment
            )
            return [rounded(each) for each in procedural.cells(pixels, default_rng(seed))]

        found: dict[int, list[Floats]] = {}
        done = in_order(draw, normals, thread_count(self.settings.threads))
        for number, (row, cells) in enumerate(zip(normals, done, strict=True)):
            found.setdefault(int(data.folds[row]), []).extend(cells)
            self.watch.tick(f"drawn defects at {side} px", number + 1, len(normals))
        give_back()
        return found

    def stage(self, name: str) -> Callable[[int, int], None]:
        """Return a function that tells of (done, total) of a stage."""
        return lambda done, total: self.watch.tick(name, done, total)
