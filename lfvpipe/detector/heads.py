"""The scores that a model is made of, fitted with what they said of images they had not seen."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector import blend, deviation, heat, local, logistic, place
from lfvpipe.detector.backbone import CHANNELS
from lfvpipe.detector.blend import Blend
from lfvpipe.detector.deviation import Deviation
from lfvpipe.detector.features import CELL_TAPS, Floats, View, deeper
from lfvpipe.detector.local import Local, ReadCells, novelty_score, worst
from lfvpipe.detector.logistic import Doubles, Integers, Linear
from lfvpipe.detector.place import Place
from lfvpipe.detector.store import rounded

Stage = Callable[[str], Callable[[int, int], None]]
UNLABELLED = (1.0, 1.0, 2.0)  # say of deviation, novelty and place without labels to go by
ALWAYS_SHOWN = 1.0  # weight of evidence in the heat map, also where the score has none


@dataclass(frozen=True)
class Heads:
    """Scores of an image, and their blend.

    Attributes:
        deviation: How far the whole image is from normal.
        local: How far its positions are, and how like the anomalies they look.
        place: How far they are from usual for their place; None where places differ little.
        coarse: How like the labelled anomalies the coarse view looks; None for normals only, and
            where the fine view does for both.
        fine: The same of the fine view; None for normals only.
        blend: Weights of those that there are, in the order of `names`.
    """

    deviation: Deviation
    local: Local
    place: Place | None
    coarse: Linear | None
    fine: Linear | None
    blend: Blend

    @property
    def names(self) -> tuple[str, ...]:
        """Return the heads that there are, in the blend's order."""
        there = {
            "deviation": True,
            "novelty": True,
            "place": self.place is not None,
            "coarse": self.coarse is not None,
            "fine": self.fine is not None,
            "evidence": self.fine is not None,
        }
        return tuple(name for name, known in there.items() if known)

    @property
    def weights(self) -> Mapping[str, float]:
        """Return each head's weight in the blend."""
        return dict(zip(self.names, self.blend.weights.tolist(), strict=True))

    @property
    def needs_coarse(self) -> bool:
        """Whether the coarse view matters to the score."""
        return self.fine is None or self.weights.get("coarse", 0) > 0

    @property
    def taps(self) -> int:
        """How many of the fine view's maps matter to the score."""
        pooled = self.fine is None or self.weights["deviation"] > 0 or self.weights["fine"] > 0
        return len(CHANNELS) if pooled else CELL_TAPS

    def score(self, view: View) -> tuple[float, Floats]:
        """Return the blended score of an image and its evidence by position, (h, w), 0 to 1."""
        used = [name for name, weight in self.weights.items() if weight > 0]
        scores, maps = self.scores(view, {*used, *self._shown(used)})
        columns = np.array([[scores.get(name, 0.0) for name in self.names]])
        return float(self.blend.combined(columns)[0]), self._overlaid(maps)

    def _shown(self, used: Collection[str]) -> set[str]:
        """Return what the heat map needs: evidence, which costs little, or any head with a map."""
        if self.fine is not None:
            return {"evidence"}
        return set() if "novelty" in used or "place" in used else {"novelty"}

    def scores(
        self, view: View, asked: Collection[str]
    ) -> tuple[dict[str, float], dict[str, Floats]]:
        """Return the scores of the heads `asked`, and the maps of those that have one."""
        grid = view.cells
        cells, shape = grid.reshape(-1, grid.shape[-1]), grid.shape[:2]
        scores, maps = dict[str, float](), dict[str, Floats]()
        if "deviation" in asked:
            scores["deviation"] = float(self.deviation.score(self._whole(view)[None])[0])
        if "novelty" in asked:
            maps["novelty"] = self.local.novelty(cells).reshape(shape)
            scores["novelty"] = novelty_score(maps["novelty"].ravel())
        if "place" in asked and self.place is not None:
            maps["place"] = place.regridded(self.place.novelty(rounded(deeper(grid))), shape)
            scores["place"] = novelty_score(maps["place"].ravel())
        if "coarse" in asked and self.coarse is not None:
            scores["coarse"] = float(self.coarse.score(view.coarse_pooled()[None])[0])
        if "fine" in asked and self.fine is not None:
            maps["fine"] = heat.contributions(view, self.fine)
            scores["fine"] = float(self.fine.score(view.fine_pooled()[None])[0])
        if "evidence" in asked and self.fine is not None:
            maps["evidence"] = self.local.evidence(cells).reshape(shape)
            scores["evidence"] = worst(maps["evidence"].ravel())
        return scores, maps

    def _whole(self, view: View) -> Floats:
        """Return what the deviation of an image is measured in, (features,).

        Without labels the coarse view is part of it; with labels it has a head of its own, and need
        not be looked at where that has no weight.
        """
        coarse = view.coarse_pooled() if self.fine is None else np.empty(0, np.float32)
        return np.concatenate([coarse, view.fine_pooled(), view.placed()])

    def _overlaid(self, maps: Mapping[str, Floats]) -> Floats:
        """Return the maps' weighted sum, each as far as it stands out, scaled to 0..1."""
        least = {"evidence": ALWAYS_SHOWN}
        parts = [
            heat.standing_out(heat.smooth(heat.standing_out(values)))
            * np.float32(max(self.weights[name], least.get(name, 0.1)))
            for name, values in maps.items()
        ]
        return heat.standing_out(np.sum(parts, axis=0, dtype=np.float32))


