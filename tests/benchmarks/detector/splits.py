"""Which images a method learns from and which it is tested on."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector import Effort, Example
from tests.benchmarks.detector.sets import ImageSet, Names

MASKS_LEARNT = ("lfvpipe", "supersimplenet")  # the methods that can learn from masks
MAPS, ROBUSTNESS = "maps", "robustness"  # what a run may measure beside the verdicts


class Failed(Exception):
    """A run that has no figures; its text says why."""


@dataclass(frozen=True)
class Split:
    """What is learnt from, and what is tested on."""

    learnt: list[Example]
    tested: list[Example]


def split_of(images: ImageSet, number: int, share: float, limit: int | None) -> Split:
    """Return a split of a set: the one that a file names, or one drawn by its number.

    A drawn one takes `share` of each label to learn from and tests on the rest.

    Args:
        images: The set.
        number: Of the split; also the seed of what is drawn.
        share: Of each label, to learn from.
        limit: The most anomalies to learn from: the first ones of an order drawn by the number, so
            that more are always the same ones and others. The tests stay the same.
    """
    random = np.random.default_rng(number)
    if images.splits:
        if number not in images.splits:
            raise SystemExit(f"The set {images.name} has no split {number}.")
        names = images.splits[number]
        normal = _named(images.normal, names, "normal")
        anomaly = _named(images.anomaly, names, "anomaly")
        order = random.permutation(len(anomaly.learnt))
        anomaly = replace(anomaly, learnt=[anomaly.learnt[i] for i in order])
    else:
        normal, anomaly = (_drawn(each, share, random) for each in (images.normal, images.anomaly))
    return Split([*normal.learnt, *anomaly.learnt[:limit]], [*normal.tested, *anomaly.tested])


def _named(group: Sequence[Example], names: Names, label: str) -> Split:
    by_name = {each.path.name: each for each in group}
    missing = [
        n for part in ("train", "test") for n in names[f"{part}/{label}"] if n not in by_name
    ]
    if missing:
        raise SystemExit(f"A split names {missing[0]}, which is not among the {label} images.")
    learnt, tested = (
        [by_name[n] for n in sorted(names[f"{x}/{label}"])] for x in ("train", "test")
    )
    return Split(learnt, tested)


def _drawn(group: Sequence[Example], share: float, random: np.random.Generator) -> Split:
    order, cut = random.permutation(len(group)), round(share * len(group))
    return Split([group[i] for i in order[:cut]], [group[i] for i in order[cut:]])


@dataclass(frozen=True)
class Run:
    """One method, trained and tested on one split of one set.

    Attributes:
        images: The name of the set, with what is unusual about it.
        generated: Whether that was drawn by a program.
        method: By its name.
        number: Of the split.
        seed: Of the training.
        split: What to learn from and to test on.
        masks: Whether masks are learnt from.
        maps: Whether heat maps are measured.
        robustness: Whether verdicts on disturbed test images are.
        effort: Of the training, where the method is ours.
        disturbed: Kind of disturbance → for each of its variants the disturbed test images, in the
            order of the tests.
    """

    images: str
    generated: bool
    method: str
    number: int
    seed: int
    split: Split
    masks: bool
    maps: bool
    robustness: bool
    effort: Effort = Effort.DEFAULT
    disturbed: dict[str, list[list[str]]] = field(default_factory=dict)

    def learnt(self) -> list[Example]:
        """Return the training examples, without masks unless these are learnt from."""
        if self.masks:
            return self.split.learnt
        return [Example(each.path, each.label) for each in self.split.learnt]

    def truth(self) -> NDArray[np.bool_]:
        """Return which of the tested images are anomalous."""
        return np.array([each.label == "anomaly" for each in self.split.tested])

    def identity(self) -> dict[str, Any]:
        """Return what tells the run from others."""
        labels = [each.label for each in self.split.learnt]
        return {
            "set": self.images,
            "generated": self.generated,
            "method": self.method,
            "split": self.number,
            "seed": self.seed,
            "normals": labels.count("normal"),
            "anomalies": labels.count("anomaly"),
            "masks": self.masks,
        }

    def parts(self) -> list[str]:
        """Return what is measured beside the verdicts."""
        return [*([MAPS] if self.maps else []), *([ROBUSTNESS] if self.robustness else [])]
