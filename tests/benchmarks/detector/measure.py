"""How good the detector is: splits of real and generated sets, five seeds, a table and JSON.

    PYTHONPATH=. python tests/benchmarks/detector/measure.py [SET ...] [--seeds 5] [--json FILE]
        [--data FOLDER] [--contrast 1.0] [--normals-only | --anomalies 10] [--train 0.7] [--masks]
        [--methods lfvpipe,pooled]

A SET is `aliens` or `cookies` (archives under --data, default ../shared/data), the name of a class
in textures.py (generated), or a folder: with `normal/`, `anomaly/` (and `masks/`, named alike), in
MVTec AD's layout (`train/good`, `test/<type>`, `ground_truth/<type>`), or in DAGM's (`Train/Label`,
`Test/Label`). Without a SET, all named ones are measured. Every split takes --train of each label
to learn from and tests on the rest; thresholds come from training alone. The peer `pooled`
(peer.py), which needs anomalies, has the same splits. Each run has a process of its own, so that
peak memory is its own; milliseconds are of processor time on one thread, seconds of wall time and
of processor time. With --masks the detector learns from masks too, and `iou` is of the masks that
it draws. For a memory limit, use `ulimit -v`.
"""

import argparse
import io
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector import Example, Model, Settings, train
from lfvpipe.detector.calibration import auroc, f1
from lfvpipe.detector.features import look
from lfvpipe.detector.pictures import open_rgb
from tests.benchmarks.detector import figures, peer, sets, textures

COLUMNS = ("auroc", "ap", "f1", "brier", "pixel_auroc", "aupro", "iou")
COSTS = ("train_s", "train_cpu_s", "ms", "peak_mb")
HEADS = ("deviation", "novelty", "pooled", "evidence")
METHODS = ("lfvpipe", "pooled")


@dataclass(frozen=True)
class Run:
    """One split of one set, for one method."""

    name: str
    method: str
    normal: list[Example]
    anomaly: list[Example]
    seed: int
    share: float
    anomalies: int | None
    masks: bool

    def split(self) -> tuple[list[Example], list[Example]]:
        """Return (training, test) examples; masks are learnt from only where the run says so."""
        random = np.random.default_rng(self.seed)
        learnt, tested = [], []
        for group, limit in ((self.normal, None), (self.anomaly, self.anomalies)):
            order = random.permutation(len(group))
            cut = round(self.share * len(group))
            learnt += [group[i] for i in order[:cut][:limit]]
            tested += [group[i] for i in order[cut:]]
        if self.masks:
            return learnt, tested
        return [Example(each.path, each.label) for each in learnt], tested


def measured(run: Run) -> dict[str, Any]:
    """Train and test on one split; return its figures."""
    learnt, tested = run.split()
    found = _ours(run, learnt, tested) if run.method == "lfvpipe" else _peer(run, learnt, tested)
    return {"set": run.name, "method": run.method, "seed": run.seed, **found}


def _ours(run: Run, learnt: list[Example], tested: list[Example]) -> dict[str, Any]:
    clock = _Clock()
    model = train(learnt, Settings(seed=run.seed))
    costs = clock.trained()
    model.detect(tested[0].path)
    start = time.process_time()
    verdicts = [model.detect(each.path) for each in tested]
    costs["ms"] = 1000 * (time.process_time() - start) / len(tested)
    costs["peak_mb"] = figures.peak_megabytes()
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
    return image_figures(scores, labels) | pixels | costs | by_head(model, tested, labels)


def _peer(run: Run, learnt: list[Example], tested: list[Example]) -> dict[str, Any]:
    clock = _Clock()
    model = peer.train(learnt, run.seed)
    costs = clock.trained()
    start = time.process_time()
    scores = np.array([model.probability(each.path) for each in tested])
    costs["ms"] = 1000 * (time.process_time() - start) / len(tested)
    costs["peak_mb"] = figures.peak_megabytes()
    return image_figures(scores, np.array([each.label == "anomaly" for each in tested])) | costs


