"""What is learnt of images on one scale: scores, with what they say of images not learnt from.

Some look at an image as a whole (deviation, classifier), others at its positions (novelty,
evidence, place) or at patches of it (bank).
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector import bank, deviation, evidence, heat, logistic, place
from lfvpipe.detector.alignment import Alignment
from lfvpipe.detector.backbone import CHANNELS
from lfvpipe.detector.bank import Bank, ReadPatches
from lfvpipe.detector.deviation import Deviation
from lfvpipe.detector.evidence import Drawn, ReadCells
from lfvpipe.detector.features import CELL_TAPS, Floats, View, deeper, look
from lfvpipe.detector.local import Local, novelty_score, worst
from lfvpipe.detector.logistic import Doubles, Integers, Linear
from lfvpipe.detector.place import Place
from lfvpipe.detector.store import rounded

if TYPE_CHECKING:
    from PIL import Image

Stage = Callable[[str], Callable[[int, int], None]]


@dataclass(frozen=True)
class Scale:
    """Scores of an image on one scale; None where a scale has no such score.

    Attributes:
        side: Of the square, px, whose area images are brought to.
        alignment: Where the product lies; images are looked at as if it lay there.
        deviation: How far the whole image is from normal.
        local: How far its positions are (novelty), and how like anomalies they look (evidence).
        place: How far they are from usual for their place.
        bank: How far its patches are from any seen before.
        classifier: How like the labelled anomalies the whole image looks.
    """

    side: int
    alignment: Alignment | None = None
    deviation: Deviation | None = None
    local: Local | None = None
    place: Place | None = None
    bank: Bank | None = None
    classifier: Linear | None = None

    @property
    def taps(self) -> int:
        """How many of the backbone's maps the scores need."""
        deep = (self.deviation, self.bank, self.classifier)
        return CELL_TAPS if all(each is None for each in deep) else len(CHANNELS)

    @property
    def names(self) -> set[str]:
        """The scores that it can have."""
        others = ("deviation", "place", "bank", "classifier")
        by_position = {"novelty", "evidence"} if self.local is not None else set()
        return by_position | {name for name in others if getattr(self, name) is not None}

    def look(self, image: "Image.Image") -> View:
        """Return what the scores need to see of an RGB image."""
        return look(image, self.side, taps=self.taps, alignment=self.alignment)

    def scores(
        self, view: View, asked: Collection[str]
    ) -> tuple[dict[str, float], dict[str, Floats]]:
        """Return the scores `asked` for by name, and the maps (h, w) of those that have one."""
        scores, maps = dict[str, float](), dict[str, Floats]()
        if self.deviation is not None and "deviation" in asked:
            rows = np.concatenate([view.pooled(), view.placed()])[None]
            scores["deviation"] = float(self.deviation.score(rows)[0])
        if self.classifier is not None and "classifier" in asked:
            maps["classifier"] = heat.contributions(view, self.classifier)
            scores["classifier"] = float(self.classifier.score(view.pooled()[None])[0])
        if self.bank is not None and "bank" in asked:
            scores["bank"], maps["bank"] = self.bank.score(rounded(view.patches))
        if self.local is not None:
            self._by_position(view, asked, scores, maps)
        return scores, {name: view.returned(values) for name, values in maps.items()}

    def _by_position(
        self,
        view: View,
        asked: Collection[str],
        scores: dict[str, float],
        maps: dict[str, Floats],
    ) -> None:
        grid, known = view.cells, self.local
        assert known is not None
        cells, shape = grid.reshape(-1, grid.shape[-1]), grid.shape[:2]
        if "novelty" in asked:
            maps["novelty"] = known.novelty(cells).reshape(shape)
            scores["novelty"] = novelty_score(maps["novelty"].ravel())
        if "evidence" in asked:
            maps["evidence"] = known.evidence(cells).reshape(shape)
            scores["evidence"] = worst(maps["evidence"].ravel())
        if self.place is not None and "place" in asked:
            maps["place"] = place.regridded(self.place.novelty(rounded(deeper(grid))), shape)
            scores["place"] = novelty_score(maps["place"].ravel())


