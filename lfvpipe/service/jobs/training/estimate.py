"""How much of a training is done, and how long it will take: one estimate of the whole.

A detector tells of its stages, of which some take seconds and one takes minutes. What each took in
the last training of this kind on this machine, or else on that which `_USUAL` was measured on, says
what is still to come; how fast this training has been so far says how much slower or faster that
will be. What the present stage still takes, its own pace says, the more the longer it has one.
"""

import json
import re
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lfvpipe import atomic

# What begins so is such a stage, and is doing this, in words for people.
STAGES: Final[tuple[tuple[str, str, str], ...]] = (
    ("getting images", "get", "gets the images"),
    ("reading masks", "masks", "reads the masks"),
    ("checking images", "check", "checks the images"),
    ("images", "look", "looks at the images"),
    ("drawing images", "look", "looks at the images"),
    ("features", "look", "looks at the images"),
    ("drawn defects", "draw", "compares the images"),
    ("memory bank", "compare", "compares the images"),
    ("local evidence", "local", "compares the images"),
    ("places", "places", "compares the images"),
    ("fine-tuning", "learn", "learns the defects"),
    ("segmentation", "areas", "learns the masks"),
    ("testing", "test", "tests the model"),
)
# Stages in their order and what they share of a training of 40 to 140 photographs, 2026-11-28, by
# whether it learns from defects. Testing is as long as there are images to test on.
_USUAL: Final[Mapping[bool, Sequence[tuple[str, float]]]] = {
    True: (
        *(("look", 14.0), ("draw", 1.7), ("compare", 0.3), ("local", 3.0), ("places", 0.6)),
        *(("learn", 79.0), ("areas", 0.5)),
    ),
    False: (
        *(("look", 20.0), ("draw", 8.0), ("compare", 0.7), ("local", 15.0), ("places", 11.0)),
        *(("look", 17.0), ("draw", 11.0), ("compare", 0.3), ("local", 7.0), ("places", 8.0)),
    ),
}
_TEST = 0.35  # times what to look at as many images takes
_WINDOW = 120.0  # seconds whose pace counts: what else the machine does comes and goes
_SURE = 1.0  # seconds of a stage after which it has a pace
_SIDE = re.compile(r" at ([0-9]+) px")


@dataclass(frozen=True)
class Doing:
    """What a training is doing, for people.

    Attributes:
        share: Of the whole that is done, 0 to 1; None where nobody knows.
        left: Seconds; None where nobody knows.
    """

    words: str
    share: float | None
    left: float | None


@dataclass
class _Stage:
    """A stage that has begun: when, and its steps of late as (when, how many were done)."""

    kind: str
    side: int
    began: float
    steps: deque[tuple[float, int]] = field(default_factory=deque)

    def left(self, done: int, total: int, now: float) -> float | None:
        """Return the seconds that it still takes by its own pace, where it has one."""
        self.steps.append((now, done))
        while self.steps[0][0] < now - _WINDOW and len(self.steps) > 2:
            self.steps.popleft()
        began, first = self.steps[0]
        if now - began < _SURE or done <= first or total < 2:
            return None
        return (now - began) / (done - first) * max(0, total - done)


