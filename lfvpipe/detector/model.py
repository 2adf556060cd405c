"""A trained model: saved, loaded, and asked about images."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lfvpipe.detector import heads, model_file
from lfvpipe.detector.alignment import Alignment
from lfvpipe.detector.backbone import checkpoint
from lfvpipe.detector.blending import Blend
from lfvpipe.detector.ensemble import Ensemble, ScoreKey, prune
from lfvpipe.detector.errors import DetectorError
from lfvpipe.detector.facts import Anomaly, Info, OutOfFold, Verdict
from lfvpipe.detector.features import CELL_CHANNELS
from lfvpipe.detector.images import naming, open_rgb, upright_size_of
from lfvpipe.detector.layout import Layout, check_part
from lfvpipe.detector.likeness import Likeness
from lfvpipe.detector.masks import areas, mask_png
from lfvpipe.detector.model_facts import read_facts
from lfvpipe.detector.scale import Scale
from lfvpipe.detector.segmentation import Segmenter, classify
from lfvpipe.detector.threads import blas_on_one_thread

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

    from lfvpipe.detector.calibration import Calibration
    from lfvpipe.detector.heads.head import Parameters

ALIGNMENT = "alignment"  # the part of a model file that holds a scale's
LIKENESS = "likeness"  # likewise


@dataclass(frozen=True)
class Model:
    """What training found out: the ensemble, its calibration, and maybe a segmenter.

    Attributes:
        info: What it was trained on.
        calibration: From scores to probabilities.
        ensemble: From what the backbone sees to a score.
        classes: Anomaly type → colour, for segmentation.
        segmenter: Types by cell.
        segmented: The side, px, of the scale whose cells it knows.
        out_of_fold: Of the training images that were judged by models which had not learnt from
            them, where these are supervised; only training itself knows it, a file does not.
    """

    info: Info
    calibration: Calibration
    ensemble: Ensemble
    classes: Mapping[str, str]
    segmenter: Segmenter | None
    segmented: int
    out_of_fold: tuple[OutOfFold, ...] = ()

    def detect(self, image: Image.Image | Path | str | bytes) -> Verdict:
        """Return the verdict on one image: decoded, a path, or a file's bytes.

        Raises:
            DetectorError: It cannot be read as an image.
        """
        with blas_on_one_thread():
            return self._detect(self.view(image))

    def view(self, image: Image.Image | Path | str | bytes) -> Image.Image:
        """Return an image as the model sees it, RGB: the part of it that counts, upright.

        Raises:
            DetectorError: It cannot be read, or has another size than the images that the model
                knows, so that nobody can say which part of it counts.
        """
        rgb, geometry = open_rgb(image, self.info.pixels), self.info.geometry
        if geometry.is_plain:
            return rgb
        with naming(image):
            return geometry.prepare(rgb, self.info.image_size)

    def tell_apart(self, image: Path | bytes) -> str:
        """Return how an image is unlike those that were learnt from; "" where it is not.

        Raises:
            DetectorError: It cannot be read.
        """
        return self.info.geometry.tell_apart(upright_size_of(image), self.info.image_size)

    def _detect(self, image: Image.Image) -> Verdict:
        # A file's numbers may be of any size: what comes of them is looked at in the end.
        with np.errstate(all="ignore"):
            views = self.ensemble.look(image)
            score, evidence = self.ensemble.score(views)
            probability = float(self.calibration.probability(np.array([score]))[0])
            unlikeness = self.ensemble.unlikeness(views)
        if not np.isfinite([score, probability, unlikeness or 0, evidence.sum()]).all():
            raise DetectorError("The model gives no number.", hint="Train the model again.")
        anomalous = probability >= 0.5
        anomalies: tuple[Anomaly, ...] = ()
        mask: bytes | None = None
        if self.segmenter is not None:
            with np.errstate(all="ignore"):
                likely = self.segmenter.probabilities(views[self.segmented].cells)
            found = classify(likely, image.size)
            anomalies = areas(found, dict(self.classes))
            mask = mask_png(found, dict(self.classes), image.size)
        return Verdict(
            is_anomalous=anomalous,
            confidence=probability if anomalous else 1 - probability,
            probability=probability,
            heat_map=evidence * np.float32(probability),
            anomalies=anomalies,
            mask_png=mask,
            unlikeness=unlikeness,
        )

    def save(self, path: Path) -> None:
        """Write the model to `path`, whole or not at all.

        Raises:
            OSError: The file cannot be written.
        """
        parts = _parts(self)
        header = {
            "info": asdict(self.info),
            "sides": [scale.side for scale in self.ensemble.scales],
            "heads": self.ensemble.keys,
            "segmented": self.segmented,
            "calibration": asdict(self.calibration),
            "classes": dict(self.classes),
            "numbers": {
                part: {name: each for name, each in values.items() if isinstance(each, float)}
                for part, values in parts.items()
            },
        }
        arrays = {
            f"{part}.{name}": each
            for part, values in parts.items()
            for name, each in values.items()
            if isinstance(each, np.ndarray)
        }
        model_file.write(path, header, arrays)


def _parts(model: Model) -> dict[str, Parameters]:
    """Return what has arrays, by name: those of a scale with its side, as in "local@416"."""
    parts: dict[str, Parameters] = {"blend": vars(model.ensemble.blend)}
    if model.segmenter is not None:
        parts["segmenter"] = vars(model.segmenter)
    for scale in model.ensemble.scales:
        parts |= {f"{head.PART}@{scale.side}": head.parameters() for head in scale.heads}
        if scale.alignment is not None:
            parts[f"{ALIGNMENT}@{scale.side}"] = vars(scale.alignment)
        if scale.likeness is not None:
            parts[f"{LIKENESS}@{scale.side}"] = vars(scale.likeness)
    return parts


def load(path: Path) -> Model:
    """Return the model saved in `path`; its arrays are read as they are needed.

    Raises:
        DetectorError: No model, damaged, written by another lfvpipe, or made for other weights.
    """
    header, arrays = model_file.read(path)
    try:
        return _restore(header, arrays)
    except KeyError as error:
        raise DetectorError(f"The model file {path} is damaged: it has no {error}.") from error
    except (TypeError, ValueError) as error:
        raise DetectorError(f"The model file {path} is damaged: {error}.") from error


def _restore(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Model:
    facts = read_facts(header)
    _require_backbone(facts.info.versions)
    parts: dict[str, dict[str, Any]] = facts.numbers
    for name, values in arrays.items():
        part, _, field = name.partition(".")
        parts[part][field] = values
    segmenter = None
    if "segmenter" in parts:
        types = len(facts.classes)
        layout: Layout = {"weights": (CELL_CHANNELS, types), "bias": (types,)}
        check_part("segmenter", layout, parts["segmenter"])
        segmenter = Segmenter(**parts["segmenter"])
    return Model(
        info=facts.info,
        calibration=facts.calibration,
        ensemble=_restore_ensemble(facts.keys, facts.sides, parts),
        classes=facts.classes,
        segmenter=segmenter,
        segmented=facts.segmented,
    )


def _restore_ensemble(
    keys: tuple[ScoreKey, ...], sides: tuple[int, ...], parts: dict[str, dict[str, Any]]
) -> Ensemble:
    """Return the ensemble whose heads are among the parts; ValueError where one is not."""
    scales = []
    count = (len(keys),)
    check_part("blend", {"centre": count, "spread": count, "weights": count}, parts["blend"])
    blend = Blend(**parts["blend"])
    if blend.weights.min() < 0 or not blend.weights.any():
        raise ValueError("a blend of no weight")
    for side in sides:
        named = ((head, parts.get(f"{head.PART}@{side}")) for head in heads.HEADS)
        restored = tuple(head.restore(found) for head, found in named if found is not None)
        reference = parts.get(f"{ALIGNMENT}@{side}")
        alignment = None if reference is None else Alignment.restore(reference)
        known = parts.get(f"{LIKENESS}@{side}")
        likeness = None if known is None else Likeness.restore(known)
        scales.append(Scale(side, restored, alignment, likeness))
    held = {(head.NAME, scale.side) for scale in scales for head in scale.heads}
    if not {*keys} <= held:
        raise ValueError(f"heads {sorted({*keys} - held)}")
    used = tuple(prune(each, keys) for each in scales)
    if not all(each.heads for each in used):
        raise ValueError("a scale without heads")
    if not any(each.has_cell_heads for each in used):
        raise ValueError("no head that has a heat map")
    return Ensemble(used, keys, blend)


def _require_backbone(versions: Mapping[str, str]) -> None:
    if versions["backbone"] != backbone_version():
        raise DetectorError(
            f"The model was trained on the weights {versions['backbone']}, this lfvpipe has "
            f"{backbone_version()}.",
            hint="Install the lfvpipe that trained it, or train the model again.",
        )


def backbone_version() -> str:
    """Return the name and digest of the weights that features come from."""
    return f"{checkpoint.NAME}@{checkpoint.SHA256[:12]}"
