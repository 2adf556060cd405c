"""Methods in lfvpipe's own environment: the detector, and the peer that shares its backbone."""

import multiprocessing
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lfvpipe.detector import Settings, train
from tests.benchmarks.detector import maps, pooled
from tests.benchmarks.detector.figures import Judged, image_figures, robustness
from tests.benchmarks.detector.processes import Clock, peak_megabytes
from tests.benchmarks.detector.splits import Failed, Run

METHODS = ("lfvpipe", "pooled")
REPORTED = {"auroc": "auroc", "false_positive_rate": "false_positives"}  # the detector's names


@dataclass(frozen=True)
class Opinion:
    """What a method says of one image; a higher score is more anomalous."""

    score: float
    called: bool
    probability: float
    heat: maps.Heat | None = None
    mask_png: bytes | None = None


@dataclass(frozen=True)
class Trained:
    """A trained method, and what it reports of itself from its training images."""

    judge: Callable[[Path], Opinion]
    reported: Mapping[str, float]


def measure(run: Run) -> dict[str, float]:
    """Return a method's figures on one split, trained and tested in a process of its own.

    Raises:
        Failed: It cannot be trained on these images or judge them, or its process died.
    """
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            return pool.submit(_measure_here, run).result()
    except Exception as error:  # whatever a method raises, the others go on
        raise Failed(f"{type(error).__name__}: {error}") from error


def _measure_here(run: Run) -> dict[str, float]:
    clock = Clock()
    trained = _train_ours(run) if run.method == "lfvpipe" else _train_pooled(run)
    costs = clock.seconds()
    tested, labels = run.split.tested, run.truth()
    trained.judge(tested[0].path)  # the first call makes what later ones reuse
    start = time.process_time()
    opinions = [trained.judge(each.path) for each in tested]
    costs["ms"] = 1000 * (time.process_time() - start) / len(tested)
    costs["peak_mb"] = peak_megabytes()
    judged = _judged(opinions, trained.reported)
    normals = sum(each.label == "normal" for each in run.split.learnt)
    found = image_figures(judged, labels, normals) | costs
    heats = [each.heat for each in opinions if each.heat is not None]
    if run.maps and len(heats) == len(tested):
        found |= maps.map_figures(heats, tested)
    if run.masks:
        found["iou"] = maps.overlap([each.mask_png for each in opinions], tested)
    if run.disturbed:
        under = {
            kind: [_judged([trained.judge(Path(each)) for each in paths], {}) for paths in variants]
            for kind, variants in run.disturbed.items()
        }
        pairs = {kind: [(each.scores, each.called) for each in under[kind]] for kind in under}
        found |= robustness(judged.called, pairs, labels)
    return found


def _judged(opinions: Sequence[Opinion], reported: Mapping[str, float]) -> Judged:
    scores, probabilities = (
        np.array(each, np.float64)
        for each in zip(*((each.score, each.probability) for each in opinions), strict=True)
    )
    return Judged(scores, np.array([each.called for each in opinions]), probabilities, reported)


def _train_ours(run: Run) -> Trained:
    model = train(run.learnt(), Settings(seed=run.seed).with_effort(run.effort))

    def judge(path: Path) -> Opinion:
        found = model.detect(path)
        probability = found.probability
        return Opinion(probability, found.is_anomalous, probability, found.heat_map, found.mask_png)

    known = model.info.scores
    return Trained(judge, {ours: known[name] for name, ours in REPORTED.items() if name in known})


def _train_pooled(run: Run) -> Trained:
    model = pooled.train(run.learnt(), run.seed)

    def judge(path: Path) -> Opinion:
        logit = model.logit(path)
        return Opinion(logit, logit >= model.threshold, model.probability(logit))

    return Trained(judge, model.reported)
