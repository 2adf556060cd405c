"""How like the labelled anomalies an image looks, by networks whose last blocks learnt it.

What a frozen network sees is what photographs of things differ by; a hairline crack is little of
that. So the last blocks learn what counts for this product, from turned, moved and lighter views of
each image, and two heads say it: one of each position, whose highest ones make an image anomalous,
one of the image as a whole. Each of several networks learns without one fold of the images: they
judge together, which errs less than any of them (cross-validation committee: Krogh & Vedelsby, NIPS
1994), and what each says of its own fold is what the threshold is chosen by. One network's logits
mean more than another's: so each is measured by what it says of the normal images of its own fold.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from math import sqrt
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.backbone.network import start_session
from lfvpipe.detector.checkpoints import pack, unpack
from lfvpipe.detector.feature_store import as_stored
from lfvpipe.detector.features import CELL_TAPS
from lfvpipe.detector.fine_tuning import (
    Course,
    Lessons,
    Look,
    build_judge,
    count_of,
    network_layout,
    start_teacher,
)
from lfvpipe.detector.heads.head import (
    FitOptions,
    FittedHead,
    Head,
    HeadScore,
    Parameters,
    TrainingFeatures,
)
from lfvpipe.detector.layout import check_part
from lfvpipe.executor import in_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfvpipe.detector.arrays import Doubles, Floats, Integers
    from lfvpipe.detector.features import View

PARTS = 50  # of training, between which it can be cancelled
KEPT_AFTER = 10  # parts: of each network, ten megabytes


@dataclass(frozen=True)
class FineTunedHead(Head):
    """A committee of networks.

    Attributes:
        members: The parameters of each network, by name.
        centres: (networks,) what each says of normal images that it has not learnt from.
        spreads: (networks,) what that differs by.
    """

    NAME: ClassVar[str] = "fine_tuned"
    PART: ClassVar[str] = "fine_tuned"
    TAPS: ClassVar[int] = CELL_TAPS
    HEAT_MAP_FLOOR: ClassVar[float] = tuning.HEAT_MAP_EVIDENCE_FLOOR

    members: tuple[Mapping[str, Floats], ...]
    centres: Doubles
    spreads: Doubles

    @classmethod
    def fit(cls, features: TrainingFeatures, options: FitOptions) -> list[FittedHead]:
        """Train a network without each fold, where anomalies are labelled; several at a time."""
        if not options.supervised or not features.looks:
            return []
        folds = features.cell_folds
        turns = np.unique(folds).tolist()
        teacher = start_teacher()
        others = [_lessons_without(features, np.flatnonzero(folds != fold)) for fold in turns]
        courses = [
            Course(teacher, lessons, options.steps, [options.seed, fold])
            for fold, lessons in zip(turns, others, strict=True)
        ]
        _attend(courses, f"fine-tuning at {features.side} px", options)
        members = tuple(each.network for each in courses)
        del courses, teacher
        network = np.searchsorted(turns, folds)  # that has not learnt from an image
        logits = _judge_out_of_fold(members, features, network)
        normal = ~features.cell_labels
        centres, spreads = _standards(logits[normal], network[normal], len(members))
        scores = (logits - centres[network]) / spreads[network]
        head = cls(members, centres, spreads)
        return [FittedHead(head, features.of_all_images(scores))]

    def score(self, view: View) -> HeadScore:
        """Return the mean of what the networks say, and where each cell's evidence lies."""
        fine, coarse = (as_stored(each) for each in view.maps[1:CELL_TAPS])
        found = [_judge(session, fine, coarse) for session in self._sessions]
        heat_map: Floats = np.stack([each for _logit, each in found]).mean(0)
        logits = np.array([each for each, _map in found])
        return HeadScore(float(np.mean((logits - self.centres) / self.spreads)), heat_map)

    @property
    def always_in_heat_map(self) -> bool:
        """It knows where the evidence lies."""
        return True

    @cached_property
    def _sessions(self) -> list[Any]:
        return [start_session(build_judge(each)) for each in self.members]

    def parameters(self) -> Parameters:
        """Return each network's arrays, by its number, and what they are measured by."""
        arrays = {
            f"{number}.{name}": values
            for number, member in enumerate(self.members)
            for name, values in member.items()
        }
        return {**arrays, "centres": self.centres, "spreads": self.spreads}

    @classmethod
    def restore(cls, parameters: Mapping[str, Any]) -> FineTunedHead:
        """Return the head with these."""
        members: dict[str, dict[str, Floats]] = {}
        for name, values in parameters.items():
            number, dot, rest = name.partition(".")
            if dot:
                members.setdefault(number, {})[rest] = values
        ordered = tuple(members[str(number)] for number in range(len(members)))
        layout = network_layout()
        for member in ordered:
            check_part(cls.PART, layout, member)
        standards = {name: values for name, values in parameters.items() if "." not in name}
        count = len(ordered)
        check_part(cls.PART, {"centres": (count,), "spreads": (count,)}, standards)
        return cls(ordered, **standards)


