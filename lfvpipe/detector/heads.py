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

    def score(self, view: View) -> tuple[float, Floats]:
        """Return the blended score of an image and its evidence by position, (h, w), 0 to 1."""
        scores, maps = self.scores(view)
        total = float(self.blend.combined(np.array([scores]))[0])
        return total, self._where(view, maps)

    def scores(self, view: View) -> tuple[list[float], dict[int, Floats]]:
        """Return each head's score, in the blend's order, and the maps that some have."""
        grid = view.cells()
        cells = grid.reshape(-1, grid.shape[-1])
        pooled = view.pooled()
        novelty = self.local.novelty(cells)
        whole = np.concatenate([pooled, view.placed()])
        scores = [float(self.deviation.score(whole[None])[0]), novelty_score(novelty)]
        maps = {1: novelty}
        if self.pooled is not None:
            evidence = self.local.evidence(cells)
            scores += [float(self.pooled.score(pooled[None])[0]), worst(evidence)]
            maps = {1: novelty, 3: evidence}
        return scores, {number: each.reshape(grid.shape[:2]) for number, each in maps.items()}

    def _where(self, view: View, maps: dict[int, Floats]) -> Floats:
        """Weigh each head's map by its part in the blend."""
        if self.pooled is not None:
            maps = maps | {2: heat.contributions(view, self.pooled)}
        weights = {number: self.blend.weights[number] + 1e-3 for number in maps}
        parts = [
            heat.standing_out(heat.smooth(heat.standing_out(values))) * np.float32(weights[number])
            for number, values in maps.items()
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
    """Fit every head and their blend; also return the blend's out-of-fold scores (images,)."""
    views = len(table.rows) // len(table.labels)
    whole = np.concatenate([table.rows[::views], table.placed], axis=1)
    columns = [deviation.out_of_fold(whole, table.labels, table.folds)]
    gaussian = deviation.fit(whole[~table.labels])
    stored = table.stored
    found = local.fit(
        table.read,
        table.labels[stored],
        table.folds[stored],
        views,
        seed,
        stage("local evidence"),
        supervised=supervised,
    )
    columns.append(_filled(found.novelty, stored))
    pooled = None
    if supervised:
        linear = _pooled(table, views, stage("classifier"))
        pooled = linear.linear
        columns += [linear.out_of_fold[::views], _filled(found.evidence, stored)]
    scores = np.stack(columns, 1)
    mix = (blend.stack if supervised else blend.equal)(scores, table.labels)
    return Heads(gaussian, found.local, pooled, mix), mix.combined(scores)


def _filled(scores: Doubles, stored: NDArray[np.bool_]) -> Doubles:
    """Return `scores` of the stored images with the median for the others."""
    result = np.full(len(stored), np.median(scores))
    result[stored] = scores
    return result


def _pooled(table: Table, views: int, tick: Callable[[int, int], None]) -> logistic.Fitted:
    """Fit a logistic regression; the two labels weigh the same, as do an image's views."""
    labels, folds = np.repeat(table.labels, views), np.repeat(table.folds, views)
    share = np.where(labels, labels.mean(), 1 - labels.mean())
    return logistic.fit(table.rows, labels, folds, 0.5 / share / views, tick)
