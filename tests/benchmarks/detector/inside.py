"""Methods in lfvpipe's own environment: the detector, and the peer that shares its backbone."""

import multiprocessing
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector import Example, Model, Settings, train
from lfvpipe.detector.calibration import auroc
from lfvpipe.detector.images import open_rgb
from tests.benchmarks.detector import figures, pooled
from tests.benchmarks.detector.processes import Clock, peak_megabytes
from tests.benchmarks.detector.splits import Run

METHODS = ("lfvpipe", "pooled")


def measure(run: Run) -> dict[str, Any]:
    """Return a method's figures on one split, trained and tested in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure_here, (run,))


def _measure_here(run: Run) -> dict[str, Any]:
    learnt, tested = run.split()
    found = _ours(run, learnt, tested) if run.method == "lfvpipe" else _peer(run, learnt, tested)
    return run.facts() | found


def _ours(run: Run, learnt: list[Example], tested: list[Example]) -> dict[str, Any]:
    clock = Clock()
    model = train(learnt, Settings(seed=run.seed))
    costs = clock.seconds()
    model.detect(tested[0].path)
    start = time.process_time()
    verdicts = [model.detect(each.path) for each in tested]
    costs["ms"] = 1000 * (time.process_time() - start) / len(tested)
    costs["peak_mb"] = peak_megabytes()
    labels = np.array([each.label == "anomaly" for each in tested])
    scores = np.array([each.probability for each in verdicts])
    pixels: dict[str, float] = {}
    known = [v for v, e in zip(verdicts, tested, strict=True) if e.mask or e.label == "normal"]
    masks = [e.mask for e in tested if e.mask or e.label == "normal"]
    if any(masks):
        heats = [each.heat_map for each in known if each.heat_map is not None]
        pairs = [(h, figures.truth_at(m, h.shape)) for h, m in zip(heats, masks, strict=True)]
        pixels = {"pixel_auroc": figures.pixel_auroc(pairs), "aupro": figures.aupro(pairs)}
    if run.masks:
        pixels["iou"] = figures.overlap(known, masks)
    found = figures.image_figures(scores, labels, scores >= 0.5, scores)
    return found | pixels | costs | by_head(model, tested, labels)


def _peer(run: Run, learnt: list[Example], tested: list[Example]) -> dict[str, Any]:
    clock = Clock()
    model = pooled.train(learnt, run.seed)
    costs = clock.seconds()
    start = time.process_time()
    scores = np.array([model.probability(each.path) for each in tested])
    costs["ms"] = 1000 * (time.process_time() - start) / len(tested)
    costs["peak_mb"] = peak_megabytes()
    labels = np.array([each.label == "anomaly" for each in tested])
    return figures.image_figures(scores, labels, scores >= 0.5, scores) | costs


def by_head(model: Model, tested: Sequence[Example], labels: NDArray[np.bool_]) -> dict[str, float]:
    """Return the test AUROC of each head on its own, and its weight in the blend."""
    ensemble = model.ensemble
    rows = []
    for example in tested:
        views = ensemble.look(open_rgb(example.path))
        found = {
            (head.NAME, scale.side): scored.score
            for scale in ensemble.scales
            for head, scored in scale.scores(views[scale.side])
        }
        rows.append([found[key] for key in ensemble.keys])
    table = np.array(rows)
    areas = {
        f"{name}@{side}": auroc(table[:, at], labels)
        for at, (name, side) in enumerate(ensemble.keys)
    }
    weights = {f"w_{name}@{side}": w for (name, side), w in ensemble.weights.items()}
    return areas | weights
