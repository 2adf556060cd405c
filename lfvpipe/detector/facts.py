"""The facts that go into and come out of the detector; numpy is not imported for them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from lfvpipe import images
from lfvpipe.detector import tuning
from lfvpipe.detector.errors import DetectorError, DetectorWarning
from lfvpipe.images import PixelRules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from lfvpipe.images import Geometry

Label = Literal["normal", "anomaly"]
BACKGROUND = "background"
BACKGROUND_COLOR = "#FFFFFF"


@dataclass(frozen=True)
class Example:
    """One labelled photograph to learn from.

    Attributes:
        path: An image file, of any of `lfvpipe.images.FORMATS`.
        label: "normal" or "anomaly".
        mask: A PNG of the image's size, upright, whose colours mark anomalies.
        mask_classes: Anomaly type → its colour, "#RRGGBB"; every other colour is background.
    """

    path: Path
    label: Label
    mask: Path | None = None
    mask_classes: Mapping[str, str] = field(default_factory=dict)


class Effort(StrEnum):
    """How much time training may take."""

    FAST = "fast"
    DEFAULT = "default"
    THOROUGH = "thorough"


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        seed: Of every random choice; the same data and seed give the same model file.
        threads: Images worked on at the same time; default: the cores there are, at most 8.
        sides: Sides, px, ascending, of the squares whose area images are brought to. The first two
            are usual: all images are seen on both. On each but the first, defects are searched for
            only where the ones before leave doubts. Less, and fewer, where images are small; a
            further one that would magnify them by less than a fifth is their own.
        views: Mirrored views of each image to train on, 1 to 4; fewer where images are many.
        finer_views: The same on the further sides.
        max_rows: A bound on the rows that a fit holds in memory; a quarter as many images are
            learnt from, drawn by their digests where there are more.
        finer_megapixels: What each further side may look at while training; images are drawn, the
            rarer label first, where they have more.
        looks: Varied views of each image to fine-tune networks on.
        steps: That each of these networks learns in, at most.
        persistent: Try further sides while there is doubt, also after one that did not help.
        pixels: What is decided for the product of how photographs become pixels. Without a white
            level the training images' own counts, where there is deep grey.
        geometry: Which part of a photograph the training images were made of, as
            `lfvpipe.images.Geometry.as_text` writes it; "" for all of it.
    """

    seed: int = 0
    threads: int | None = None
    sides: tuple[int, ...] = tuning.SIDES
    views: int = tuning.VIEWS
    finer_views: int = tuning.FINER_VIEWS
    max_rows: int = tuning.MAX_ROWS
    finer_megapixels: float = tuning.FINER_MEGAPIXELS
    looks: int = tuning.TUNING_VIEWS
    steps: int = tuning.TUNING_MOST_STEPS
    persistent: bool = False
    pixels: PixelRules = field(default_factory=PixelRules)
    geometry: str = ""

    def with_effort(self, effort: Effort) -> Settings:
        """Return these settings for training that takes less time, or more.

        Thorough training also looks on a still finer side, at more views, and goes on to finer ones
        while there is doubt: it finds what is too small for the usual sides.
        """
        match effort:
            case Effort.FAST:
                return replace(self, looks=tuning.FAST_VIEWS, steps=tuning.FAST_MOST_STEPS)
            case Effort.DEFAULT:
                return self
            case Effort.THOROUGH:
                return replace(
                    self,
                    sides=tuple(sorted({*self.sides, tuning.THOROUGH_SIDE})),
                    views=4,
                    finer_views=4,
                    finer_megapixels=tuning.THOROUGH_MORE * self.finer_megapixels,
                    looks=tuning.THOROUGH_VIEWS,
                    steps=tuning.THOROUGH_MOST_STEPS,
                    persistent=True,
                )

    def __post_init__(self) -> None:
        wrong = next((text for fine, text in self._rules() if not fine), None)
        if wrong is not None:
            raise DetectorError(f"{wrong}.")

    def _rules(self) -> Iterator[tuple[bool, str]]:
        """Yield whether each rule is kept, and what to say where it is not."""
        yield self.seed >= 0, f"The setting seed must not be negative, not {self.seed}"
        whole = all(isinstance(each, int) for each in self.sides)
        ascending = list(self.sides) == sorted({*self.sides})
        yield (
            whole and ascending,
            f"The setting sides must be whole numbers that ascend, not {self.sides}",
        )
        within = bool(self.sides) and 64 <= self.sides[0] <= self.sides[-1] <= 2048
        yield within, f"The setting sides must lie within 64 and 2048 px, not {self.sides}"
        views = {self.views, self.finer_views}
        both = f"{self.views} and {self.finer_views}"
        text = f"The settings views and finer_views must be 1 to 4, not {both}"
        yield views <= {1, 2, 3, 4}, text
        threads = 1 if self.threads is None else self.threads
        yield threads >= 1, f"The setting threads must be at least 1, not {self.threads}"
        yield (
            self.max_rows >= 1000,
            f"The setting max_rows must be at least 1000, not {self.max_rows}",
        )
        text = f"The setting finer_megapixels must be positive, not {self.finer_megapixels}"
        yield self.finer_megapixels > 0, text
        text = f"The settings looks and steps must be at least 1, not {self.looks} and {self.steps}"
        yield min(self.looks, self.steps) >= 1, text