def _attend(courses: Sequence[Course], stage: str, options: FitOptions) -> None:
    """Have every course learn all of its lessons, from where it was before a kill."""
    tick, checkpoints = options.stage(stage), options.checkpoints
    names = [f"{stage}, network {number}" for number in range(len(courses))]
    done = [0] * len(courses)  # parts
    for number, (course, name) in enumerate(zip(courses, names, strict=True)):
        if (data := checkpoints.load(name)) is not None:
            kept = unpack(data)
            course.resume(kept["course"])
            done[number] = kept["parts"]
    # Parts are whole steps: the last parts may have none left.
    last = max(-(-each.steps // -(-each.steps // PARTS)) for each in courses)
    for part in range(min(done), PARTS):
        # Ticks come from this thread, and between parts training can be cancelled.
        behind = [each for each, parts in zip(courses, done, strict=True) if parts <= part]
        advance = [partial(each.advance, -(-each.steps // PARTS)) for each in behind]
        list(in_order(lambda each: each(), advance, options.threads))
        if (part + 1) % KEPT_AFTER == 0:
            for course, name, parts in zip(courses, names, done, strict=True):
                if parts <= part:
                    checkpoints.save(name, partial(_pack, course, part + 1))
        tick(min(part + 1, last), last)


def _pack(course: Course, parts: int) -> bytes:
    """Return a course that so many parts are done of as bytes."""
    return pack({"parts": parts, "course": course.state()})


def _lessons_without(features: TrainingFeatures, some: Integers) -> Lessons:
    """Return the lessons of `some` images, by their numbers among those that have cells."""
    numbers = some.tolist()

    def read(index: int, view: int) -> Look:
        return features.read_look(numbers[index], view)

    shapes = [features.grids[number] for number in numbers]
    return Lessons(features.cell_labels[some], shapes, features.looks, read)


def _judge_out_of_fold(
    members: Sequence[Mapping[str, Floats]], features: TrainingFeatures, network: Integers
) -> Doubles:
    """Return what the network of each image, by its number, says of it: logits (images,)."""
    logits = np.zeros(len(network))
    for number, member in enumerate(members):
        session = start_session(build_judge(member))
        for index in np.flatnonzero(network == number).tolist():
            look = features.read_look(index, 0)
            logits[index] = _judge(session, look.fine, look.coarse)[0]
    return logits


def _standards(logits: Doubles, network: Integers, count: int) -> tuple[Doubles, Doubles]:
    """Return the centre and the spread of normal images' logits (images,) by their network.

    Of few images they are drawn towards those of all, as if as many more had been seen as
    `STANDARD_IMAGES` says.
    """
    own = [logits[network == number] for number in range(count)]
    centre = float(logits.mean())
    apart = np.concatenate([each - each.mean() for each in own if len(each)])
    variance = max(float(np.mean(apart**2)), tuning.STANDARD_LEAST_SPREAD**2)
    more = tuning.STANDARD_IMAGES
    centres = [(each.sum() + more * centre) / (len(each) + more) for each in own]
    squares = [float(np.sum((each - each.mean()) ** 2)) if len(each) else 0.0 for each in own]
    spreads = [
        sqrt((total + more * variance) / (len(each) + more))
        for total, each in zip(squares, own, strict=True)
    ]
    return np.array(centres), np.array(spreads)


def _judge(session: Any, fine: Floats, coarse: Floats) -> tuple[float, Floats]:
    """Return a network's logit of an image, and its evidence map (h, w)."""
    inputs = {
        "fine": fine[None],
        "coarse": coarse[None],
        "count": np.array([count_of(fine.shape[1:])], np.int64),
    }
    local, image, evidence = session.run(["local", "global", "evidence"], inputs)
    return float(local[0, 0] + image[0, 0]), evidence[0, 0]
