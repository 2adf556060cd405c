"""From labelled examples to a model."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from lfvpipe.detector import heads, segmentation
from lfvpipe.detector.calibration import (
    Bools,
    Calibration,
    auroc,
    calibrate,
    calibrate_on_normals,
    calibration_error,
    f1,
)
from lfvpipe.detector.facts import Example, Info, Settings
from lfvpipe.detector.faults import DetectorWarning
from lfvpipe.detector.features import Scales
from lfvpipe.detector.gathering import (
    Cancelled,
    Progress,
    Seen,
    Watch,
    assign_folds,
    gather,
    require_different,
    require_usable,
    sampled,
)
from lfvpipe.detector.heads import Heads, Table
from lfvpipe.detector.logistic import Doubles, Integers
from lfvpipe.detector.masks import known_classes
from lfvpipe.detector.model import Model, backbone_version
from lfvpipe.detector.store import CellStore
from lfvpipe.detector.threads import one_thread

ROWS_AN_IMAGE = 4  # that max_rows allows for
FEW = 5  # labelled anomalies, below which no supervised head can be judged out of fold


@dataclass(frozen=True)
class _Data:
    """The examples and what was seen of them, in an order that only their content decides."""

    examples: tuple[Example, ...]
    seen: tuple[Seen, ...]
    labels: Bools
    folds: Integers


@dataclass(frozen=True)
class _Fit:
    """The heads, their calibration, and the out-of-fold scores and labels it was made from."""

    heads: Heads
    calibration: Calibration
    scores: Doubles
    labels: Bools
    supervised: bool


def train(
    examples: Sequence[Example],
    settings: Settings | None = None,
    *,
    progress: Progress = lambda _stage, _done, _total: None,
    cancelled: Cancelled = lambda: False,
) -> Model:
    """Learn to tell anomalous images from normal ones.

    Args:
        examples: Labelled photographs; two normal at least. Masks make it a segmentation model.
        settings: How to train.
        progress: Told of (stage, done, total) as work is done, from the calling thread.
        cancelled: Asked at the same moments.

    Raises:
        DetectorError: Too few images, or one that cannot be read.
        TrainingCancelled: `cancelled()` turned true.
    """
    settings = settings or Settings()
    require_usable(examples)
    watch = Watch(progress, cancelled)
    watch.tick("features", 0, len(examples))
    classes = known_classes(examples)
    with CellStore() as store, one_thread():
        data, scales = _looked_at(examples, settings, list(classes), store, watch)
        fitted = _fit(data, settings, store, watch)
        segmenter = _segmenter(data, len(classes), settings, store, watch) if classes else None
    return Model(
        info=_info(data, settings, fitted, len(examples), segmentation=segmenter is not None),
        scales=scales,
        calibration=fitted.calibration,
        heads=fitted.heads,
        classes=classes if segmenter else {},
        segmenter=segmenter,
    )


def _looked_at(
    examples: Sequence[Example],
    settings: Settings,
    classes: Sequence[str],
    store: CellStore,
    watch: Watch,
) -> tuple[_Data, Scales]:
    examples = sampled(examples, settings.max_rows // ROWS_AN_IMAGE, watch)
    seen, scales = gather(examples, settings, classes, store, watch)
    order = sorted(range(len(seen)), key=lambda index: seen[index].digest)
    labels = np.array([examples[index].label == "anomaly" for index in order])
    ordered = tuple(seen[index] for index in order)
    digests = [each.digest for each in ordered]
    require_different(digests, labels)
    folds = assign_folds(digests, labels, settings.seed)
    return _Data(tuple(examples[index] for index in order), ordered, labels, folds), scales


def _fit(data: _Data, settings: Settings, store: CellStore, watch: Watch) -> _Fit:
    numbers = [each.stored for each in data.seen if each.stored is not None]
    table = Table(
        coarse=np.concatenate([each.coarse for each in data.seen]),
        fine=np.concatenate([each.fine for each in data.seen]),
        placed=np.stack([each.placed for each in data.seen]),
        labels=data.labels,
        folds=data.folds,
        stored=np.array([each.stored is not None for each in data.seen]),
        grids=[each.grid for each in data.seen if each.stored is not None],
        read=lambda index, view: store.read(numbers[index] + view),
    )
    supervised = _different_anomalies(data) >= FEW
    stage = partial(_stage, watch)
    fitted, scores = heads.fit(table, settings.seed, stage, supervised=supervised)
    labels = data.labels[table.stored]
    if supervised:
        calibration = calibrate(scores, labels, settings.costs)
    else:
        calibration = calibrate_on_normals(scores[~labels])
    return _Fit(fitted, calibration, scores, labels, supervised)


def _different_anomalies(data: _Data) -> int:
    """Count the labelled anomalies, copies once: copies share a fold and teach nothing more."""
    pairs = zip(data.seen, data.labels, strict=True)
    return len({seen.digest for seen, anomalous in pairs if anomalous})


def _segmenter(
    data: _Data, types: int, settings: Settings, store: CellStore, watch: Watch
) -> segmentation.Segmenter | None:
    """Learn from the masks, and from normal images, which are background everywhere."""
    trusted = [
        seen
        for example, seen in zip(data.examples, data.seen, strict=True)
        if seen.stored is not None and (example.mask is not None or example.label == "normal")
    ]
    generator = np.random.default_rng(settings.seed)
    quota = max(16, settings.max_rows // len(trusted))
    parts = []
    for seen in trusted:
        picked, shares = segmentation.sample(seen.classes, quota, generator)
        assert seen.stored is not None
        parts.append((store.read(seen.stored)[picked], seen.classes[picked], shares))
    cells, classes, shares = (np.concatenate(column) for column in zip(*parts, strict=True))
    return segmentation.fit(cells, classes, shares, types, _stage(watch, "segmentation"))


def _stage(watch: Watch, name: str) -> Callable[[int, int], None]:
    return lambda done, total: watch.tick(name, done, total)


def _info(data: _Data, settings: Settings, fitted: _Fit, given: int, *, segmentation: bool) -> Info:
    digests = "\n".join(each.digest for each in data.seen)
    sizes = Counter(each.size for each in data.seen)
    return Info(
        kind="supervised" if fitted.supervised else "novelty",
        segmentation=segmentation,
        counts={"normal": int((~data.labels).sum()), "anomaly": int(data.labels.sum())},
        digest=hashlib.sha256(digests.encode()).hexdigest(),
        image_size=max(sizes, key=lambda size: (sizes[size], size)),
        settings=_recorded(settings),
        versions=_versions(),
        scores=_scores(fitted),
        warnings=tuple(_warnings(data, given)),
    )


def _recorded(settings: Settings) -> dict[str, Any]:
    """Return settings as JSON has them; the thread count changes nothing and is left out."""
    facts = asdict(replace(settings, threads=None))
    costs = settings.costs
    return facts | {"costs": list(costs) if costs else None}


def _versions() -> dict[str, str]:
    import onnxruntime
    import PIL

    return {
        "backbone": backbone_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "pillow": PIL.__version__,
    }


def _scores(fitted: _Fit) -> dict[str, float]:
    probabilities, labels = fitted.calibration.probability(fitted.scores), fitted.labels
    called = probabilities >= 0.5
    result = {"false_positive_rate": float(called[~labels].mean())}
    if labels.any():
        result |= {
            "auroc": auroc(fitted.scores, labels),
            "f1": f1(called, labels),
            "brier": float(np.mean((probabilities - labels) ** 2)),
            "calibration_error": calibration_error(probabilities, labels),
        }
    return result


def _warnings(data: _Data, given: int) -> list[DetectorWarning]:
    anomalies, normals = _different_anomalies(data), int((~data.labels).sum())
    found = []
    if not anomalies:
        text = "no anomaly was labelled: the model flags what looks unusual and may miss defects"
        found.append(DetectorWarning("normals-only", f"{text}. Label some to make it reliable."))
    elif anomalies < FEW:
        text = f"only {anomalies} anomalies were labelled: the model flags what looks unusual"
        found.append(DetectorWarning("few-anomalies", f"{text}. Label {FEW} or more."))
    if normals < 10:
        text = f"only {normals} normal images were given: the threshold is uncertain"
        found.append(DetectorWarning("few-normals", f"{text}. Give 20 or more."))
    if given > len(data.seen):
        text = f"{given} images were given, of which {len(data.seen)} were drawn to learn from"
        found.append(DetectorWarning("sampled", f"{text}. Raise max_rows to learn from more."))
    return found
