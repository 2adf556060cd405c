"""One scale: the heads that look at images there, and how they are fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.detector import heads
from lfvpipe.detector.alignment import Alignment
from lfvpipe.detector.checkpoints import pack, unpack
from lfvpipe.detector.features import View, look
from lfvpipe.detector.heads.head import FittedHead
from lfvpipe.detector.likeness import Likeness, fit_likeness

if TYPE_CHECKING:
    from collections.abc import Mapping

    from PIL import Image

    from lfvpipe.detector.arrays import Doubles
    from lfvpipe.detector.heads.head import (
        FitOptions,
        Head,
        HeadScore,
        TrainingFeatures,
    )


@dataclass(frozen=True)
class Scale:
    """The heads that score an image on one scale.

    Attributes:
        side: Of the square, px, whose area images are brought to.
        heads: Fitted.
        alignment: Where the product lies; images are looked at as if it lay there.
        likeness: What is typical of the training images; older model files do not tell.
    """

    side: int
    heads: tuple[Head, ...]
    alignment: Alignment | None = None
    likeness: Likeness | None = None

    @property
    def has_cell_heads(self) -> bool:
        """Whether some head always has a heat map."""
        return any(each.always_in_heat_map for each in self.heads)

    def look(self, image: Image.Image) -> View:
        """Return what the heads need to see of an RGB image."""
        taps = max(each.TAPS for each in self.heads)
        return look(image, self.side, taps=taps, alignment=self.alignment)

    def scores(self, view: View) -> list[tuple[Head, HeadScore]]:
        """Return what each head says, with heat maps as the image itself lies.

        Those least trusted come first. Heat maps are added up in this order, on which the last bits
        of a sum depend: it is the same for a model just trained and for one loaded.
        """
        found = []
        order = heads.HEADS.index
        for head in sorted(self.heads, key=lambda each: (each.HEAT_MAP_TRUST, order(type(each)))):
            scored = head.score(view)
            if scored.heat_map is not None:
                scored = scored._replace(heat_map=view.unalign(scored.heat_map))
            found.append((head, scored))
        return found


@dataclass(frozen=True)
class FittedScale:
    """A scale fitted on all its images, with each head's out-of-fold scores, in file order."""

    side: int
    heads: tuple[FittedHead, ...]
    alignment: Alignment | None = None
    likeness: Likeness | None = None

    @property
    def scale(self) -> Scale:
        """The scale with all heads that were fitted."""
        heads = tuple(each.head for each in self.heads)
        return Scale(self.side, heads, self.alignment, self.likeness)

    @property
    def scores(self) -> Mapping[str, Doubles]:
        """Scores (images,) by head; NaN for images whose cells are not stored."""
        return {each.head.NAME: each.scores for each in self.heads}

    def pack(self) -> bytes:
        """Return it as bytes, for a checkpoint."""
        fitted = [[each.head.NAME, each.head.parameters(), each.scores] for each in self.heads]
        parts = {"alignment": self.alignment, "likeness": self.likeness}
        known = {name: None if each is None else vars(each) for name, each in parts.items()}
        return pack({"side": self.side, "heads": fitted, **known})

    @classmethod
    def unpack(cls, data: bytes) -> FittedScale:
        """Return what `pack` was called on."""
        found = unpack(data)
        by_name = {each.NAME: each for each in heads.HEADS}
        fitted = tuple(
            FittedHead(by_name[name].restore(parameters), scores)
            for name, parameters, scores in found["heads"]
        )
        alignment, likeness = found["alignment"], found["likeness"]
        return cls(
            found["side"],
            fitted,
            None if alignment is None else Alignment(**alignment),
            None if likeness is None else Likeness(**likeness),
        )


def fit_scale(features: TrainingFeatures, options: FitOptions) -> FittedScale:
    """Fit the heads that learn what is normal, and those that learn from labels where these do."""
    some = (*heads.NOVELTY_HEADS, *(heads.SUPERVISED_HEADS if options.supervised else ()))
    found = [fitted for head in some for fitted in head.fit(features, options)]
    found.sort(key=lambda fitted: heads.FILE_ORDER.index(type(fitted.head)))
    likeness = fit_likeness(features.traits, features.folds)
    return FittedScale(features.side, tuple(found), likeness=likeness)
