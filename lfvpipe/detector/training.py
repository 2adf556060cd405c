"""From labelled examples to a model."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lfvpipe.detector import search, segmentation
from lfvpipe.detector.calibration import (
    Bools,
    Calibration,
    auroc,
    calibrate,
    calibrate_on_normals,
    calibration_error,
    f1,
    typical_deviation,
)
from lfvpipe.detector.doubts import warnings
from lfvpipe.detector.facts import Example, Info, Settings
from lfvpipe.detector.fitting import Data, Work
from lfvpipe.detector.gathering import Cancelled, Progress, Watch, require_usable
from lfvpipe.detector.heads import Heads, blended
from lfvpipe.detector.logistic import Doubles, Integers
from lfvpipe.detector.masks import known_classes
from lfvpipe.detector.model import Model, backbone_version
from lfvpipe.detector.scale import Fitted
from lfvpipe.detector.store import CellStore
from lfvpipe.detector.threads import one_thread

ALIGNED = 0.7  # what places may leave unexplained of products aligned, against as they lie
SPREAD = 1.25  # how much more normal images may differ in their scores by place then


@dataclass(frozen=True)
class _Fit:
    """The heads, their calibration, and what that was made from.

    Attributes:
        scores: Out of fold, of the images that all scales know.
        labels: Of these.
        rows: Their numbers.
    """

    heads: Heads
    calibration: Calibration
    scores: Doubles
    labels: Bools
    rows: Integers


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
    watch.tick("images", 0, len(examples))
    classes = known_classes(examples)
    with CellStore() as store, one_thread():
        work = Work(settings, tuple(classes), store, watch)
        data = work.looked_at(examples)
        fitted = _fit(data, work)
        segmenter = _segmenter(data, work) if classes else None
    return Model(
        info=_info(data, settings, fitted, len(examples), segmentation=segmenter is not None),
        calibration=fitted.calibration,
        heads=fitted.heads,
        classes=classes if segmenter else {},
        segmenter=segmenter,
        segmented=data.usual,
    )


def _fit(data: Data, work: Work) -> _Fit:
    """Fit the scales that pay, and calibrate what they say together."""
    always = data.usual if work.classes else None
    scales = _chosen(data, work, always) if data.supervised else _for_novelty(data, work)
    heads, scores = blended(scales, data.labels, supervised=data.supervised, always=always)
    rows = np.flatnonzero(np.isfinite(scores))
    scores, labels = scores[rows], data.labels[rows]
    if data.supervised:
        weights = _weights(data.labels, labels)
        calibration = calibrate(scores, labels, weights, work.settings.costs)
    else:
        calibration = calibrate_on_normals(scores[~labels])
    return _Fit(heads, calibration, scores, labels, rows)


def _chosen(data: Data, work: Work, always: int | None) -> list[Fitted]:
    """Return the scales that tell most, as the labels say; that of the side `always` among them."""
    tried = _tried(data, work)
    chosen = search.chosen(tried, data.labels, always=always)
    return search.steadied(chosen, tried, data.usual)


def _tried(data: Data, work: Work) -> list[Fitted]:
    """Return the scales that it seemed worth trying, from coarse to fine."""
    tried, persistent = _usual(data, work), work.settings.persistent
    if _explained(tried[-1]) and search.in_doubt(data.usual, tried, data.labels):
        aligned = work.aligned(data)
        tried = search.better(tried, aligned, data.labels) if aligned else tried
    for side in data.sides[2:]:
        if not search.worth_trying(side, tried, data.labels, persistent=persistent):
            break
        tried.append(work.finer(data, side))
    return tried


def _usual(data: Data, work: Work) -> list[Fitted]:
    """Return the usual scales: the coarse one does for what is large.

    Where that leaves less unexplained than the next one costs, the next cannot pay, and is needed
    only where masks are learnt from.
    """
    coarsest, *further = data.sides[:2]
    found = [work.usual(data, coarsest)]
    needed = work.classes or search.in_doubt(data.usual, found, data.labels)
    return [*found, *(work.usual(data, side) for side in further if needed)]


def _for_novelty(data: Data, work: Work) -> list[Fitted]:
    """Return the scales that tell what is unusual, without labels to choose them by.

    Where places explain how images vary, the usual scale knows them, and with the product aligned
    maybe better. A texture, the same everywhere, is looked at from farther away, for what is large
    and faint, and closer, for what is small; the usual scale stays where masks are learnt from,
    since it knows their positions.
    """
    usual = work.usual(data, data.usual)
    if _explained(usual):
        aligned = work.aligned(data)
        pays = aligned is not None and _steadier(aligned, usual, ~data.labels)
        return [aligned if aligned is not None and pays else usual]
    coarser = [work.usual(data, side) for side in data.sides[:2] if side < data.usual]
    finer = [work.finer(data, side) for side in data.sides[2:3]]
    return [*coarser, *finer] if finer and not work.classes else [*coarser, usual, *finer]


def _steadier(aligned: Fitted, usual: Fitted, normal: Bools) -> bool:
    """Say whether aligned products differ less from place to place, and not more from each other.

    The parts of a product that bends lie elsewhere even then: places seem to be known exactly, and
    every other image lies far from them.
    """
    if 1 - _explained(aligned) > ALIGNED * (1 - _explained(usual)):
        return False
    scores = (each.scores["place"][normal] for each in (aligned, usual))
    after, before = (typical_deviation(each[np.isfinite(each)]) for each in scores)
    return after <= SPREAD * before


def _explained(fitted: Fitted) -> float:
    """Return the share of variance that places explain on a scale."""
    return fitted.scale.place.explained if fitted.scale.place is not None else 0.0


def _weights(everyone: Bools, labels: Bools) -> Doubles:
    """Return how many of all images each of those with these `labels` stands for."""
    shares = [(everyone == each).sum() / max(1, (labels == each).sum()) for each in (False, True)]
    return np.array(shares, np.float64)[labels.astype(np.int64)]


def _segmenter(data: Data, work: Work) -> segmentation.Segmenter:
    """Learn from the masks, and from normal images, which are background everywhere."""
    trusted = [
        seen.scales[-1]
        for example, seen in zip(data.examples, data.seen, strict=True)
        if example.mask is not None or example.label == "normal"
    ]
    generator = np.random.default_rng(work.settings.seed)
    stored = [(each.stored, each.classes) for each in trusted if each.stored is not None]
    quota = max(16, work.settings.max_rows // len(stored))
    parts = []
    for number, known in stored:
        picked, shares = segmentation.sample(known, quota, generator)
        parts.append((work.store.read(number)[picked], known[picked], shares))
    cells, classes, shares = (np.concatenate(column) for column in zip(*parts, strict=True))
    return segmentation.fit(cells, classes, shares, len(work.classes), work.stage("segmentation"))


def _info(data: Data, settings: Settings, fitted: _Fit, given: int, *, segmentation: bool) -> Info:
    digests = "\n".join(each.digest for each in data.seen)
    sizes = Counter(each.size for each in data.seen)
    return Info(
        kind="supervised" if data.supervised else "novelty",
        segmentation=segmentation,
        counts={"normal": int((~data.labels).sum()), "anomaly": int(data.labels.sum())},
        digest=hashlib.sha256(digests.encode()).hexdigest(),
        image_size=max(sizes, key=lambda size: (sizes[size], size)),
        settings=_recorded(settings),
        versions=_versions(),
        scores=_scores(fitted),
        sides=tuple(each.side for each in fitted.heads.scales),
        white=data.white,
        warnings=tuple(warnings(data, fitted.scores, fitted.rows, given)),
    )


def _recorded(settings: Settings) -> dict[str, Any]:
    """Return settings as JSON has them; the thread count changes nothing and is left out."""
    facts = asdict(replace(settings, threads=None))
    costs = settings.costs
    return facts | {"costs": list(costs) if costs else None, "sides": list(settings.sides)}


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
