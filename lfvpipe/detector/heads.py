"""The scores that a model is made of, fitted with what they said of images they had not seen."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector import blend, deviation, heat, local, logistic
from lfvpipe.detector.blend import Blend
from lfvpipe.detector.deviation import Deviation
from lfvpipe.detector.features import Floats, View
from lfvpipe.detector.local import Local, ReadCells, novelty_score, worst
from lfvpipe.detector.logistic import Doubles, Integers, Linear

Stage = Callable[[str], Callable[[int, int], None]]


@dataclass(frozen=True)
class Heads:
    """Scores of an image, and their blend.

    Attributes:
        deviation: How far the whole image is from normal.
        local: How far its positions are, and how like the anomalies they look.
        pooled: How like the labelled anomalies the whole image looks; None for normals only.
        blend: Weights of (deviation, local novelty) or of these, pooled and local evidence.
    """

    deviation: Deviation
    local: Local
    pooled: Linear | None
    blend: Blend

    @property
    def used(self) -> tuple[bool, bool, bool, bool]:
        """Return which of (deviation, novelty, pooled, evidence) the blend listens to."""
        weighed = [*(self.blend.weights > 0).tolist(), False, False]
        return weighed[0], weighed[1], weighed[2], weighed[3]

    @property
    def needs_coarse(self) -> bool:
        """Whether the coarse view matters to the score."""
        return self.used[0] or self.used[2]

    def score(self, view: View) -> tuple[float, Floats]:
        """Return the blended score of an image and its evidence by position, (h, w), 0 to 1."""
        scores, maps = self.scores(view, self.used)
        total = float(self.blend.combined(np.array([scores[: len(self.blend.weights)]]))[0])
        return total, _overlaid(maps)

    def scores(
        self, view: View, used: tuple[bool, bool, bool, bool] = (True, True, True, True)
    ) -> tuple[list[float], list[tuple[float, Floats]]]:
        """Return each head's score, 0 where not `used`, and (weight, map) of those with a map."""
        grid = view.cells()
        cells, weights = grid.reshape(-1, grid.shape[-1]), self.blend.weights
        result, maps = [0.0] * 4, list[tuple[float, Floats]]()
        pooled = view.pooled() if used[0] or used[2] else np.empty(0, np.float32)
        if used[0]:
            whole = np.concatenate([pooled, view.placed()])
            result[0] = float(self.deviation.score(whole[None])[0])
        if used[1] or not (used[2] or used[3]):
            novelty = self.local.novelty(cells)
            result[1] = novelty_score(novelty)
            maps.append((max(weights[1], 0.1), novelty.reshape(grid.shape[:2])))
        if used[2] and self.pooled is not None:
            result[2] = float(self.pooled.score(pooled[None])[0])
            maps.append((weights[2], heat.contributions(view, self.pooled)))
        if self.pooled is not None:  # costs next to nothing, and shows the place best
            evidence = self.local.evidence(cells)
            result[3] = worst(evidence)
            maps.append((max(weights[3], 1.0), evidence.reshape(grid.shape[:2])))
        return result, maps


def _overlaid(maps: list[tuple[float, Floats]]) -> Floats:
    """Return the maps' weighted sum, each as far as it stands out, scaled to 0..1."""
    parts = [
        heat.standing_out(heat.smooth(heat.standing_out(values))) * np.float32(weight)
        for weight, values in maps
    ]
    return heat.standing_out(np.sum(parts, axis=0, dtype=np.float32))


@dataclass(frozen=True)
class Table:
    """Training images in numbers.

    Attributes:
        rows: (images · views, features) pooled taps, the views of an image together.
        placed: (images, features) means by place.
        labels: (images,) True for anomalies.
        folds: (images,).
        stored: (images,) whose positions can be read.
        read: Positions of an image, by its number among the stored, and of a view of it.
    """

    rows: Floats
    placed: Floats
    labels: NDArray[np.bool_]
    folds: Integers
    stored: NDArray[np.bool_]
    read: ReadCells


def fit(table: Table, seed: int, stage: Stage, *, supervised: bool) -> tuple[Heads, Doubles]:
    """Fit every head and their blend; also return its out-of-fold scores of the stored images."""
    views = len(table.rows) // len(table.labels)
    whole = np.concatenate([table.rows[::views], table.placed], axis=1)
    stored = table.stored
    columns = [deviation.out_of_fold(whole, table.labels, table.folds)[stored]]
    gaussian = deviation.fit(whole[~table.labels])
    found = local.fit(
        table.read,
        table.labels[stored],
        table.folds[stored],
        views,
        seed,
        stage("local evidence"),
        supervised=supervised,
    )
    columns.append(found.novelty)
    pooled = None
    if supervised:
        linear = _pooled(table, views, stage("classifier"))
        pooled = linear.linear
        columns += [linear.out_of_fold[::views][stored], found.evidence]
    scores = np.stack(columns, 1)
    mix = (blend.average if supervised else blend.equal)(scores, table.labels[stored])
    return Heads(gaussian, found.local, pooled, mix), mix.combined(scores)


def _pooled(table: Table, views: int, tick: Callable[[int, int], None]) -> logistic.Fitted:
    """Fit a logistic regression; the two labels weigh the same, as do an image's views."""
    labels, folds = np.repeat(table.labels, views), np.repeat(table.folds, views)
    share = np.where(labels, labels.mean(), 1 - labels.mean())
    return logistic.fit(table.rows, labels, folds, 0.5 / share / views, tick)
