"""Every cell is scored, and an image is as anomalous as its few worst: multiple-instance learning.

Without labels to learn from, synthetic defects are drawn onto normal images, and a logistic
regression learns which of the unusual counts. A drawing is a bag of cells, not all of which show
it: in turn the worst cells of each are taken as anomalous, and the model is fitted against normal
images' random and worst ones (the MI-SVM scheme of Andrews, Tsochantaridis & Hofmann, "Support
vector machines for multiple-instance learning", NIPS 2002, with a logistic loss).

Every score that a threshold or a weight is chosen by is out of fold: for each fold, whitening and
weights are fitted on the others, and score the images of this one. A fit is hundreds of numbers
from a few dozen images, so that it nearly tells those it has learnt from by heart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lfvpipe.detector import heap, tuning
from lfvpipe.detector.features import CELL_TAPS
from lfvpipe.detector.heads.cell_mahalanobis import (
    CellMahalanobisHead,
    CellScores,
    fit_whitening,
    image_novelty,
    mean_of_worst,
)
from lfvpipe.detector.heads.head import (
    FitOptions,
    FittedHead,
    Head,
    HeadScore,
    Parameters,
    Tick,
    TrainingFeatures,
)
from lfvpipe.detector.logistic import newton
from lfvpipe.executor import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lfvpipe.detector.arrays import Bools, Doubles, Floats, Integers
    from lfvpipe.detector.features import View

NOBODY = -1  # the fold of no image: what is fitted without it is fitted on all


@dataclass(frozen=True)
class MultipleInstanceHead(Head):
    """The logit of cells being anomalous."""

    NAME: ClassVar[str] = "evidence"
    PART: ClassVar[str] = "local"
    TAPS: ClassVar[int] = CELL_TAPS
    HEAT_MAP_FLOOR: ClassVar[float] = tuning.HEAT_MAP_EVIDENCE_FLOOR

    cells: CellScores

    @classmethod
    def fit(cls, features: TrainingFeatures, options: FitOptions) -> list[FittedHead]:
        """Fit this head, where there are drawn defects to learn from, and the Mahalanobis head."""
        fit = fit_cells(
            features.read_cells,
            features.cell_labels,
            features.cell_folds,
            features.views,
            options.seed,
            options.stage(f"local evidence at {features.side} px"),
            options.threads,
            features.synthetic_cells,
        )
        novelty, evidence = map(features.of_all_images, (fit.novelty, fit.evidence))
        found = [FittedHead(CellMahalanobisHead(fit.cells), novelty)]
        if features.synthetic_cells:
            found.append(FittedHead(cls(fit.cells), evidence))
        return found

    def score(self, view: View) -> HeadScore:
        """Return the mean logit of an image's worst cells, and all cells'."""
        grid = view.cells
        evidence = self.cells.evidence(grid.reshape(-1, grid.shape[-1])).reshape(grid.shape[:2])
        return HeadScore(mean_of_worst(evidence.ravel()), evidence)

    def parameters(self) -> Parameters:
        """Return the arrays and the bias of the cells' scores."""
        return vars(self.cells)

    @classmethod
    def restore(cls, parameters: Mapping[str, Any]) -> MultipleInstanceHead:
        """Return the head with these."""
        return cls(CellScores.restore(parameters))

    @property
    def always_in_heat_map(self) -> bool:
        """Where it has learnt from anomalies."""
        return self.cells.has_learnt


@dataclass(frozen=True)
class Bag:
    """Some cells of a normal image: the most unusual, and behind them some at random.

    Of a synthetic defect, the most unusual cells within it.
    """

    cells: Floats
    anomalous: bool


