"""How like the labelled anomalies an image looks, by networks whose last blocks learnt it.

What a frozen network sees is what photographs of things differ by; a hairline crack is little of
that. So the last blocks learn what counts for this product, from turned, moved and lighter views of
each image, and two heads say it: one of each position, whose highest ones make an image anomalous,
one of the image as a whole. Each of several networks learns without one fold of the images: they
judge together, which errs less than any of them (cross-validation committee: Krogh & Vedelsby, NIPS
1994), and what each says of its own fold is what the threshold is chosen by.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lfvpipe.detector import tuning
from lfvpipe.detector.backbone.network import start_session
from lfvpipe.detector.feature_store import as_stored
from lfvpipe.detector.features import CELL_TAPS
from lfvpipe.detector.fine_tuning import Course, Lessons, Look, build_judge, count_of, start_teacher
from lfvpipe.detector.heads.head import (
    FitOptions,
    FittedHead,
    Head,
    HeadScore,
    Parameters,
    TrainingFeatures,
)
from lfvpipe.executor import in_order

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfvpipe.detector.arrays import Doubles, Floats, Integers
    from lfvpipe.detector.features import View

PARTS = 50  # of training, between which it can be cancelled


@dataclass(frozen=True)
class FineTunedHead(Head):
    """A committee of networks; the parameters of each, by name."""

    NAME: ClassVar[str] = "fine_tuned"
    PART: ClassVar[str] = "fine_tuned"
    TAPS: ClassVar[int] = CELL_TAPS
    HEAT_MAP_FLOOR: ClassVar[float] = tuning.HEAT_MAP_EVIDENCE_FLOOR

    members: tuple[Mapping[str, Floats], ...]

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
        tick = options.stage(f"fine-tuning at {features.side} px")
        for part in range(PARTS):
            # Ticks come from this thread, and between parts training can be cancelled.
            advance = [partial(each.advance, -(-each.steps // PARTS)) for each in courses]
            list(in_order(lambda each: each(), advance, options.threads))
            tick(part + 1, PARTS)
        committee = cls(tuple(each.network for each in courses))
        del courses, teacher
        scores = committee.score_out_of_fold(features, folds, turns)
        return [FittedHead(committee, features.of_all_images(scores))]

    def score_out_of_fold(
        self, features: TrainingFeatures, folds: Integers, turns: list[int]
    ) -> Doubles:
        """Return what the network that has not learnt from an image says of it, (images,)."""
        scores = np.zeros(len(folds))
        for session, fold in zip(self._sessions, turns, strict=True):
            for index in np.flatnonzero(folds == fold).tolist():
                look = features.read_look(index, 0)
                scores[index] = _judge(session, look.fine, look.coarse)[0]
        return scores

    def score(self, view: View) -> HeadScore:
        """Return the mean of what the networks say, and where each cell's evidence lies."""
        fine, coarse = (as_stored(each) for each in view.maps[1:CELL_TAPS])
        found = [_judge(session, fine, coarse) for session in self._sessions]
        heat_map: Floats = np.stack([each for _score, each in found]).mean(0)
        return HeadScore(float(np.mean([each for each, _map in found])), heat_map)

    @property
    def always_in_heat_map(self) -> bool:
        """It knows where the evidence lies."""
        return True

    @cached_property
    def _sessions(self) -> list[Any]:
        return [start_session(build_judge(each)) for each in self.members]

    def parameters(self) -> Parameters:
        """Return each network's arrays, by its number."""
        return {
            f"{number}.{name}": values
            for number, member in enumerate(self.members)
            for name, values in member.items()
        }

    @classmethod
    def restore(cls, parameters: Mapping[str, Any]) -> FineTunedHead:
        """Return the head with these."""
        members: dict[int, dict[str, Floats]] = {}
        for name, values in parameters.items():
            number, _, rest = name.partition(".")
            members.setdefault(int(number), {})[rest] = values
        return cls(tuple(members[number] for number in sorted(members)))


def _lessons_without(features: TrainingFeatures, some: Integers) -> Lessons:
    """Return the lessons of `some` images, by their numbers among those that have cells."""
    numbers = some.tolist()

    def read(index: int, view: int) -> Look:
        return features.read_look(numbers[index], view)

    shapes = [features.grids[number] for number in numbers]
    return Lessons(features.cell_labels[some], shapes, features.looks, read)


def _judge(session: Any, fine: Floats, coarse: Floats) -> tuple[float, Floats]:
    """Return a network's logit of an image, and its evidence map (h, w)."""
    inputs = {
        "fine": fine[None],
        "coarse": coarse[None],
        "count": np.array([count_of(fine.shape[1:])], np.int64),
    }
    local, image, evidence = session.run(["local", "global", "evidence"], inputs)
    return float(local[0, 0] + image[0, 0]), evidence[0, 0]
