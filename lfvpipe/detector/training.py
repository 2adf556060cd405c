"""From labelled examples to a model."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lfvpipe.detector import logistic, novelty, segmentation
from lfvpipe.detector.calibration import Bools, Calibration, auroc, calibrate, f1
from lfvpipe.detector.facts import Example, Info, Settings
from lfvpipe.detector.faults import DetectorWarning
from lfvpipe.detector.features import look, positions
from lfvpipe.detector.gathering import (
    Cancelled,
    Progress,
    Seen,
    Watch,
    assign_folds,
    gather,
    in_order,
    require_usable,
    thread_count,
)
from lfvpipe.detector.logistic import Doubles, Integers, Linear
from lfvpipe.detector.masks import known_classes
from lfvpipe.detector.model import Model, backbone_version
from lfvpipe.detector.network import network
from lfvpipe.detector.novelty import Bank
from lfvpipe.detector.pictures import open_rgb

FEW = 5  # labelled anomalies, below which no supervised head can be judged out of fold


@dataclass(frozen=True)
class _Data:
    """The examples and what was seen of them, in an order that only their content decides."""

    examples: tuple[Example, ...]
    seen: tuple[Seen, ...]
    labels: Bools
    folds: Integers


@dataclass(frozen=True)
class _Head:
    """A way to score images, with the scores it gave to training images that it had not seen."""

    kind: str
    pooled: Linear | None
    bank: Bank | None
    calibration: Calibration
    scores: Doubles


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
    data = _looked_at(examples, settings, list(classes), watch)
    head = _head(data, settings, watch)
    segmenter = _segmenter(data, len(classes), watch) if classes else None
    return Model(
        info=_info(data, settings, head, segmentation=segmenter is not None),
        scales=settings.scales,
        calibration=head.calibration,
        pooled=head.pooled,
        bank=head.bank,
        classes=classes if segmenter else {},
        segmenter=segmenter,
    )


def _looked_at(
    examples: Sequence[Example], settings: Settings, classes: Sequence[str], watch: Watch
) -> _Data:
    seen = gather(examples, settings, classes, watch)
    order = sorted(range(len(seen)), key=lambda index: seen[index].digest)
    labels = np.array([examples[index].label == "anomaly" for index in order])
    ordered = tuple(seen[index] for index in order)
    folds = assign_folds([each.digest for each in ordered], labels, settings.seed)
    return _Data(tuple(examples[index] for index in order), ordered, labels, folds)


def _head(data: _Data, settings: Settings, watch: Watch) -> _Head:
    if data.labels.sum() >= FEW:
        return _supervised(data, settings, watch)
    return _novelty(data, settings, watch)


def _supervised(data: _Data, settings: Settings, watch: Watch) -> _Head:
    """Logistic regression on pooled taps; the two labels weigh the same, as do an image's views."""
    views = len(data.seen[0].rows)
    rows = np.concatenate([each.rows for each in data.seen])
    labels, folds = np.repeat(data.labels, views), np.repeat(data.folds, views)
    share = np.where(labels, labels.mean(), 1 - labels.mean())
    fitted = logistic.fit(rows, labels, folds, 0.5 / share / views, _stage(watch, "classifier"))
    scores = fitted.out_of_fold[::views]
    calibration = calibrate(scores, data.labels, settings.costs)
    return _Head("supervised", fitted.linear, None, calibration, scores)


def _novelty(data: _Data, settings: Settings, watch: Watch) -> _Head:
    """Distance to the local features of normal images, each scored without its own fold's."""
    normal = np.flatnonzero(~data.labels)
    cells = np.concatenate([data.seen[index].cells for index in normal])
    lengths = [len(data.seen[index].cells) for index in normal]
    bank = novelty.build(cells, np.repeat(data.folds[normal], lengths), settings.seed)

    def one(index: int) -> float:
        image = open_rgb(data.examples[index].path)
        descriptors = positions(look(network(), image, settings.scales[-1:]).taps[-1])
        flat = descriptors.reshape(-1, descriptors.shape[-1])
        left_out = -1 if data.labels[index] else int(data.folds[index])
        return novelty.score(bank.distances(flat, left_out))

    scores = np.zeros(len(data.labels))
    numbered = enumerate(in_order(one, range(len(scores)), thread_count(settings)))
    for index, score in numbered:
        scores[index] = score
        watch.tick("novelty", index + 1, len(scores))
    threshold, spread = novelty.quantile_of_normals(scores[normal])
    slope = 1.5 / spread
    return _Head("novelty", None, bank, Calibration(slope, -slope * threshold, 0.5), scores)


def _segmenter(data: _Data, types: int, watch: Watch) -> segmentation.Segmenter:
    trusted = [
        seen
        for example, seen in zip(data.examples, data.seen, strict=True)
        if example.mask is not None or example.label == "normal"
    ]
    return segmentation.fit(
        np.concatenate([each.cells for each in trusted]),
        np.concatenate([each.classes for each in trusted]),
        np.concatenate([each.shares for each in trusted]),
        types,
        _stage(watch, "segmentation"),
    )


def _stage(watch: Watch, name: str) -> Callable[[int, int], None]:
    return lambda done, total: watch.tick(name, done, total)


def _info(data: _Data, settings: Settings, head: _Head, *, segmentation: bool) -> Info:
    digests = "\n".join(each.digest for each in data.seen)
    sizes = Counter(each.size for each in data.seen)
    return Info(
        kind=head.kind,
        segmentation=segmentation,
        counts={"normal": int((~data.labels).sum()), "anomaly": int(data.labels.sum())},
        digest=hashlib.sha256(digests.encode()).hexdigest(),
        image_size=max(sizes, key=lambda size: (sizes[size], size)),
        settings=_recorded(settings),
        versions=_versions(),
        scores=_scores(data, head),
        warnings=tuple(_warnings(data)),
    )


def _recorded(settings: Settings) -> dict[str, Any]:
    """Return settings as JSON has them; the thread count changes nothing and is left out."""
    facts = asdict(replace(settings, threads=None))
    costs = settings.costs
    return facts | {"scales": list(settings.scales), "costs": list(costs) if costs else None}


def _versions() -> dict[str, str]:
    import onnxruntime
    import PIL

    return {
        "backbone": backbone_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "pillow": PIL.__version__,
    }


def _scores(data: _Data, head: _Head) -> dict[str, float]:
    called = head.calibration.probability(head.scores) >= 0.5
    result = {"false_positive_rate": float(called[~data.labels].mean())}
    if data.labels.any():
        result |= {"auroc": auroc(head.scores, data.labels), "f1": f1(called, data.labels)}
    return result


def _warnings(data: _Data) -> list[DetectorWarning]:
    anomalies, normals = int(data.labels.sum()), int((~data.labels).sum())
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
    return found
