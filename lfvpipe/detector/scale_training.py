"""Look at the examples and fit scales: usual ones, the same with products aligned, finer ones.

Every image is looked at on the usual scales. On a finer one at most so many are as its area allows,
the rarer label first: time, disk and memory are bounded whatever the number of images.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import default_rng

from lfvpipe.detector import heap, tuning
from lfvpipe.detector.alignment import fit_alignment
from lfvpipe.detector.checkpoints import NOTHING_KEPT, Checkpoints, Within
from lfvpipe.detector.extraction import Extraction, ImageFeatures, extract_features
from lfvpipe.detector.feature_store import FeatureStore, as_stored
from lfvpipe.detector.features import prepare
from lfvpipe.detector.fine_tuning import Look
from lfvpipe.detector.heads.head import FitOptions, TrainingFeatures
from lfvpipe.detector.images import open_rgb
from lfvpipe.detector.sampling import (
    assign_folds,
    common_white_level,
    is_sampled,
    median_size,
    require_different,
    sample,
    sample_shares,
)
from lfvpipe.detector.scale import FittedScale, fit_scale
from lfvpipe.detector.scale_search import ladder
from lfvpipe.detector.synthetic import synthetic_cells
from lfvpipe.detector.threads import thread_count
from lfvpipe.executor import in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lfvpipe.detector.alignment import Alignment
    from lfvpipe.detector.arrays import Bools, Floats, Integers
    from lfvpipe.detector.facts import Example, Settings
    from lfvpipe.detector.watch import Watch
    from lfvpipe.images import PixelRules


@dataclass(frozen=True)
class TrainingSet:
    """The examples and their features, in an order that only their content decides.

    Attributes:
        examples: Those that are learnt from.
        features: Of each on the usual scales.
        labels: True for anomalies.
        folds: Of each.
        sides: All that may be looked on, px, ascending; the first two are usual.
        looked: Those of the features.
        rules: From bytes to pixels; a white level where there is deep grey, or will be.
        by_labels: Whether to learn from the labels, where there are enough; else what is normal.
    """

    examples: tuple[Example, ...]
    features: tuple[ImageFeatures, ...]
    labels: Bools
    folds: Integers
    sides: tuple[int, ...]
    looked: tuple[int, ...]
    rules: PixelRules
    by_labels: bool = True

    @property
    def usual(self) -> int:
        """The finest usual side, px."""
        return self.sides[:2][-1]

    def count_different(self, *, anomalous: bool) -> int:
        """Return how many images have that label, copies once: they teach nothing more."""
        pairs = zip(self.features, self.labels.tolist(), strict=True)
        return len({each.pixel_digest for each, label in pairs if label == anomalous})

    @property
    def supervised(self) -> bool:
        """Whether there are anomalies enough to learn from, and they shall be."""
        return self.by_labels and self.count_different(anomalous=True) >= tuning.FEW_ANOMALIES

    @property
    def positioned(self) -> int:
        """The side, px, of the scale on which what is usual at each position is learnt."""
        return self.looked[-1]


@dataclass(frozen=True)
class ScaleTrainer:
    """Fits scales; holds a training's settings, types, store, who watches, and what is kept."""

    settings: Settings
    classes: tuple[str, ...]
    store: FeatureStore
    watch: Watch
    checkpoints: Checkpoints = NOTHING_KEPT

    def read(self, examples: Sequence[Example]) -> TrainingSet:
        """Look at the examples on the usual scales; to fine-tune, on one of them.

        Raises:
            DetectorError: One cannot be read, or all normal ones are copies of one image.
            TrainingCancelled: The caller said so.
        """
        limit = self.settings.max_rows // tuning.ROWS_AN_IMAGE
        examples = sample(examples, limit, self.watch)
        size = median_size(examples)
        coarsest, *further = ladder(size, self.settings.sides)
        finer = [side for side in further[1:] if self._limit(side) >= tuning.FINER_LEAST_IMAGES]
        sides = (coarsest, *further[:1], *finer)
        share = sample_shares(
            [each.label == "anomaly" for each in examples], tuning.MAX_IMAGES_WITH_CELLS
        )
        # A pipeline knows the product's, although the images that it gives have 8 bits by now.
        rules = self.settings.pixels
        if rules.white_level is None:
            rules = replace(rules, white_level=common_white_level(examples))
        anomalies = sum(each.label == "anomaly" for each in examples)
        supervised = anomalies >= tuning.FEW_ANOMALIES
        looked = sides[:2]
        if supervised:
            # On the finer one where the other would lose too much, or masks are to be drawn.
            large = size[0] * size[1] > (tuning.TUNING_MOST_REDUCED * coarsest) ** 2
            looked = looked[-1:] if large or self.classes else looked[:1]
        how = self._extraction(looked, limit, examples, rules, supervised=supervised)
        kept = Within(self.checkpoints, "images")
        found = extract_features(examples, how, share, self.store, self.watch, kept)
        # From here on content decides the order, not the caller: sums, and what is drawn at random,
        # are the same for the same images in any order.
        order = sorted(range(len(found)), key=lambda index: found[index].digest)
        labels = np.array([examples[index].label == "anomaly" for index in order])
        features = tuple(found[index] for index in order)
        first: dict[str, str] = {}  # a copy goes by the digest of the first of its kind
        digests = [first.setdefault(each.pixel_digest, each.digest) for each in features]
        require_different(digests, labels)
        folds = assign_folds(digests, labels, self.settings.seed)
        ordered = tuple(examples[index] for index in order)
        return TrainingSet(ordered, features, labels, folds, sides, looked, rules)

    def _extraction(
        self,
        sides: tuple[int, ...],
        limit: int,
        examples: Sequence[Example],
        rules: PixelRules,
        *,
        supervised: bool,
    ) -> Extraction:
        """Return how to look at the examples, at so many views in all."""
        threads, seed = thread_count(self.settings.threads), self.settings.seed
        views = min(self.settings.views, max(1, limit // len(examples)))
        looks = self.settings.looks if supervised else 0
        return Extraction(sides, views, self.classes, threads, rules, looks=looks, seed=seed)

    def look_for_novelty(self, data: TrainingSet, side: int) -> TrainingSet:
        """Return the examples as they are looked at on that scale to learn what is normal."""
        limit = self.settings.views * len(data.examples)
        how = self._extraction((side,), limit, data.examples, data.rules, supervised=False)
        kept = Within(self.checkpoints, "normal images")
        found = extract_features(data.examples, how, (1.0, 1.0), self.store, self.watch, kept)
        return replace(data, features=tuple(found), looked=(side,), by_labels=False)

    def fit(self, data: TrainingSet, side: int) -> FittedScale:
        """Fit the scale of this `side`; scores are NaN for images that were not drawn for it."""
        return self._once(f"scale {side}, {data.supervised}", partial(self._fit_side, data, side))

    def _fit_side(self, data: TrainingSet, side: int, kept: Checkpoints) -> FittedScale:
        if side in data.looked:
            everyone, at = np.arange(len(data.features)), data.looked.index(side)
            features = self._training_features(data, everyone, data.features, at)
            by_position = side == data.positioned
            return self._fit(features, kept, supervised=data.supervised, by_position=by_position)
        share = sample_shares(data.labels.tolist(), self._limit(side))
        shares = np.where(data.labels, share[1], share[0]).tolist()
        pairs = zip(data.features, shares, strict=True)
        some = np.array([is_sampled(each.digest, part) for each, part in pairs])
        return self._fit_again(data, some, side, None, kept)

    def fit_aligned(self, data: TrainingSet) -> FittedScale | None:
        """Look on the finest scale again, with products brought to where most lie, and fit it.

        None where they lie anywhere, or where masks say where anomalies are in images as they lie.
        """
        greys = [each.grey for each in data.features]
        pairs = zip(greys, data.labels.tolist(), strict=True)
        normal = [grey for grey, anomalous in pairs if grey is not None and not anomalous]
        alignment = None if self.classes else fit_alignment(normal)
        if alignment is None:
            return None
        has_grey = np.array([grey is not None for grey in greys])
        fit = partial(self._fit_again, data, has_grey, data.positioned, alignment)
        return self._once(f"scale {data.positioned}, aligned", fit)

    def _once(self, stage: str, fit: Callable[[Checkpoints], FittedScale]) -> FittedScale:
        """Return the scale as it was fitted before a kill, or fit it."""
        kept = self.checkpoints.load(stage)
        if kept is not None:
            return FittedScale.unpack(kept)
        parts = Within(self.checkpoints, stage)
        fitted = fit(parts)
        self.checkpoints.save(stage, fitted.pack)
        parts.discard("")
        return fitted

    def _fit_again(
        self,
        data: TrainingSet,
        some: Bools,
        side: int,
        alignment: Alignment | None,
        kept: Checkpoints,
    ) -> FittedScale:
        """Look at `some` of the images once more, on one scale, and fit that."""
        rows = np.flatnonzero(some)
        examples = [data.examples[row] for row in rows.tolist()]
        limit = min(self._limit(side), self.settings.finer_views * len(examples))
        how = self._extraction((side,), limit, examples, data.rules, supervised=data.supervised)
        how = replace(how, alignment=alignment)
        found = extract_features(examples, how, (1.0, 1.0), self.store, self.watch, kept)
        features = self._training_features(data, rows, found, 0, alignment)
        by_position = alignment is not None
        fitted = self._fit(features, kept, supervised=data.supervised, by_position=by_position)
        heads = []
        for each in fitted.heads:
            scores = np.full(len(some), np.nan)
            scores[some] = each.scores
            heads.append(replace(each, scores=scores))
        return replace(fitted, heads=tuple(heads), alignment=alignment)

    def _limit(self, side: int) -> int:
        """Return how many looks there may be on a finer scale."""
        return round(self.settings.finer_megapixels * 1e6 / side**2)

    def _fit(
        self,
        features: TrainingFeatures,
        kept: Checkpoints,
        *,
        supervised: bool,
        by_position: bool,
    ) -> FittedScale:
        options = FitOptions(
            seed=self.settings.seed,
            threads=thread_count(self.settings.threads),
            stage=self.watch.stage,
            supervised=supervised,
            by_position=by_position,
            steps=self.settings.steps,
            checkpoints=kept,
        )
        # The peak of memory is within a fit: what extraction has freed is given back before it.
        heap.trim()
        fitted = fit_scale(features, options)
        heap.trim()
        return fitted

    def _training_features(
        self,
        data: TrainingSet,
        rows: Integers,
        features: Sequence[ImageFeatures],
        at: int,
        alignment: Alignment | None = None,
    ) -> TrainingFeatures:
        """Return the features of the images `rows` as arrays, `at` the scale of that number.

        Synthetic defects are drawn.
        """
        scales = [each.scales[at] for each in features]
        stored = [each for each in scales if each.cells is not None]
        numbers = [each.cells for each in scales if each.cells is not None]
        patches = [each.patches for each in scales if each.patches is not None]

        def read_cells(index: int, view: int) -> Floats:
            return self.store.read(numbers[index] + view)

        def read_look(index: int, view: int) -> Look:
            fine, coarse, *marks = (self.store.read(each) for each in stored[index].looks[view])
            return Look(fine, coarse, marks[0] if marks else None)

        side = scales[0].side
        return TrainingFeatures(
            side=side,
            pooled=np.concatenate([each.pooled for each in scales]),
            grid_means=np.stack([each.grid_means for each in scales]),
            traits=np.stack([each.traits for each in scales]),
            labels=data.labels[rows],
            folds=data.folds[rows],
            has_cells=np.array([each.cells is not None for each in scales]),
            grids=[each.grid for each in stored],
            read_cells=read_cells,
            read_patches=lambda index: self.store.read(patches[index]),
            synthetic_cells=self._draw_defects(data, rows, side, alignment) if numbers else {},
            looks=len(stored[0].looks) if stored else 0,
            read_look=read_look,
        )

    def _draw_defects(
        self, data: TrainingSet, rows: Integers, side: int, alignment: Alignment | None
    ) -> dict[int, list[Floats]]:
        """Draw defects onto normal ones of the images `rows`.

        Returns:
            Cells within them, rounded as stored ones are, by fold.
        """
        normals = [row for row in rows.tolist() if not data.labels[row]]
        normals = normals[: tuning.DEFECT_MAX_IMAGES]

        def draw(row: int) -> list[Floats]:
            # The image's own digest is in the seed: its defects do not depend on the others.
            seed = [self.settings.seed, side, int(data.features[row].digest[:8], 16)]
            image = open_rgb(data.examples[row].path, data.rules)
            pixels, _motion = prepare(image, side, alignment)
            return [as_stored(each) for each in synthetic_cells(pixels, default_rng(seed))]

        found: dict[int, list[Floats]] = {}
        done = in_order(draw, normals, thread_count(self.settings.threads))
        for number, (row, cells) in enumerate(zip(normals, done, strict=True)):
            found.setdefault(int(data.folds[row]), []).extend(cells)
            self.watch.tick(f"drawn defects at {side} px", number + 1, len(normals))
        heap.trim()
        return found