class Estimate:
    """Follows one training.

    Args:
        file: Keeps what the stages of the last training took, by `kind`; may be missing or damaged.
        kind: Trainings of one kind take their time alike.
        by_defects: Whether there are defects enough to learn from.
        tested: How many images are tested for each that is learnt from.
        clock: Returns seconds that only grow.
    """

    def __init__(
        self,
        file: Path,
        kind: str,
        *,
        by_defects: bool,
        tested: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file, self._kind, self._clock = file, kind, clock
        known = _read(file).get(kind)
        usual = _USUAL[by_defects]
        self._is_known = known is not None
        self._plan = known or [*usual, ("test", _TEST * tested * usual[0][1])]
        self._at = -1  # the present stage's place in the plan
        self._took: list[tuple[str, float]] = []
        self._meant: list[float] = []  # what the plan said of each of these
        self._stage: _Stage | None = None
        self._began = clock()
        self._share = 0.0

    def tell(self, stage: str, done: int, total: int) -> Doing:
        """Be told of a stage's progress; return what is to be said of the whole."""
        kind, words = _kind_of(stage)
        now, found = self._clock(), _SIDE.search(stage)
        if self._stage is None or self._stage.kind != kind or done < self._stage.steps[-1][1]:
            self._begin(_Stage(kind, int(found[1]) if found else 0, now))
        here = self._left_here(done, total, now)
        if here is None:
            return Doing(words, self._share or None, None)
        left = here + self._pace(now, here) * sum(meant for _, meant in self._plan[self._at + 1 :])
        spent = now - self._began
        if spent + left:
            self._share = max(self._share, min(0.99, spent / (spent + left)))
        return Doing(words, self._share, left)

    def finish(self) -> None:
        """Keep what the stages took, for the next training."""
        self._end(self._clock())
        known = {**_read(self._file), self._kind: self._took}
        with suppress(OSError):  # it only costs the next estimate its ground
            atomic.write_text(self._file, json.dumps(known))

    def _begin(self, stage: _Stage) -> None:
        """Go on to a stage of the plan; one that it does not have is put into it."""
        before = self._stage
        self._end(stage.began)
        self._stage = stage
        ahead = (n for n in range(self._at + 1, len(self._plan)) if self._plan[n][0] == stage.kind)
        place = next(ahead, None)
        if place is None:
            place = self._at + 1
            new = self._another_round(stage) if before else []
            self._plan = [*self._plan[:place], *(new or [(stage.kind, 0.0)]), *self._plan[place:]]
        self._at = place

    def _another_round(self, stage: _Stage) -> Sequence[tuple[str, float]]:
        """Return what is to come where images are looked at once more, as on another scale."""
        kinds = [kind for kind, _ in self._took]
        if stage.kind not in kinds or stage.kind != "look":
            return []
        last = len(kinds) - 1 - kinds[::-1].index("look")
        return list(zip(kinds[last:], self._meant[last:], strict=True))

    def _end(self, now: float) -> None:
        if self._stage is not None:
            self._took.append((self._stage.kind, now - self._stage.began))
            self._meant.append(self._plan[self._at][1])

    def _left_here(self, done: int, total: int, now: float) -> float | None:
        """Return the seconds that the present stage still takes; None where nobody knows."""
        stage, meant = self._stage, self._plan[self._at][1]
        if stage is None:
            return None
        by_pace = stage.left(done, total, now)
        if not (self._is_known or sum(took for _, took in self._took) > _SURE) or not meant:
            return by_pace
        by_plan = max(0.0, self._pace(now, None) * meant - (now - stage.began))
        # The more of it is done, the more its own pace is to be trusted.
        trust = (done / total) ** 0.5 if total else 0.0
        return by_plan if by_pace is None else trust * by_pace + (1 - trust) * by_plan

    def _pace(self, now: float, here: float | None) -> float:
        """Return the seconds for each that was meant, by what has been; with `here` by what is."""
        known = [(took, meant) for (_, took), meant in zip(self._took, self._meant, strict=True)]
        if here is not None and self._stage is not None:
            known.append((now - self._stage.began + here, self._plan[self._at][1]))
        known = [(took, meant) for took, meant in known if meant]
        spent, expected = (sum(each) for each in zip(*known, strict=True)) if known else (0, 0)
        return spent / expected if spent and expected else 1.0


def words_of(stage: str) -> str:
    """Return what a training does in a stage, in words for people."""
    return _kind_of(stage)[1]


def _kind_of(stage: str) -> tuple[str, str]:
    """Return a stage's kind, and what it is doing; of a detector unknown here, as that calls it."""
    name = stage.lower()
    for begin, kind, words in STAGES:
        if name.startswith(begin):
            return kind, words
    return name, name


def _read(file: Path) -> dict[str, list[tuple[str, float]]]:
    try:
        found = json.loads(file.read_bytes())
        return {
            str(kind): [(str(stage), max(0.0, float(took))) for stage, took in stages]
            for kind, stages in found.items()
        }
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