@dataclass(frozen=True)
class Anomaly:
    """One type of anomaly in an image, or the background.

    Attributes:
        name: The type's name, or "background", which comes first.
        color: "#RRGGBB", its colour in the mask.
        fraction: The part of the image's area that it covers, 0 to 1.
    """

    name: str
    color: str
    fraction: float


@dataclass(frozen=True)
class Verdict:
    """What the detector says of one image.

    Attributes:
        is_anomalous: The verdict: `probability` ≥ 0.5.
        confidence: In the verdict, 0.5 to 1.
        probability: Of the image being anomalous, 0 to 1, with 0.5 at the trained threshold.
        heat_map: float32 (h, w), 0 to 1, coarser than the image: where the evidence is.
        anomalies: Segmentation models only: the background, then each type found.
        mask_png: Segmentation models only: an RGB PNG of the size of the image, in the types'
            colours.
        unlikeness: How far the image lies from the training images, of which 1 is the threshold;
            None where the detector does not tell.
    """

    is_anomalous: bool
    confidence: float
    probability: float
    heat_map: NDArray[np.float32] | None
    anomalies: tuple[Anomaly, ...] = ()
    mask_png: bytes | None = None
    unlikeness: float | None = None

    @property
    def is_unlike(self) -> bool:
        """Whether the image is not like the training images, so that the verdict is a guess."""
        return self.unlikeness is not None and self.unlikeness >= 1


@dataclass(frozen=True)
class OutOfFold:
    """What a training's models said of one training image that they had not learnt from.

    Attributes:
        path: The image.
        label: As it was given.
        probability: Of it being anomalous, 0 to 1, with 0.5 at the trained threshold.
        calibrated: The same before the threshold was moved to 0.5.
    """

    path: Path
    label: Label
    probability: float
    calibrated: float | None = None


@dataclass(frozen=True)
class Info:
    """What a model is and what it was trained on.

    Attributes:
        kind: "supervised" (anomalies were labelled) or "novelty" (normal images only, or too few).
        segmentation: Whether masks were learnt from.
        counts: Images by label.
        digest: SHA-256 over the sorted digests of the images, labels and masks.
        image_size: (width, height) of most images.
        settings: As trained.
        versions: Of this format, the backbone and the libraries.
        scores: Out-of-fold AUROC, F1, Brier score, calibration error and false positive rate, on
            the training images. Scales, weights and threshold were chosen by them, so that they are
            a little better than those of new images.
        sides: Of the squares, px, whose area the model looks at images on.
        white: The level of deep grey (16-bit, floating) that is shown as white; None where no image
            was deeper than 8 bits.
        warnings: What a user should know.
    """

    kind: str
    segmentation: bool
    counts: Mapping[str, int]
    digest: str
    image_size: tuple[int, int]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    scores: Mapping[str, float]
    sides: tuple[int, ...]
    white: float | None = None
    warnings: tuple[DetectorWarning, ...] = ()

    @property
    def pixels(self) -> PixelRules:
        """How photographs become pixels for this model; files of 0.1.0 name a white level alone."""
        return replace(
            PixelRules.from_json(self.settings.get("pixels", {})), white_level=self.white
        )

    @property
    def geometry(self) -> Geometry:
        """Which part of a photograph the model looks at, where it was not prepared before."""
        return images.Geometry.from_text(self.settings.get("geometry", ""))
