"""How good the detector is: splits of real and generated sets, five seeds, a table and JSON.

    PYTHONPATH=. python tests/benchmarks/detector/measure.py [SET ...] [--seeds 5] [--json FILE]
        [--data FOLDER] [--contrast 1.0] [--normals-only | --anomalies 10] [--train 0.7]

A SET is `aliens` or `cookies` (archives under --data, default ../shared/data), the name of a class
in textures.py (generated), or a folder: with `normal/`, `anomaly/` (and `masks/`, named alike),
or in MVTec AD's layout (`train/good`, `test/<type>`, `ground_truth/<type>`). Without a SET,
all named ones are measured. Every split takes --train of each label to learn from and tests on the
rest; thresholds come from training alone. Each run has a process of its own, so that peak memory is
its own; milliseconds are of processor time on one thread. For a memory limit, use `ulimit -v`.
"""

import argparse
import io
import json
import multiprocessing
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lfvpipe.detector import Example, Model, Settings, train
from lfvpipe.detector.calibration import auroc, f1
from lfvpipe.detector.features import look
from lfvpipe.detector.pictures import open_rgb
from tests.benchmarks.detector import textures

REAL = ("aliens", "cookies")
DATA = Path(__file__).parents[4] / "shared" / "data"
ANOMALOUS = {"anomaly": "#FF0000"}
COLUMNS = ("auroc", "ap", "f1", "brier", "pixel_auroc", "train_s", "ms", "peak_mb")
HEADS = ("deviation", "novelty", "pooled", "evidence")


@dataclass(frozen=True)
class Run:
    """One split of one set."""

    name: str
    normal: list[Example]
    anomaly: list[Example]
    seed: int
    share: float
    anomalies: int | None

    def split(self) -> tuple[list[Example], list[Example]]:
        """Return (training, test) examples; masks are for measuring only, not for learning."""
        random = np.random.default_rng(self.seed)
        learnt, tested = [], []
        for group, limit in ((self.normal, None), (self.anomaly, self.anomalies)):
            order = random.permutation(len(group))
            cut = round(self.share * len(group))
            learnt += [group[i] for i in order[:cut][:limit]]
            tested += [group[i] for i in order[cut:]]
        return [Example(each.path, each.label) for each in learnt], tested


def measured(run: Run) -> dict[str, Any]:
    """Train and test on one split; return its figures."""
    learnt, tested = run.split()
    start = time.perf_counter()
    model = train(learnt, Settings(seed=run.seed))
    seconds = time.perf_counter() - start
    model.detect(tested[0].path)
    start = time.process_time()
    verdicts = [model.detect(each.path) for each in tested]
    milliseconds = 1000 * (time.process_time() - start) / len(tested)
    labels = np.array([each.label == "anomaly" for each in tested])
    scores = np.array([each.probability for each in verdicts])
    pairs = [(v.heat_map, e.mask) for v, e in zip(verdicts, tested, strict=True) if e.mask]
    figures = {
        "auroc": auroc(scores, labels),
        "ap": average_precision(scores, labels),
        "f1": f1(scores >= 0.5, labels),
        "brier": float(np.mean((scores - labels) ** 2)),
        "pixel_auroc": pixel_auroc(pairs) if pairs else None,
        "train_s": seconds,
        "ms": milliseconds,
        "peak_mb": peak_megabytes(),
        "false_positives": float((scores >= 0.5)[~labels].mean()),
    }
    return {"set": run.name, "seed": run.seed, **figures, **by_head(model, tested, labels)}


def by_head(model: Model, tested: Sequence[Example], labels: NDArray[np.bool_]) -> dict[str, float]:
    """Return the test AUROC of each head on its own, and its weight in the blend."""
    rows = [model.heads.scores(look(open_rgb(each.path), model.scales)) for each in tested]
    columns = np.array([row for row, _maps in rows]).T[: len(model.heads.blend.weights)]
    areas = {name: auroc(column, labels) for name, column in zip(HEADS, columns, strict=False)}
    weights = zip(HEADS, model.heads.blend.weights.tolist(), strict=False)
    return areas | {f"w_{name}": weight for name, weight in weights}


