"""How often a largest escape rate holds on images that nobody learnt from, and what it costs.

    python tests/benchmarks/detector/escapes.py [SET ...] [--seeds 10] [--rates 0.2,0.1,0.05]

For each seed the images are divided anew and a model is trained; the threshold comes from its
out-of-fold scores alone, with 95 % confidence, as `evaluate.decide.max_escape_rate` takes it. The
held-out anomalies then tell whether the rate held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lfvpipe.config.spec import Decide
from lfvpipe.detector import Settings, train
from lfvpipe.report.policies import Choice, Judged, decide
from tests.benchmarks.detector import sets
from tests.benchmarks.detector.splits import Split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.detector import Example
    from tests.benchmarks.detector.sets import ImageSet

SETS = ("aliens", "magnetic_tile", "elpv")
LEARNT = {"normal": 100, "anomaly": 60}  # at most; 60 are what a promise of 5 % takes
LEARNT_SHARE = 0.7  # at most, of the images of a label
NORMALS_TESTED = 100  # at most: they cost time, and tell of false alarms alone


@dataclass(frozen=True)
class Scores:
    """What a model says: of training images out of fold, and of held-out ones by their label."""

    training: list[Judged]
    anomalies: list[float]
    normals: list[float]


def divide(images: ImageSet, seed: int) -> Split:
    """Return images to learn from and the others of the set, drawn by a seed, not by its files."""
    random = np.random.default_rng(seed)
    learnt: list[Example] = []
    tested: list[Example] = []
    for label, group in (("normal", images.normal), ("anomaly", images.anomaly)):
        drawn = [group[i] for i in random.permutation(len(group))]
        count = min(LEARNT[label], int(LEARNT_SHARE * len(drawn)))
        learnt += drawn[:count]
        tested += drawn[count:][: NORMALS_TESTED if label == "normal" else None]
    return Split(learnt, tested)


def scores_of(split: Split) -> Scores:
    """Train on a split, and judge what it holds out."""
    model = train(split.learnt, Settings())
    said = [Judged(each.probability, each.label == "anomaly") for each in model.out_of_fold]
    found = {"normal": [], "anomaly": []}  # type: dict[str, list[float]]
    for each in split.tested:
        found[each.label].append(model.detect(each.path).probability)
    return Scores(said, found["anomaly"], found["normal"])


def choose(rate: float, training: Sequence[Judged]) -> Choice:
    """Return the decision that a largest escape rate comes to."""
    return decide(Decide(max_escape_rate=rate), None, training)


def escapes(threshold: float, anomalies: Sequence[float]) -> float:
    """Return the share of anomalies that a threshold misses."""
    return sum(score < threshold for score in anomalies) / len(anomalies)


def main() -> None:
    """Print a line for each set, seed and rate."""
    parser = sets.parser(__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rates", default="0.2,0.1,0.05")
    asked = parser.parse_args()
    print("set seed rate threshold escapes (own) false-alarms (own) held note")
    for name, images, _ in sets.each(asked, SETS):
        for seed in range(asked.seeds):
            scores = scores_of(divide(images, seed))
            for rate in map(float, asked.rates.split(",")):
                choice = choose(rate, scores.training)
                thresholds = (choice.decision.threshold, 0.5)
                missed, own = (escapes(each, scores.anomalies) for each in thresholds)
                alarms, usual = (1 - escapes(each, scores.normals) for each in thresholds)
                print(
                    f"{name} {seed} {rate:g} {choice.decision.threshold:.3f} {missed:.3f}"
                    f" ({own:.3f}) {alarms:.3f} ({usual:.3f}) {missed <= rate} {choice.note}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
