"""From labelled examples to a model."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lfvpipe import __version__
from lfvpipe.detector import model_file, scale_search, segmentation, tuning
from lfvpipe.detector.calibration import (
    Calibration,
    auroc,
    calibrate,
    calibrate_on_normals,
    calibration_error,
    f1,
    typical_deviation,
)
from lfvpipe.detector.checkpoints import NOTHING_KEPT, Checkpoints, digest_of_all
from lfvpipe.detector.ensemble import Ensemble, fit_ensemble
from lfvpipe.detector.facts import Example, Info, OutOfFold, Settings
from lfvpipe.detector.feature_store import FeatureStore
from lfvpipe.detector.heads.padim import PadimHead
from lfvpipe.detector.masks import anomaly_types
from lfvpipe.detector.model import Model, backbone_version
from lfvpipe.detector.model_warnings import warnings
from lfvpipe.detector.sampling import digest_of, require_usable
from lfvpipe.detector.scale_training import ScaleTrainer, TrainingSet
from lfvpipe.detector.threads import blas_on_one_thread
from lfvpipe.detector.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfvpipe.detector.arrays import Bools, Doubles, Integers
    from lfvpipe.detector.protocol import Cancelled, Progress
    from lfvpipe.detector.scale import FittedScale


@dataclass(frozen=True)
class _Fit:
    """The ensemble, its calibration, and what that was made from.

    Attributes:
        scores: Out of fold, of the images that all scales know.
        labels: Of these.
        rows: Their numbers.
    """

    ensemble: Ensemble
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
    checkpoints: Checkpoints = NOTHING_KEPT,
) -> Model:
    """Learn to tell anomalous images from normal ones.

    Args:
        examples: Labelled photographs; two normal at least. Masks make it a segmentation model.
        settings: How to train.
        progress: Told of (stage, done, total) as work is done, from the calling thread.
        cancelled: Asked at the same moments.
        checkpoints: Keeps what stages came to. A training that was killed, called again with the
            same, goes on from the last of them and makes the same model file.

    Raises:
        DetectorError: Too few images, or one that cannot be read.
        TrainingCancelled: `cancelled()` turned true.
    """
    settings = settings or Settings()
    require_usable(examples)
    watch = Watch(progress, cancelled)
    watch.tick("images", 0, len(examples))
    classes = anomaly_types(examples)
    if checkpoints is not NOTHING_KEPT:
        checkpoints.begin(training_digest(examples, settings))
    # One thread for linear algebra, so that the order of its sums, and with it the model file, does
    # not depend on the machine's cores; these work on images side by side.
    with FeatureStore() as store, blas_on_one_thread():
        trainer = ScaleTrainer(settings, tuple(classes), store, watch, checkpoints)
        data = trainer.read(examples)
        fit = _fit(data, trainer)
        segmenter = _fit_segmenter(data, trainer) if classes else None
    return Model(
        info=_info(data, settings, fit, len(examples), segmentation=segmenter is not None),
        calibration=fit.calibration,
        ensemble=fit.ensemble,
        classes=classes if segmenter else {},
        segmenter=segmenter,
        segmented=data.usual,
        out_of_fold=tuple(_out_of_fold(data, fit)) if data.supervised else (),
    )


def _out_of_fold(data: TrainingSet, fit: _Fit) -> Iterator[OutOfFold]:
    moved = fit.calibration.probability(fit.scores).tolist()
    calibrated = fit.calibration.calibrated(fit.scores).tolist()
    for row, *probabilities in zip(fit.rows.tolist(), moved, calibrated, strict=True):
        example = data.examples[row]
        yield OutOfFold(example.path, example.label, *probabilities)


def training_digest(examples: Sequence[Example], settings: Settings | None = None) -> str:
    """Return a digest of all that `train` makes a model of: images, labels, settings, software.

    Two trainings of the same digest make the same model file. What cannot be read is left out.
    """
    settings = settings or Settings()
    digests = []
    for each in examples:
        with suppress(OSError):  # who looks at it says what is wrong
            digests.append(digest_of(each))
    numbers = [each for each in vars(tuning).items() if each[0].isupper()]
    software = (__version__, model_file.VERSION, *_versions().items())
    return digest_of_all(software, numbers, replace(settings, threads=None), digests)


def _versions() -> dict[str, str]:
    import onnxruntime
    import PIL

    return {
        "backbone": backbone_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "pillow": PIL.__version__,
    }


def _fit(data: TrainingSet, trainer: ScaleTrainer) -> _Fit:
    """Fit the scales that pay, and calibrate what they say together."""
    always = data.usual if trainer.classes else None
    if data.supervised:
        tried = _try_scales(data, trainer)
        scales = scale_search.choose_scales(tried, data.labels, always=always)
    else:
        scales = _fit_novelty_scales(data, trainer)
    ensemble, scores = fit_ensemble(scales, data.labels, supervised=data.supervised, always=always)
    # A finer scale has scores of some images only: those are calibrated on.
    rows = np.flatnonzero(np.isfinite(scores))
    scores, labels = scores[rows], data.labels[rows]
    if data.supervised:
        # The rarer label was drawn first, so each image weighs as many as it stands for.
        shares = [
            (data.labels == each).sum() / max(1, (labels == each).sum()) for each in (False, True)
        ]
        weights = np.array(shares, np.float64)[labels.astype(np.int64)]
        calibration = calibrate(scores, labels, weights)
    else:
        calibration = calibrate_on_normals(scores[~labels])
    return _Fit(ensemble, calibration, scores, labels, rows)


def _try_scales(data: TrainingSet, trainer: ScaleTrainer) -> list[FittedScale]:
    """Return what it seemed worth to look at the images by, from coarse to fine.

    That is networks fine-tuned on the first scale; where these leave most unexplained, as with few
    labels, also what is unlike normal images, and networks on finer scales. Out-of-fold likelihood
    is what everything is decided by: see scale_search.
    """
    first, labels = data.looked[0], data.labels
    tried = [trainer.fit(data, first)]
    persistent = trainer.settings.persistent
    others = [each for each in data.sides[:2] if each != first]
    if (
        others
        and len(labels) <= tuning.NOVELTY_MAX_IMAGES
        and (persistent or scale_search.is_novelty_worth_trying(tried, labels))
    ):
        unusual = trainer.look_for_novelty(data, others[-1])
        tried.append(_fit_with_positions(unusual, trainer))
    for side in data.sides[2:]:
        if not scale_search.is_worth_trying(side, tried, labels, persistent=persistent):
            break
        tried.append(trainer.fit(data, side))
    return sorted(tried, key=lambda each: each.side)


def _fit_with_positions(data: TrainingSet, trainer: ScaleTrainer) -> FittedScale:
    """Return the scale that tells what is unusual; with products aligned where that is steadier."""
    usual = trainer.fit(data, data.positioned)
    if not _position_share(usual):
        return usual
    aligned = trainer.fit_aligned(data)
    steadier = aligned is not None and _is_steadier(aligned, usual, ~data.labels)
    return aligned if aligned is not None and steadier else usual


def _fit_novelty_scales(data: TrainingSet, trainer: ScaleTrainer) -> list[FittedScale]:
    """Return the scales that tell what is unusual, without labels to choose them by.

    Where positions explain how images vary, the usual scale knows them, and with the product
    aligned maybe better. A texture, the same everywhere, is looked at from farther away, for what
    is large and faint, and closer, for what is small; the usual scale stays where masks are learnt
    from, since it knows their cells.
    """
    usual = _fit_with_positions(data, trainer)
    if _position_share(usual):
        return [usual]
    # Copies of few anomalies were looked at as if to fine-tune: then there may be no coarser one.
    coarser = [trainer.fit(data, side) for side in data.sides[:2] if side < data.positioned]
    finer = [trainer.fit(data, side) for side in data.sides[2:3]]
    return (
        [*coarser, *finer]
        if coarser and finer and not trainer.classes
        else [*coarser, usual, *finer]
    )


def _is_steadier(aligned: FittedScale, usual: FittedScale, normal: Bools) -> bool:
    """Say whether aligned products vary less at each position, and not more from each other.

    The parts of a product that bends lie elsewhere even then: positions seem to be known exactly,
    and every other image lies far from them.
    """
    if 1 - _position_share(aligned) > tuning.ALIGNED_MOST_UNEXPLAINED * (
        1 - _position_share(usual)
    ):
        return False
    scores = (each.scores[PadimHead.NAME][normal] for each in (aligned, usual))
    spread, usual_spread = (typical_deviation(each[np.isfinite(each)]) for each in scores)
    return spread <= tuning.ALIGNED_MOST_SPREAD * usual_spread


def _position_share(fitted: FittedScale) -> float:
    """Return the share of variance that positions explain on a scale; 0 where it has no PaDiM."""
    heads = (each.head for each in fitted.heads)
    return next((each.explained for each in heads if isinstance(each, PadimHead)), 0.0)


def _fit_segmenter(data: TrainingSet, trainer: ScaleTrainer) -> segmentation.Segmenter:
    """Learn from the masks, and from normal images, which are background everywhere."""
    trusted = [
        features.scales[-1]
        for example, features in zip(data.examples, data.features, strict=True)
        if example.mask is not None or example.label == "normal"
    ]
    generator = np.random.default_rng(trainer.settings.seed)
    stored = [(each.cells, each.classes) for each in trusted if each.cells is not None]
    quota = max(tuning.SEGMENTER_LEAST_CELLS, trainer.settings.max_rows // len(stored))
    parts = []
    for number, known in stored:
        some, shares = segmentation.sample_cells(known, quota, generator)
        parts.append((trainer.store.read(number)[some], known[some], shares))
    cells, classes, shares = (np.concatenate(column) for column in zip(*parts, strict=True))
    tick = trainer.watch.stage("segmentation")
    return segmentation.fit_segmenter(cells, classes, shares, len(trainer.classes), tick)


def _info(
    data: TrainingSet, settings: Settings, fit: _Fit, given: int, *, segmentation: bool
) -> Info:
    digests = "\n".join(each.digest for each in data.features)
    sizes = Counter(each.size for each in data.features)
    # As JSON has them; the thread count changes nothing and is left out.
    recorded = asdict(replace(settings, threads=None))
    recorded |= {"sides": list(settings.sides)}
    # Only what is not by default, so that model files of plain photographs stay what they were.
    pixels = replace(settings.pixels, white_level=None).as_json()  # the level has its own place
    recorded = {k: each for k, each in recorded.items() if k not in ("pixels", "geometry")}
    recorded |= {"pixels": pixels} if pixels else {}
    recorded |= {"geometry": settings.geometry} if settings.geometry else {}
    return Info(
        kind="supervised" if data.supervised else "novelty",
        segmentation=segmentation,
        counts={"normal": int((~data.labels).sum()), "anomaly": int(data.labels.sum())},
        digest=hashlib.sha256(digests.encode()).hexdigest(),
        image_size=max(sizes, key=lambda size: (sizes[size], size)),
        settings=recorded,
        versions=_versions(),
        scores=_figures(fit),
        sides=tuple(each.side for each in fit.ensemble.scales),
        white=data.rules.white_level,
        warnings=tuple(warnings(data, fit.scores, fit.rows, given)),
    )


def _figures(fit: _Fit) -> dict[str, float]:
    """Return how good the model is, out of fold: see `Info.scores`."""
    probabilities, labels = fit.calibration.probability(fit.scores), fit.labels
    called = probabilities >= 0.5
    result = {"false_positive_rate": float(called[~labels].mean())}
    if labels.any():
        result |= {
            "auroc": auroc(fit.scores, labels),
            "f1": f1(called, labels),
            "brier": float(np.mean((probabilities - labels) ** 2)),
            "calibration_error": calibration_error(probabilities, labels),
        }
    return result