class _Clock:
    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def trained(self) -> dict[str, float]:
        return {
            "train_s": time.perf_counter() - self._wall,
            "train_cpu_s": time.process_time() - self._processor,
        }


def image_figures(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> dict[str, float]:
    """Return how well probabilities tell the labels."""
    called = scores >= 0.5
    return {
        "auroc": auroc(scores, labels),
        "ap": figures.average_precision(scores, labels),
        "f1": f1(called, labels),
        "brier": float(np.mean((scores - labels) ** 2)),
        "false_positives": float(called[~labels].mean()),
        "recall": float(called[labels].mean()),
    }


def by_head(model: Model, tested: Sequence[Example], labels: NDArray[np.bool_]) -> dict[str, float]:
    """Return the test AUROC of each head on its own, and its weight in the blend."""
    rows = [model.heads.scores(look(open_rgb(each.path), model.scales)) for each in tested]
    columns = np.array([row for row, _maps in rows]).T[: len(model.heads.blend.weights)]
    areas = {name: auroc(column, labels) for name, column in zip(HEADS, columns, strict=False)}
    weights = zip(HEADS, model.heads.blend.weights.tolist(), strict=False)
    return areas | {f"w_{name}": weight for name, weight in weights}


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return the median and the range over seeds of every figure, a line a set and method."""
    out = io.StringIO()
    columns = [*COLUMNS, "false_positives", "recall", *COSTS]
    out.write(f"| set | method | {' | '.join(columns)} | heads: AUROC (weight) |\n")
    out.write("|---" * (len(columns) + 3) + "|\n")
    for name, method in dict.fromkeys((each["set"], each["method"]) for each in results):
        rows = [each for each in results if (each["set"], each["method"]) == (name, method)]
        cells = [summary([row.get(column) for row in rows]) for column in columns]
        heads = [
            f"{head} {np.median([row[head] for row in rows]):.3f} "
            f"({np.median([row[f'w_{head}'] for row in rows]):.2f})"
            for head in HEADS
            if head in rows[0]
        ]
        out.write(f"| {name} | {method} | {' | '.join(cells)} | {', '.join(heads)} |\n")
    return out.getvalue()


def summary(values: list[float | None]) -> str:
    """Return the median, and the smallest and largest, with as many digits as matter."""
    known = [each for each in values if each is not None]
    if not known:
        return ""
    digits = 3 if max(known) <= 1 else 0
    low, middle, high = (f"{f(known):.{digits}f}" for f in (np.min, np.median, np.max))
    return f"{middle} ({low}-{high})" if len(known) > 1 else middle


def options() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure the detector.")
    parser.add_argument("sets", nargs="*", default=[*sets.REAL, *textures.KINDS])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=sets.DATA)
    parser.add_argument("--contrast", type=float, default=1.0)
    parser.add_argument("--train", type=float, default=0.7)
    parser.add_argument("--masks", action="store_true")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--anomalies", type=int)
    parser.add_argument("--normals-only", action="store_const", const=0, dest="anomalies")
    return parser.parse_args()


def main() -> None:
    """Measure the sets that the command line names."""
    asked = options()
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # for the runs' processes
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in asked.sets:
            found = list(sets.examples(name, asked.data, Path(scratch), asked.contrast))
            normal, anomaly = ([e for e in found if e.label == x] for x in ("normal", "anomaly"))
            for method in asked.methods.split(",") if asked.anomalies != 0 else METHODS[:1]:
                for seed in range(asked.seeds):
                    limits = (asked.train, asked.anomalies, asked.masks)
                    run = Run(name, method, normal, anomaly, seed, *limits)
                    with multiprocessing.get_context("spawn").Pool(1) as pool:
                        results.append(pool.apply(measured, (run,)))
            print(table([each for each in results if each["set"] == name]), flush=True)
    print(table(results))
    if asked.json:
        asked.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
