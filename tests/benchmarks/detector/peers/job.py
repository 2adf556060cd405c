"""What a peer's runner is asked and answers: one split in, scores of its test images out, as JSON.

A runner is a module with `train(job) -> Trained`, started as `python -m … JOB.json ANSWER.json` in
the peer's environment. Higher scores are more anomalous. Numbers of the cost are taken here, alike
for every peer: training on all cores, judging one image after another on one thread.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.detector.processes import Clock, limit_memory, peak_megabytes

torch: Any = import_module("torch")  # untyped: the types are checked where no peer is installed


@dataclass(frozen=True)
class Photograph:
    """A labelled image to learn from."""

    path: str
    anomaly: bool


@dataclass(frozen=True)
class Job:
    """One split: what to learn from, what to judge, and the most address space, MB."""

    method: str
    seed: int
    memory_mb: int
    train: list[Photograph]
    test: list[str]

    def held_out(self, labels: Sequence[bool]) -> tuple[list[Photograph], list[Photograph]]:
        """Return the images of these labels in two parts: four fifths, and the held-out fifth.

        Each label is split on its own and leaves at least one image on either side.
        """
        random, kept, held = (
            np.random.default_rng(self.seed),
            list[Photograph](),
            list[Photograph](),
        )
        for label in labels:
            group = [each for each in self.train if each.anomaly == label]
            if len(group) < 2:
                sys.exit(f"it needs two {'anomalous' if label else 'normal'} images to learn from")
            order = random.permutation(len(group))
            cut = max(1, round(len(group) / 5))
            held += [group[i] for i in order[:cut]]
            kept += [group[i] for i in order[cut:]]
        return kept, held


@dataclass(frozen=True)
class Trained:
    """A trained peer.

    Attributes:
        score: Of the image at a path; any real number.
        threshold: The score from which on an image is called anomalous.
        sigmoid: Slope and offset of the log-odds in the score, where the peer gives probabilities.
    """

    score: Callable[[str], float]
    threshold: float
    sigmoid: tuple[float, float] | None = None

    def probabilities(self, scores: Sequence[float]) -> list[float] | None:
        """Return the calibrated probabilities of scores, where there are any."""
        if self.sigmoid is None:
            return None
        odds = self.sigmoid[0] * np.array(scores) + self.sigmoid[1]
        return [float(each) for each in 1 / (1 + np.exp(-np.clip(odds, -50, 50)))]


def answer(train: Callable[[Job], Trained]) -> None:
    """Do the job that the command line names and write the answer where it says."""
    source, target = (Path(each) for each in sys.argv[1:3])
    asked = json.loads(source.read_text())
    job = Job(**asked | {"train": [Photograph(**each) for each in asked["train"]]})
    limit_memory(job.memory_mb)
    torch.manual_seed(job.seed)
    clock = Clock()
    trained = train(job)
    costs = clock.seconds()
    torch.set_num_threads(1)
    trained.score(job.test[0])  # the first call makes what later ones reuse
    start = time.process_time()
    scores = [trained.score(each) for each in job.test]
    costs["ms"] = 1000 * (time.process_time() - start) / len(scores)
    costs["peak_mb"] = peak_megabytes()
    judged = {"scores": scores, "probabilities": trained.probabilities(scores)}
    target.write_text(json.dumps(judged | {"threshold": trained.threshold} | costs))
