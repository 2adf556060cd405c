"""What a training says of the time that is left, held against how long it took.

    python tests/benchmarks/detector/time_left.py [SET ...] [--data FOLDER]

Each set's split 0 is trained on twice: first where no training is known on the machine, then where
the first one is. The detector's stages are told to the estimate as the training worker does. It
prints what the whole was said to take after a fifth of the time, as a share of what it took, and
how wrong what was said after that was at most.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lfvpipe.detector import Settings, train
from lfvpipe.service.jobs.training.estimate import Estimate
from tests.benchmarks.detector import sets
from tests.benchmarks.detector.splits import split_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.benchmarks.detector.splits import Split

SETS = ("aliens", "cookies", "kolektorsdd")
EARLY = 0.2  # of the time that a training took; what is said before is no promise


def follow(split: Split, kept: Path) -> tuple[float, list[float]]:
    """Train; return the seconds it took, and what the whole was said to take, after a fifth on."""
    learns = sum(each.label == "anomaly" for each in split.learnt) >= 5
    estimate = Estimate(kept, "benchmark", by_defects=learns, tested=0)
    began = time.monotonic()
    said: list[tuple[float, float]] = []

    def tell(stage: str, done: int, total: int) -> None:
        doing = estimate.tell(stage, done, total)
        if doing.left is not None:
            spent = time.monotonic() - began
            said.append((spent, spent + doing.left))

    train(split.learnt, Settings(), progress=tell)
    estimate.finish()
    took = time.monotonic() - began
    return took, [whole / took for spent, whole in said if spent >= EARLY * took]


def main() -> None:
    """Print a line for each training."""
    asked = sets.parser(__doc__).parse_args()
    print("set training images seconds after-a-fifth most-wrong-after-that")
    for name, images, scratch in sets.each(asked, SETS):
        split = split_of(images, 0, 0.7, None)
        for which in ("first", "next"):
            took, said = follow(split, scratch / "took.json")
            wrong = max(abs(each - 1) for each in said)
            count = len(split.learnt)
            print(f"{name} {which} {count} {took:.0f} {said[0]:.2f} {wrong:.0%}", flush=True)


if __name__ == "__main__":
    main()
