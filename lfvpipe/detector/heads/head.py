"""What a head is: it scores an image on one scale, and is fitted on the training images there.

The words, one for one thing in the whole package:

- A *score* is a head's number for an image, the higher the more anomalous, of no particular scale.
- A *logit* is a score that is the logarithm of odds; a *probability* is calibrated, with 0.5 at the
  threshold; a *confidence* is the probability of the verdict being right.
- A *weight* is what a score, or a feature, is multiplied by in a sum.
- *Novelty* is a distance from normal images; *evidence* is the logit of being an anomaly.
- A *cell* is a position of the backbone's stride-8 map, with its descriptor; a *patch* is an area
  of its deepest map, with its. A *view* is an image, maybe mirrored, on one scale.
- *Out of fold* is what a fit says of images that it has not learnt from.

To add a head, write a module beside this one with a class that inherits `Head`, as
`tests/detector/example_head.py` does, and append the class to `NOVELTY_HEADS` or to
`SUPERVISED_HEADS`, and to `FILE_ORDER`, in `heads/__init__.py`. Scales, the blend, the heat map and
the model file know it by this protocol only. Of an image it is given the backbone's maps, and no
pixels. Its numbers go to `tuning.py`, with what they were chosen by.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector import tuning
from lfvpipe.detector.checkpoints import NOTHING_KEPT, Checkpoints
from lfvpipe.detector.layout import Layout, check_part

if TYPE_CHECKING:
    from typing import Self

    from lfvpipe.detector.arrays import Bools, Doubles, Floats, Integers
    from lfvpipe.detector.features import View
    from lfvpipe.detector.fine_tuning import Look

Tick = Callable[[int, int], None]  # told of (done, total); may raise to stop
Parameters = Mapping[str, NDArray[Any] | float]


class HeadScore(NamedTuple):
    """A head's score of an image, and its heat map (h, w) where it has one: larger is worse."""

    score: float
    heat_map: Floats | None = None


@dataclass(frozen=True)
class FitOptions:
    """How to fit heads on one scale.

    Attributes:
        seed: Of what is drawn at random.
        threads: Images worked on at the same time; their number changes nothing.
        stage: Makes a tick function of a stage's name.
        supervised: Whether there are labelled anomalies enough to learn from.
        by_position: Whether to learn what is usual at each position: on one scale, since finer ones
            have too many to know.
        steps: That a network learns in, at most.
        checkpoints: Keeps what a fit that takes long has come to.
    """

    seed: int
    threads: int
    stage: Callable[[str], Tick]
    supervised: bool
    by_position: bool
    steps: int
    checkpoints: Checkpoints = NOTHING_KEPT


@dataclass(frozen=True)
class TrainingFeatures:
    """The features of training images on one scale.

    Cells and patches are kept of some images only, in memory of none: they are read from disk, by
    the image's number among those that have them, as float32.

    Attributes:
        side: Of the scale, px.
        pooled: (images · views, features) pooled maps, the views of an image together.
        grid_means: (images, features) means by area of the image.
        traits: (images, traits) what tells whether an image is like these.
        labels: (images,) True for anomalies.
        folds: (images,).
        has_cells: (images,) of which cells and patches can be read.
        grids: (h, w) of the cells of each of those.
        read_cells: (n, c) of an image, and of one of its views.
        read_patches: (h, w, c) of an image.
        synthetic_cells: Cells within synthetic defects, by the fold of the image drawn on.
        looks: How many varied views there are of each image that has cells; 0: none were kept.
        read_look: One of these views: 0 is the image as it is.
    """

    side: int
    pooled: Floats
    grid_means: Floats
    traits: Floats
    labels: Bools
    folds: Integers
    has_cells: Bools
    grids: Sequence[tuple[int, int]]
    read_cells: Callable[[int, int], Floats]
    read_patches: Callable[[int], Floats]
    synthetic_cells: Mapping[int, Sequence[Floats]]
    looks: int
    read_look: Callable[[int, int], Look]

    @property
    def views(self) -> int:
        """How many mirrored views there are of each image."""
        return len(self.pooled) // len(self.labels)

    @property
    def cell_labels(self) -> Bools:
        """The labels of the images that have cells."""
        return self.labels[self.has_cells]

    @property
    def cell_folds(self) -> Integers:
        """Their folds."""
        return self.folds[self.has_cells]

    def of_all_images(self, scores: Doubles) -> Doubles:
        """Return scores of the images that have cells among all images, NaN for the others."""
        result = np.full(len(self.labels), np.nan)
        result[self.has_cells] = scores
        return result


@dataclass(frozen=True)
class FittedHead:
    """A head fitted on all images, and each image's out-of-fold score, (images,); NaN: none."""

    head: Head
    scores: Doubles


class Head(Protocol):
    """A fitted head; a frozen dataclass of arrays and floats, which are its file format.

    Attributes:
        NAME: Of its score, in a model file; never changed, or old files could not be read.
        PART: Of the model file, where its parameters are; heads that share them share it.
        TAPS: How many of the backbone's maps it needs.
        HEAT_MAP_TRUST: What its weight counts for in the heat map, 0 to 1.
        HEAT_MAP_FLOOR: Its least share in the heat map.
        LAYOUT: What its part of a model file holds, unless it overrides `restore`.
    """

    NAME: ClassVar[str]
    PART: ClassVar[str]
    TAPS: ClassVar[int]
    HEAT_MAP_TRUST: ClassVar[float] = 1.0
    HEAT_MAP_FLOOR: ClassVar[float] = tuning.HEAT_MAP_FLOOR
    LAYOUT: ClassVar[Layout] = {}

    @classmethod
    @abstractmethod
    def fit(cls, features: TrainingFeatures, options: FitOptions, /) -> Sequence[FittedHead]:
        """Fit on a scale's images; return nothing where the head is of no use there.

        Heads that share their parameters are fitted by one of them, which returns all.
        """

    @abstractmethod
    def score(self, view: View) -> HeadScore:
        """Return the score of an image; rounding on the training disk is repeated here."""

    def parameters(self) -> Parameters:
        """Return what a model file keeps."""
        return vars(self)

    @classmethod
    def restore(cls, parameters: Mapping[str, Any]) -> Self:
        """Return the head whose `parameters` a model file kept.

        Raises:
            ValueError: They are another head's.
        """
        check_part(cls.PART, cls.LAYOUT, parameters)
        return cls(**parameters)

    @property
    def unlabelled_weight(self) -> float:
        """Its weight in a blend without labels to tell it by."""
        return 1.0

    @property
    def always_in_heat_map(self) -> bool:
        """Whether the heat map shows it even without weight: one head of a scale that has cells."""
        return False
