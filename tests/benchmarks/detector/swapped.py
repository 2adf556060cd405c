"""How many swapped labels of training images are among the first that `review` shows.

    python tests/benchmarks/detector/swapped.py [SET ...] [--seeds 0,1,2] [--swapped 0.05]

The labels of a share of a split's training images, both ways, are swapped at random. A training
then judges each image by models that had not learnt from it, and the images are ordered by how
much that contradicts their label, as `lfvpipe review --of training` orders them.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING

from lfvpipe.detector import Settings, train
from lfvpipe.report.records import Verdict
from lfvpipe.report.suspects import by_contradiction, contradicted
from tests.benchmarks.detector import sets
from tests.benchmarks.detector.splits import split_of

if TYPE_CHECKING:
    from lfvpipe.config.spec import Label

SETS = ("cookies", "elpv")
FIRST = 0.1  # of the images, which are looked at
_OTHER: dict[Label, Label] = {"normal": "anomaly", "anomaly": "normal"}


def main() -> None:
    """Print a line for each set and seed."""
    parser = sets.parser(__doc__)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--swapped", type=float, default=0.05)
    asked = parser.parse_args()
    print("set seed images swapped among-the-first named named-that-were-swapped")
    for name, images, _ in sets.each(asked, SETS):
        for seed in map(int, asked.seeds.split(",")):
            split = split_of(images, seed, 0.7, None)
            learnt = [replace(each, mask=None) for each in split.learnt]
            count = round(asked.swapped * len(learnt))
            wrong = {*random.Random(seed).sample(range(len(learnt)), count)}
            for place in wrong:
                learnt[place] = replace(learnt[place], label=_OTHER[learnt[place].label])
            swapped = {str(learnt[place].path) for place in wrong}
            verdicts = [
                Verdict(
                    str(each.path),
                    str(each.path),
                    each.label,
                    each.probability >= 0.5,
                    max(each.probability, 1 - each.probability),
                )
                for each in train(learnt, Settings()).out_of_fold
            ]
            first = by_contradiction(verdicts)[: round(FIRST * len(verdicts))]
            named = {each.id for each in contradicted(verdicts) or ()}
            found = sum(each.id in swapped for each in first)
            print(
                f"{name} {seed} {len(learnt)} {count} {found} {len(named)} {len(named & swapped)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