@dataclass(frozen=True)
class Table:
    """Training images in numbers, on one scale.

    Attributes:
        side: Of the scale.
        pooled: (images · views, features) pooled maps, the views of an image together.
        placed: (images, features) means by place.
        labels: (images,) True for anomalies.
        folds: (images,).
        stored: (images,) whose positions can be read.
        grids: (h, w) of the positions of each of those.
        read: Positions of an image, by its number among the stored, and of a view of it.
        patches: Patches (h, w, c) of an image, by the same number.
        shown: Those to learn from: where a mask says where an anomaly is, no others.
        drawn: Positions within drawn defects, by the fold of the image drawn on.
    """

    side: int
    pooled: Floats
    placed: Floats
    labels: NDArray[np.bool_]
    folds: Integers
    stored: NDArray[np.bool_]
    grids: list[tuple[int, int]]
    read: ReadCells
    patches: ReadPatches
    shown: ReadCells
    drawn: Drawn

    @property
    def views(self) -> int:
        """How many mirrored views there are of each image."""
        return len(self.pooled) // len(self.labels)


@dataclass(frozen=True)
class Fitted:
    """A scale fitted on all its images, and out-of-fold scores by name, (images,).

    Scores by position are NaN for images whose positions are not stored.
    """

    scale: Scale
    scores: Mapping[str, Doubles]


def fit(
    table: Table, seed: int, stage: Stage, threads: int, *, supervised: bool, placed: bool
) -> Fitted:
    """Fit every score that is worth its time.

    Args:
        table: The images.
        seed: Of random positions.
        stage: Makes a tick function of a stage's name.
        threads: Images worked on at the same time.
        supervised: Whether to learn from the anomalies.
        placed: Whether to learn what is usual for its place: on one scale, since finer ones have
            too many places to know. There, how unusual the whole image and its patches are is news
            also with labels to go by.
    """
    scores = dict[str, Doubles]()
    gaussian = linear = by_place = remembered = None
    if placed or not supervised:
        gaussian, scores["deviation"] = _deviation(table)
        remembered, unseen = _bank(table, stage, threads)
        scores["bank"] = among(table.stored, unseen)
    found = _local(table, seed, stage, threads, supervised=supervised)
    scores["novelty"] = among(table.stored, found.novelty)
    if placed:
        by_place, unusual = _place(table, stage, threads)
        scores |= {} if by_place is None else {"place": among(table.stored, unusual)}
    if supervised:
        linear, scores["classifier"] = _classifier(table, stage)
    if supervised or table.drawn:
        scores["evidence"] = among(table.stored, found.evidence)
    fitted = Scale(
        table.side,
        deviation=gaussian,
        local=found.local,
        place=by_place,
        bank=remembered,
        classifier=linear,
    )
    return Fitted(fitted, scores)


def among(chosen: NDArray[np.bool_], scores: Doubles) -> Doubles:
    """Return the scores of the images `chosen` among all images, NaN for the others."""
    result = np.full(len(chosen), np.nan)
    result[chosen] = scores
    return result


def _deviation(table: Table) -> tuple[Deviation, Doubles]:
    rows = np.concatenate([table.pooled[:: table.views], table.placed], axis=1)
    scores = deviation.out_of_fold(rows, table.labels, table.folds)
    return deviation.fit(rows[~table.labels]), scores


def _local(
    table: Table, seed: int, stage: Stage, threads: int, *, supervised: bool
) -> evidence.Fitted:
    return evidence.fit(
        table.read,
        table.shown,
        table.labels[table.stored],
        table.folds[table.stored],
        table.views,
        seed,
        stage(f"local evidence at {table.side} px"),
        threads,
        supervised=supervised,
        drawn=table.drawn,
    )


def _place(table: Table, stage: Stage, threads: int) -> tuple[Place | None, Doubles]:
    def read(index: int) -> Floats:
        return deeper(table.read(index, 0)).reshape(*table.grids[index], -1)

    labels, folds = table.labels[table.stored], table.folds[table.stored]
    usual = Counter(grid for grid, label in zip(table.grids, labels, strict=True) if not label)
    grid = max(usual, key=lambda each: (usual[each], each))
    return place.fit(read, grid, labels, folds, stage("places"), threads) or (None, np.empty(0))


def _bank(table: Table, stage: Stage, threads: int) -> tuple[Bank, Doubles]:
    labels, folds = table.labels[table.stored], table.folds[table.stored]
    return bank.fit(table.patches, labels, folds, stage(f"memory bank at {table.side} px"), threads)


def _classifier(table: Table, stage: Stage) -> tuple[Linear, Doubles]:
    """Fit a logistic regression; the two labels weigh the same, as do an image's views."""
    views, tick = table.views, stage(f"classifier at {table.side} px")
    labels, folds = np.repeat(table.labels, views), np.repeat(table.folds, views)
    share = np.where(labels, labels.mean(), 1 - labels.mean())
    fitted = logistic.fit(table.pooled, labels, folds, 0.5 / share / views, tick)
    return fitted.linear, fitted.out_of_fold[::views]
