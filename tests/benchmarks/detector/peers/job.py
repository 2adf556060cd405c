"""What a peer's runner is asked and answers: one split in, scores of its test images out, as JSON.

A runner is a module with `train(job) -> Trained`, started as `python -m … JOB.json ANSWER.json` in
the peer's environment. Higher scores are more anomalous. The threshold, and the calibration where a
peer has one, are chosen here on images that the peer kept back. Numbers of the cost are taken here,
alike for every peer: training on all cores, judging one image after another on one thread.
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
from numpy.typing import NDArray

from tests.benchmarks.detector.peers import held_out
from tests.benchmarks.detector.processes import Clock, limit_memory, peak_megabytes

torch: Any = import_module("torch")  # untyped: the types are checked where no peer is installed


@dataclass(frozen=True)
class Photograph:
    """A labelled image to learn from, with its mask where masks are learnt from."""

    path: str
    anomaly: bool
    mask: str | None


@dataclass(frozen=True)
class Job:
    """One split: what to learn from, what to judge, and the most address space, MB.

    Attributes:
        disturbed: Kind of disturbance → for each of its variants, the test images under it.
        maps: The file to write the test images' heat maps to; None where they are not asked for.
    """

    method: str
    seed: int
    memory_mb: int
    train: list[Photograph]
    test: list[str]
    disturbed: dict[str, list[list[str]]]
    maps: str | None

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
        kept_back: The training images that the peer has not seen.
        calibrated: Whether its scores are made probabilities, which takes both labels kept back.
        heat: The heat map of the image at a path, float32 (h, w), where the peer draws one.
    """

    score: Callable[[str], float]
    kept_back: list[Photograph]
    calibrated: bool
    heat: Callable[[str], NDArray[np.float32]] | None = None


def probabilities(scores: Sequence[float], slope: float, offset: float) -> list[float]:
    """Return the calibrated probabilities of scores."""
    odds = slope * np.array(scores) + offset
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
    held = np.array([trained.score(each.path) for each in trained.kept_back])
    labels = np.array([each.anomaly for each in trained.kept_back])
    found: dict[str, Any] = {
        "threshold": held_out.threshold(held, labels),
        "held_scores": held.tolist(),
        "held_labels": labels.tolist(),
    }
    sigmoid = held_out.sigmoid(held, labels) if trained.calibrated else None
    found |= clock.seconds()
    torch.set_num_threads(1)
    trained.score(job.test[0])  # the first call makes what later ones reuse
    start = time.process_time()
    scores = [trained.score(each) for each in job.test]
    found["ms"] = 1000 * (time.process_time() - start) / len(scores)
    found["peak_mb"] = peak_megabytes()
    found["scores"] = scores
    found["probabilities"] = probabilities(scores, *sigmoid) if sigmoid else None
    found["disturbed"] = {
        kind: [[trained.score(each) for each in paths] for paths in variants]
        for kind, variants in job.disturbed.items()
    }
    if job.maps and trained.heat:
        np.savez(job.maps, maps=np.stack([trained.heat(each) for each in job.test]))
    target.write_text(json.dumps(found))
