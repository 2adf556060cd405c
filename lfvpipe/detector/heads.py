"""The scores that a model is made of, on the scales that it looks at, blended into one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector import blend, heat
from lfvpipe.detector.blend import Blend
from lfvpipe.detector.features import Floats, View
from lfvpipe.detector.logistic import Doubles
from lfvpipe.detector.scale import Fitted, Scale

if TYPE_CHECKING:
    from PIL import Image

PLACES = 8.0  # times the share of variance they explain: their say without labels, others' being 1
DRAWN = 2.0  # the same of evidence, which drawn defects taught
POOLED = 0.1  # of the classifier's weight in the heat map: where extremes lie is a rough guide
LEAST_SHOWN = 0.02  # share of a map in the heat map
ALWAYS_SHOWN = 0.2  # share of evidence there, also where the score has none
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Heads:
    """Scores of an image on each scale, and their blend.

    Attributes:
        scales: From coarse to fine; each has what `names` say, and what the heat map needs.
        names: ("score", side) of each score in the blend.
        blend: Their weights, all positive.
    """

    scales: tuple[Scale, ...]
    names: tuple[tuple[str, int], ...]
    blend: Blend

    @property
    def weights(self) -> Mapping[tuple[str, int], float]:
        """Return the weight of each score in the blend."""
        return dict(zip(self.names, self.blend.weights.tolist(), strict=True))

    def look(self, image: "Image.Image") -> dict[int, View]:
        """Return what the model needs to see of an RGB image, by side."""
        return {scale.side: scale.look(image) for scale in self.scales}

    def score(self, views: Mapping[int, View]) -> tuple[float, Floats]:
        """Return the blended score of an image and its evidence by position, (h, w), 0 to 1."""
        scores, maps = dict[tuple[str, int], float](), dict[tuple[str, int], Floats]()
        for scale in self.scales:
            asked = {name for name, side in self.names if side == scale.side} | _shown(scale)
            found, drawn = scale.scores(views[scale.side], asked)
            scores |= {(name, scale.side): value for name, value in found.items()}
            maps |= {(name, scale.side): values for name, values in drawn.items()}
        row = np.array([[scores[name] for name in self.names]])
        return float(self.blend.combined(row)[0]), self._overlaid(maps)

    def _overlaid(self, maps: Mapping[tuple[str, int], Floats]) -> Floats:
        """Return the maps' weighted sum on the finest grid, each as far as it stands out, 0..1."""
        shape = max((values.shape for values in maps.values()), key=lambda each: each[0])
        known = {name: each * _rough(name[0]) for name, each in self.weights.items()}
        total = sum(known.values())
        parts = [
            heat.resized(heat.standing_out(heat.smooth(heat.standing_out(values))), shape)
            * np.float32(max(known.get(name, 0) / total, _least(name[0])))
            for name, values in maps.items()
        ]
        return heat.standing_out(np.sum(parts, axis=0, dtype=np.float32))


def _rough(name: str) -> float:
    return POOLED if name == "classifier" else 1.0


def _least(name: str) -> float:
    return ALWAYS_SHOWN if name == "evidence" else LEAST_SHOWN


def _shown(scale: Scale) -> set[str]:
    """Return what of a scale the heat map shows in any case: evidence, or else novelty."""
    if scale.local is None:
        return set()
    return {"evidence"} if scale.local.weights.any() else {"novelty"}


def columns(fitted: Sequence[Fitted]) -> tuple[list[tuple[str, int]], Doubles]:
    """Return the names of all scores of these scales, and the scores (images, names)."""
    names = [(name, each.scale.side) for each in fitted for name in each.scores]
    return names, np.stack([values for each in fitted for values in each.scores.values()], 1)


def blended(
    fitted: Sequence[Fitted], labels: Bools, *, supervised: bool, always: int | None = None
) -> tuple[Heads, Doubles]:
    """Return the heads of these scales, and the blended out-of-fold score of each image.

    Args:
        fitted: The scales, from coarse to fine.
        labels: True for anomalies.
        supervised: Whether the labels say what each score is worth.
        always: The side of a scale that stays, whatever its scores are worth.

    Returns:
        The heads, and scores (images,): NaN for images that some scale has no scores of, which are
        left out of the blend.
    """
    names, scores = columns(fitted)
    known = np.isfinite(scores).all(1)
    scales = [(name, each.scale) for each in fitted for name in each.scores]
    mix = _mixed(scales, scores[known], labels[known], supervised=supervised)
    used = np.flatnonzero(mix.weights > 0)
    mix = Blend(mix.centre[used], mix.spread[used], mix.weights[used])
    kept = tuple(names[index] for index in used.tolist())
    sides = _looked_on(fitted, {always, *(side for _name, side in kept)})
    looked_on = tuple(_pruned(each.scale, kept) for each in fitted if each.scale.side in sides)
    return Heads(looked_on, kept, mix), mix.combined(scores[:, used])


def _mixed(
    names: Sequence[tuple[str, Scale]], scores: Doubles, labels: Bools, *, supervised: bool
) -> Blend:
    if supervised:
        return blend.average(scores, labels)
    kinds = [name for name, _scale in names]
    shares = [_say(*each) / kinds.count(each[0]) for each in names]
    return blend.unlabelled(scores, labels, shares)


def _say(name: str, known: Scale) -> float:
    """Return the say of a kind of score without labels to tell it by, others' being 1."""
    if name == "place" and known.place:
        return PLACES * known.place.explained
    return DRAWN if name == "evidence" else 1.0


def _looked_on(fitted: Sequence[Fitted], sides: set[int | None]) -> set[int | None]:
    """Return `sides`, with the first that sees positions if none of them does."""
    seeing = [each.scale.side for each in fitted if each.scale.local is not None]
    return sides if sides.intersection(seeing) else {*sides, seeing[0]}


def _pruned(scale: Scale, kept: Sequence[tuple[str, int]]) -> Scale:
    """Return a scale without scores that are not `kept`; what the heat map shows stays."""

    def named(name: str) -> bool:
        return (name, scale.side) in kept

    return replace(
        scale,
        deviation=scale.deviation if named("deviation") else None,
        place=scale.place if named("place") else None,
        bank=scale.bank if named("bank") else None,
        classifier=scale.classifier if named("classifier") else None,
    )
