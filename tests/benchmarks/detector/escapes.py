"""How often a largest escape rate holds on images that nobody learnt from, and what it costs.

    python tests/benchmarks/detector/escapes.py [SET ...] [--splits 0,1,2] [--rates 0.2,0.1,0.05]

For each split a model is trained; the threshold comes from its out-of-fold scores alone, with 95 %
confidence, as `evaluate.decide.max_escape_rate` takes it. The held-out anomalies then tell whether
the rate held; so do ten draws with replacement, of the training images' scores and of the held-out
ones' anew.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.config.spec import Decide
from lfvpipe.detector import Settings, train
from lfvpipe.report.policies import Choice, Judged, decide
from tests.benchmarks.detector import sets
from tests.benchmarks.detector.splits import split_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.detector.splits import Split

SETS = ("aliens", "kolektorsdd", "magnetic_tile")
DRAWS = 10


@dataclass(frozen=True)
class Scores:
    """What a model says: of training images out of fold, and of held-out ones by their label."""

    training: list[Judged]
    anomalies: list[float]
    normals: list[float]


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


def held_when_drawn_anew(rate: float, scores: Scores, chance: random.Random) -> int:
    """Return in how many of `DRAWS` the rate held."""
    held = 0
    for _ in range(DRAWS):
        training = chance.choices(scores.training, k=len(scores.training))
        anomalies = chance.choices(scores.anomalies, k=len(scores.anomalies))
        held += escapes(choose(rate, training).decision.threshold, anomalies) <= rate
    return held


def main() -> None:
    """Print a line for each set, split and rate."""
    parser = sets.parser(__doc__)
    parser.add_argument("--splits", default="0,1,2")
    parser.add_argument("--rates", default="0.2,0.1,0.05")
    asked = parser.parse_args()
    print("set split rate threshold escapes (own) false-alarms (own) held drawn-anew note")
    for name, images, _ in sets.each(asked, SETS):
        for number in map(int, asked.splits.split(",")):
            scores = scores_of(split_of(images, number, 0.7, None))
            for rate in map(float, asked.rates.split(",")):
                choice = choose(rate, scores.training)
                missed, own = (
                    escapes(t, scores.anomalies) for t in (choice.decision.threshold, 0.5)
                )
                alarms, usual = (
                    1 - escapes(t, scores.normals) for t in (choice.decision.threshold, 0.5)
                )
                anew = held_when_drawn_anew(rate, scores, random.Random(number))
                print(
                    f"{name} {number} {rate:g} {choice.decision.threshold:.3f} {missed:.3f}"
                    f" ({own:.3f}) {alarms:.3f} ({usual:.3f}) {missed <= rate} {anew}/{DRAWS}"
                    f" {choice.note}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