@dataclass(frozen=True)
class Table:
    """Training images in numbers.

    Attributes:
        coarse: (images · views, features) the coarse views' pooled maps, the views of an image
            together; without features where the fine views do for both.
        fine: (images · views, features) the fine views'.
        placed: (images, features) means by place.
        labels: (images,) True for anomalies.
        folds: (images,).
        stored: (images,) whose positions can be read.
        grids: (h, w) of the positions of each of those.
        read: Positions of an image, by its number among the stored, and of a view of it.
    """

    coarse: Floats
    fine: Floats
    placed: Floats
    labels: NDArray[np.bool_]
    folds: Integers
    stored: NDArray[np.bool_]
    grids: list[tuple[int, int]]
    read: ReadCells


def fit(table: Table, seed: int, stage: Stage, *, supervised: bool) -> tuple[Heads, Doubles]:
    """Fit every head and their blend; also return its out-of-fold scores of the stored images."""
    stored, labels = table.stored, table.labels[table.stored]
    gaussian, deviations = _deviation(table, supervised=supervised)
    found = _local(table, seed, stage, supervised=supervised)
    columns = [deviations[stored], found.novelty]
    placed = _place(table, stage)
    if placed is not None:
        columns.append(placed[1])
    coarse = fine = None
    if supervised:
        if table.coarse.size:
            coarse, scores = _pooled(table, table.coarse, stage("coarse classifier"))
            columns.append(scores[stored])
        fine, scores = _pooled(table, table.fine, stage("fine classifier"))
        columns += [scores[stored], found.evidence]
    scores = np.stack(columns, 1)
    if supervised:
        mix = blend.average(scores, labels)
    else:
        mix = blend.unlabelled(scores, labels, UNLABELLED[: scores.shape[1]])
    return Heads(
        gaussian, found.local, placed[0] if placed else None, coarse, fine, mix
    ), mix.combined(scores)


def _deviation(table: Table, *, supervised: bool) -> tuple[Deviation, Doubles]:
    views = len(table.fine) // len(table.labels)
    seen = [table.fine] if supervised else [table.coarse, table.fine]
    rows = np.concatenate([*(each[::views] for each in seen), table.placed], axis=1)
    scores = deviation.out_of_fold(rows, table.labels, table.folds)
    return deviation.fit(rows[~table.labels]), scores


def _local(table: Table, seed: int, stage: Stage, *, supervised: bool) -> local.Fitted:
    return local.fit(
        table.read,
        table.labels[table.stored],
        table.folds[table.stored],
        len(table.fine) // len(table.labels),
        seed,
        stage("local evidence"),
        supervised=supervised,
    )


def _place(table: Table, stage: Stage) -> tuple[Place, Doubles] | None:
    def read(index: int) -> Floats:
        return deeper(table.read(index, 0)).reshape(*table.grids[index], -1)

    labels, folds = table.labels[table.stored], table.folds[table.stored]
    return place.fit(read, labels, folds, stage("places"))


def _pooled(table: Table, rows: Floats, tick: Callable[[int, int], None]) -> tuple[Linear, Doubles]:
    """Fit a logistic regression; the two labels weigh the same, as do an image's views."""
    views = len(rows) // len(table.labels)
    labels, folds = np.repeat(table.labels, views), np.repeat(table.folds, views)
    share = np.where(labels, labels.mean(), 1 - labels.mean())
    fitted = logistic.fit(rows, labels, folds, 0.5 / share / views, tick)
    return fitted.linear, fitted.out_of_fold[::views]