def make_bag(
    scores: CellScores, cells: Floats, generator: np.random.Generator, *, normals: int
) -> Bag:
    """Return the bag of a normal image, of which there are so many views in all.

    Memory is bounded: where there are many, fewer cells of each are kept.
    """
    room = max(tuning.MIL_WORST_CELLS, tuning.MIL_MAX_BAG_CELLS // normals)
    most = min(tuning.MIL_BAG_CELLS_NORMAL, room)
    unusual = _largest(cells, scores.novelty(cells), most)
    random = _draw(cells, tuning.MIL_RANDOM_CELLS, generator)
    return Bag(np.concatenate([unusual, random]), anomalous=False)


def make_synthetic_bag(scores: CellScores, cells: Floats) -> Bag:
    """Return the bag of a synthetic defect."""
    unusual = _largest(cells, scores.novelty(cells), tuning.MIL_BAG_CELLS_ANOMALOUS)
    return Bag(unusual, anomalous=True)


def _largest(cells: Floats, values: Floats, count: int) -> Floats:
    return cells[np.argsort(values, kind="stable")[-count:]]


def _draw(cells: Floats, count: int, generator: np.random.Generator) -> Floats:
    return cells[np.sort(generator.permutation(len(cells))[:count])]


def learn(whitening: CellScores, bags: Sequence[Bag]) -> CellScores:
    """Return a whitening with the weights that bags of both kinds teach."""
    result = whitening
    scores = [result.novelty(each.cells) for each in bags]  # before any weight: the most unusual
    normals = sum(not each.anomalous for each in bags)
    of_each = tuning.MIL_WORST_CELLS + tuning.MIL_RANDOM_CELLS
    part = min(1.0, tuning.MIL_MAX_NORMAL_CELLS / (of_each * max(1, normals)))
    hardest = max(1, round(tuning.MIL_WORST_CELLS * part))
    random = max(1, round(tuning.MIL_RANDOM_CELLS * part))
    solution: Doubles | None = None
    for _ in range(tuning.MIL_ROUNDS):
        chosen = [
            _largest(bag.cells, found, tuning.WORST_CELLS)
            if bag.anomalous
            else np.concatenate([_largest(bag.cells, found, hardest), bag.cells[-random:]])
            for bag, found in zip(bags, scores, strict=True)
        ]
        anomalous = np.repeat([each.anomalous for each in bags], [len(each) for each in chosen])
        # Both kinds weigh the same.
        weights = len(bags) * 0.5 / np.where(anomalous, anomalous.sum(), (~anomalous).sum())
        rows = np.concatenate(chosen)
        solution = newton(
            result.whiten(rows),
            anomalous,
            weights,
            tuning.MIL_PENALTY,
            solution,
            tuning.MIL_PRECISION,
        )
        result = replace(result, weights=solution[:-1], bias=float(solution[-1]))
        scores = [result.evidence(each.cells) for each in bags]
    return result


@dataclass(frozen=True)
class CellFit:
    """The fit, and each image's scores by a fit that had not learnt from it.

    The fit is the mean of the folds' fits, which is a linear score too (cross-validation committee:
    Krogh & Vedelsby, NIPS 1994): one on all images scores normal ones higher by chance than they
    did, and the threshold, which comes from their scores alone, would be too low.
    """

    cells: CellScores
    evidence: Doubles
    novelty: Doubles


def fit_cells(
    read: Callable[[int, int], Floats],
    labels: Bools,
    folds: Integers,
    views: int,
    seed: int,
    tick: Tick,
    threads: int,
    synthetic: Mapping[int, Sequence[Floats]],
) -> CellFit:
    """Fit on normal images whose cells `read` returns, (n, c) float32, by image and view.

    Args:
        read: Cells of an image.
        labels: True for anomalies, which are scored and not learnt from.
        folds: Of each image.
        views: Mirrored views of each image; all are learnt from, the first is scored.
        seed: Of the random cells.
        tick: Told of (done, total) images; may raise to stop.
        threads: Images worked on at the same time; their number changes nothing.
        synthetic: Cells within synthetic defects, by the fold of the image drawn on.
    """
    whitenings = _fit_whitenings(read, labels, folds, seed, threads)
    everyone, normals = whitenings[NOBODY], np.flatnonzero(~labels).tolist()
    total = len(normals) + len(labels)
    bags: list[Bag] = []
    pack = partial(_make_bags, read, everyone, views * len(normals), views, seed)
    for each in in_order(pack, normals, threads):
        bags += each
        tick(len(bags) // views, total)
    drawn = [
        (fold, make_synthetic_bag(everyone, cells))
        for fold, defects in synthetic.items()
        for cells in defects
    ]
    owners = np.concatenate(
        [np.repeat(folds[normals], views), np.array([fold for fold, _bag in drawn], np.int64)]
    )
    lessons = _Lessons(whitenings, [*bags, *(each for _fold, each in drawn)], owners)
    turns = np.unique(folds).tolist()
    fits = lessons.learn_without(turns, threads)
    del lessons, bags, drawn  # the most of what is kept
    heap.trim()
    evidence, novelty = np.zeros(len(labels)), np.zeros(len(labels))
    scored = _score_out_of_fold(read, whitenings, folds, fits, threads)
    for done, (index, scores) in enumerate(scored, start=len(normals) + 1):
        novelty[index], evidence[index] = scores
        tick(done, total)
    return CellFit(_committee(everyone, fits), evidence, novelty)


def _fit_whitenings(
    read: Callable[[int, int], Floats], labels: Bools, folds: Integers, seed: int, threads: int
) -> dict[int, CellScores]:
    """Return the whitening of normal images' cells without each fold, and without NOBODY.

    Some cells of each image do to know how they vary.
    """
    normals = np.flatnonzero(~labels).tolist()
    limit = tuning.WHITENING_MAX_CELLS // len(normals)
    quota = max(1, min(tuning.WHITENING_CELLS_PER_IMAGE, limit))

    def sample(index: int) -> Floats:
        return _draw(read(index, 0), quota, np.random.default_rng([seed, index]))

    samples = dict(zip(normals, in_order(sample, normals, threads), strict=True))
    return {
        left_out: fit_whitening(
            np.concatenate([some for index, some in samples.items() if folds[index] != left_out])
        )
        for left_out in [*np.unique(folds).tolist(), NOBODY]
    }


def _make_bags(
    read: Callable[[int, int], Floats],
    scores: CellScores,
    normals: int,
    views: int,
    seed: int,
    index: int,
) -> list[Bag]:
    """Return a bag for each view of a normal image."""
    random = np.random.default_rng([seed, index, 1])
    return [make_bag(scores, read(index, view), random, normals=normals) for view in range(views)]


@dataclass(frozen=True)
class _Lessons:
    """The whitening without each fold, bags to learn from, and the fold of each."""

    whitenings: Mapping[int, CellScores]
    bags: Sequence[Bag]
    owners: Integers

    def learn_without(self, left_out: Sequence[int], threads: int) -> list[CellScores]:
        """Return what is learnt without each of some folds."""

        def learn_others(fold: int) -> CellScores:
            pairs = zip(self.bags, self.owners.tolist(), strict=True)
            bags = [bag for bag, owner in pairs if owner != fold]
            learnable = any(each.anomalous for each in bags)
            return learn(self.whitenings[fold], bags) if learnable else self.whitenings[fold]

        heap.trim()
        found = list(in_order(learn_others, left_out, threads))
        heap.trim()
        return found


def _score_out_of_fold(
    read: Callable[[int, int], Floats],
    whitenings: Mapping[int, CellScores],
    folds: Integers,
    fits: Sequence[CellScores],
    threads: int,
) -> Iterator[tuple[int, tuple[float, float]]]:
    """Yield each image and its scores, novelty and evidence, by what other folds taught."""

    def score(turn: int, fold: int, index: int) -> tuple[float, float]:
        cells = read(index, 0)
        evidence = mean_of_worst(fits[turn].evidence(cells))
        return image_novelty(whitenings[fold].novelty(cells)), evidence

    for turn, fold in enumerate(np.unique(folds).tolist()):
        members = np.flatnonzero(folds == fold).tolist()
        found = in_order(partial(score, turn, fold), members, threads)
        yield from zip(members, found, strict=True)


def _committee(base: CellScores, fits: Sequence[CellScores]) -> CellScores:
    """Return what folds' fits say on average, as weights on the whitening `base`."""
    directions = np.mean([each.basis @ each.weights for each in fits], axis=0)
    weights = np.linalg.lstsq(base.basis.astype(np.float64), directions, rcond=None)[0]
    offset = np.mean([each.bias - each.mean @ (each.basis @ each.weights) for each in fits])
    return replace(base, weights=weights, bias=float(offset + base.mean @ directions))