def average_precision(scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """Return the mean precision at each anomaly's rank; ties are ranked worst first."""
    truth = labels[np.lexsort((labels, -scores))]
    precision = np.cumsum(truth) / np.arange(1, len(truth) + 1)
    return float(precision[truth].mean())


def pixel_auroc(pairs: list[tuple[Any, Path]]) -> float:
    """Return the AUROC of anomalous images' heat maps against their masks, mean over the images."""
    areas = []
    for heat, path in pairs:
        mask = Image.open(path).convert("L").resize(heat.shape[::-1], Image.Resampling.BOX)
        truth = np.asarray(mask) > 10
        if truth.any() and not truth.all():
            areas.append(auroc(heat.ravel().astype(np.float64), truth.ravel()))
    return float(np.mean(areas)) if areas else float("nan")


def peak_megabytes() -> float:
    """Return this process's peak resident memory, MB (NaN where the platform does not tell)."""
    try:
        import resource
    except ImportError:
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def examples(name: str, data: Path, scratch: Path, contrast: float) -> Iterator[Example]:
    """Yield the examples of a named set or a folder."""
    folder = Path(name)
    if name in REAL:
        yield from archived(data / name, scratch)
    elif name in textures.KINDS:
        textures.write(scratch, name, (80, 60), contrast, 0)
        yield from in_folder(scratch / name)
    elif (folder / "train" / "good").is_dir():
        yield from in_mvtec(folder)
    else:
        yield from in_folder(folder)


def archived(folder: Path, scratch: Path) -> Iterator[Example]:
    """Yield the photographs in a set's archives: *_def and files named *anomaly* are bad."""
    for path in sorted(folder.glob("*.zip")):
        if path.stem.endswith("_masks"):
            continue
        with zipfile.ZipFile(path) as archive:
            archive.extractall(scratch / path.stem)
        for image in images(scratch / path.stem):
            bad = path.stem.endswith("_def") or "anomaly" in image.name
            yield Example(image, "anomaly" if bad else "normal")


def in_folder(folder: Path) -> Iterator[Example]:
    """Yield the images of normal/ and anomaly/, with masks/ where there are any."""
    for image in images(folder / "normal"):
        yield Example(image, "normal")
    for image in images(folder / "anomaly"):
        mask = folder / "masks" / f"{image.stem}.png"
        yield Example(image, "anomaly", mask if mask.exists() else None, ANOMALOUS)


def in_mvtec(folder: Path) -> Iterator[Example]:
    """Yield every image of a product in MVTec AD's layout."""
    for image in [*images(folder / "train" / "good"), *images(folder / "test" / "good")]:
        yield Example(image, "normal")
    for kind in sorted(each for each in (folder / "test").iterdir() if each.name != "good"):
        for image in images(kind):
            mask = folder / "ground_truth" / kind.name / f"{image.stem}_mask.png"
            yield Example(image, "anomaly", mask if mask.exists() else None, ANOMALOUS)


def images(folder: Path) -> list[Path]:
    """Return the image files below `folder`, sorted."""
    kinds = {".png", ".jpg", ".jpeg", ".bmp"}
    return sorted(each for each in folder.rglob("*") if each.suffix.lower() in kinds)


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return the median and the range over seeds of every figure, a line a set."""
    out = io.StringIO()
    out.write("| set | " + " | ".join(COLUMNS) + " | heads: AUROC (weight) |\n")
    out.write("|---" * (len(COLUMNS) + 2) + "|\n")
    for name in dict.fromkeys(each["set"] for each in results):
        rows = [each for each in results if each["set"] == name]
        cells = [summary([row[column] for row in rows]) for column in COLUMNS]
        heads = [
            f"{head} {np.median([row[head] for row in rows]):.3f} "
            f"({np.median([row[f'w_{head}'] for row in rows]):.2f})"
            for head in HEADS
            if head in rows[0]
        ]
        out.write(f"| {name} | {' | '.join(cells)} | {', '.join(heads)} |\n")
    return out.getvalue()


def summary(values: list[float | None]) -> str:
    """Return the median, and the smallest and largest, with as many digits as matter."""
    known = [each for each in values if each is not None]
    if not known:
        return ""
    digits = 3 if max(known) <= 1 else 0
    low, middle, high = (f"{f(known):.{digits}f}" for f in (np.min, np.median, np.max))
    return f"{middle} ({low}-{high})" if len(known) > 1 else middle


def main() -> None:
    """Measure the sets that the command line names."""
    parser = argparse.ArgumentParser(description="Measure the detector.")
    parser.add_argument("sets", nargs="*", default=[*REAL, *textures.KINDS])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--contrast", type=float, default=1.0)
    parser.add_argument("--train", type=float, default=0.7)
    parser.add_argument("--anomalies", type=int)
    parser.add_argument("--normals-only", action="store_const", const=0, dest="anomalies")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.sets:
            found = list(examples(name, options.data, Path(scratch), options.contrast))
            normal, anomaly = ([e for e in found if e.label == x] for x in ("normal", "anomaly"))
            for seed in range(options.seeds):
                run = Run(name, normal, anomaly, seed, options.train, options.anomalies)
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    results.append(pool.apply(measured, (run,)))
            print(table([each for each in results if each["set"] == name]), flush=True)
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
