"""The ensemble: all heads of a model, on the scales that it looks at, blended into one score.

What is done here is done to heads of any kind; what a head is stands in `heads/head.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lfvpipe.detector import heat_map
from lfvpipe.detector.arrays import Floats
from lfvpipe.detector.blending import Blend, fit_blend, fit_scale_blend, fit_unlabelled_blend
from lfvpipe.detector.heads import learns_labels
from lfvpipe.detector.heads.head import Head

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL import Image

    from lfvpipe.detector.arrays import Bools, Doubles
    from lfvpipe.detector.features import View
    from lfvpipe.detector.scale import FittedScale, Scale

ScoreKey = tuple[str, int]  # a head's name and its scale's side, px


@dataclass(frozen=True)
class Ensemble:
    """Heads on each scale, and the blend of their scores.

    Attributes:
        scales: From coarse to fine; with the heads in the blend, and one that has a heat map.
        keys: Of each score in the blend.
        blend: Their weights, all positive.
    """

    scales: tuple[Scale, ...]
    keys: tuple[ScoreKey, ...]
    blend: Blend

    @property
    def weights(self) -> Mapping[ScoreKey, float]:
        """Return the weight of each score in the blend."""
        return dict(zip(self.keys, self.blend.weights.tolist(), strict=True))

    def look(self, image: Image.Image) -> dict[int, View]:
        """Return what the model needs to see of an RGB image, by side."""
        return {scale.side: scale.look(image) for scale in self.scales}

    def unlikeness(self, views: Mapping[int, View]) -> float | None:
        """Return how far an image lies from the training images, of which 1 is the threshold."""
        for scale in self.scales:
            if scale.likeness is not None:
                return scale.likeness.unlikeness(views[scale.side])
        return None

    def score(self, views: Mapping[int, View]) -> tuple[float, Floats]:
        """Return the blended score of an image and its evidence by position, (h, w), 0 to 1."""
        scores, maps = dict[ScoreKey, float](), list[tuple[Head, ScoreKey, Floats]]()
        for scale in self.scales:
            for head, found in scale.scores(views[scale.side]):
                key = (head.NAME, scale.side)
                scores[key] = found.score
                if found.heat_map is not None:
                    maps.append((head, key, found.heat_map))
        row = np.array([[scores[key] for key in self.keys]])
        return float(self.blend.combine(row)[0]), self._overlay(maps)

    def _overlay(self, maps: Sequence[tuple[Head, ScoreKey, Floats]]) -> Floats:
        """Return the maps' weighted sum on the finest grid, each as far as it stands out, 0..1.

        Of heads that learnt from labels and those that know what is normal, only the kind that has
        more of the weights is shown: the map says where the one or the other is. A head counts by
        its share of the weights, so that one with little does not outshine the rest, and with no
        less than its floor.
        """
        maps = self._decisive(maps)
        shape = max((values.shape for _head, _key, values in maps), key=lambda each: each[0])
        trusts = {(head.NAME, s.side): head.HEAT_MAP_TRUST for s in self.scales for head in s.heads}
        known = {key: weight * trusts[key] for key, weight in self.weights.items()}
        total = sum(known.values())
        parts = []
        for head, key, values in maps:
            share = np.float32(max(known.get(key, 0) / total, head.HEAT_MAP_FLOOR))
            shown = heat_map.normalise(heat_map.smooth(heat_map.normalise(values)))
            parts.append(heat_map.resize(shown, shape) * share)
        return heat_map.normalise(np.sum(parts, axis=0, dtype=np.float32))

    def _decisive(
        self, maps: Sequence[tuple[Head, ScoreKey, Floats]]
    ) -> Sequence[tuple[Head, ScoreKey, Floats]]:
        """Return the maps of the kind of heads that has more of the weights, if it has maps."""
        labelled = {
            (each.NAME, scale.side)
            for scale in self.scales
            for each in scale.heads
            if learns_labels(each)
        }
        share = sum(weight for key, weight in self.weights.items() if key in labelled)
        by_labels = share >= self.blend.weights.sum() / 2
        return [each for each in maps if (each[1] in labelled) == by_labels] or maps


def score_table(fitted: Sequence[FittedScale]) -> tuple[list[ScoreKey], Doubles]:
    """Return the keys of all scores of these scales, and the out-of-fold scores (images, keys)."""
    keys = [(name, each.side) for each in fitted for name in each.scores]
    return keys, np.stack([values for each in fitted for values in each.scores.values()], 1)


def blend_scales(fitted: Sequence[FittedScale], labels: Bools, known: Bools) -> Blend:
    """Return the blend of all heads of these scales, as the labels say what each scale is worth.

    Args:
        fitted: The scales.
        labels: True for anomalies, (images,).
        known: Which images all of the scales have scores of.
    """
    parts, scores = [], []
    for scale in fitted:
        table = score_table([scale])[1][known]
        some = [each.head for each in scale.heads]
        learnt = np.array([learns_labels(each) for each in some])
        weights = [each.unlabelled_weight for each in some]
        parts.append(fit_scale_blend(table, labels[known], weights, learnt))
        scores.append(parts[-1].combine(table))
    outer = fit_blend(np.stack(scores, 1), labels[known])
    shares = (outer.weights / outer.spread).tolist()
    return Blend(
        np.concatenate([each.centre for each in parts]),
        np.concatenate([each.spread for each in parts]),
        np.concatenate([share * each.weights for share, each in zip(shares, parts, strict=True)]),
    )


def fit_ensemble(
    fitted: Sequence[FittedScale], labels: Bools, *, supervised: bool, always: int | None = None
) -> tuple[Ensemble, Doubles]:
    """Return the ensemble of these scales, and the blended out-of-fold score of each image.

    Args:
        fitted: The scales, from coarse to fine.
        labels: True for anomalies.
        supervised: Whether the labels say what each score is worth.
        always: The side of a scale that stays, whatever its scores are worth.

    Returns:
        The ensemble, and scores (images,): NaN for images that some scale has no scores of, which
        are left out of the blend.
    """
    keys, scores = score_table(fitted)
    known = np.asarray(np.isfinite(scores).all(1), np.bool_)
    if supervised:
        blend = blend_scales(fitted, labels, known)
    else:
        # Heads of one kind on several scales share one weight.
        names = [name for name, _side in keys]
        heads = [each.head for scale in fitted for each in scale.heads]
        weights = [head.unlabelled_weight / names.count(head.NAME) for head in heads]
        blend = fit_unlabelled_blend(scores[known], labels[known], weights)
    used = np.flatnonzero(blend.weights > 0)
    blend = Blend(blend.centre[used], blend.spread[used], blend.weights[used])
    kept = tuple(keys[index] for index in used.tolist())
    sides = {always, *(side for _name, side in kept)}
    with_cells = [each.side for each in fitted if each.scale.has_cell_heads]
    if not sides.intersection(with_cells):
        sides.add(with_cells[0])  # or there would be no heat map
    scales = tuple(prune(each.scale, kept) for each in fitted if each.side in sides)
    return Ensemble(scales, kept, blend), blend.combine(scores[:, used])


def prune(scale: Scale, kept: Sequence[ScoreKey]) -> Scale:
    """Return a scale without heads whose scores are not `kept`; what the heat map shows stays."""
    heads = tuple(
        each for each in scale.heads if (each.NAME, scale.side) in kept or each.always_in_heat_map
    )
    return replace(scale, heads=heads)
