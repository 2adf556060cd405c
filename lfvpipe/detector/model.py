"""A trained model: saved, loaded, and asked about images."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector import checkpoint, modelfile
from lfvpipe.detector.blend import Blend
from lfvpipe.detector.calibration import Calibration
from lfvpipe.detector.deviation import Deviation
from lfvpipe.detector.facts import Info, Verdict
from lfvpipe.detector.faults import DetectorError, DetectorWarning
from lfvpipe.detector.features import Scales, View, look
from lfvpipe.detector.heads import Heads
from lfvpipe.detector.local import Local
from lfvpipe.detector.logistic import Linear
from lfvpipe.detector.masks import areas, mask_png
from lfvpipe.detector.pictures import open_rgb
from lfvpipe.detector.place import Place
from lfvpipe.detector.segmentation import Segmenter, classify
from lfvpipe.detector.threads import one_thread

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Model:
    """What training found out: the heads, their calibration, and maybe a segmenter.

    Attributes:
        info: What it was trained on.
        scales: Sizes that images are brought to.
        calibration: From scores to probabilities.
        heads: From what the backbone sees to scores.
        classes: Anomaly type → colour, for segmentation.
        segmenter: Types by position.
    """

    info: Info
    scales: Scales
    calibration: Calibration
    heads: Heads
    classes: Mapping[str, str]
    segmenter: Segmenter | None

    def detect(self, image: "Image.Image | Path | str | bytes") -> Verdict:
        """Return the verdict on one image: decoded, a path, or a file's bytes.

        Raises:
            DetectorError: It cannot be read as an image.
        """
        with one_thread():
            return self._verdict(open_rgb(image))

    def _verdict(self, opened: "Image.Image") -> Verdict:
        heads = self.heads
        view = look(opened, self.scales, coarse_too=heads.needs_coarse, taps=heads.taps)
        score, evidence = heads.score(view)
        probability = float(self.calibration.probability(np.array([score]))[0])
        anomalous = probability >= 0.5
        found = self._segmented(view, opened.size)
        return Verdict(
            is_anomalous=anomalous,
            confidence=probability if anomalous else 1 - probability,
            probability=probability,
            heat_map=evidence * np.float32(probability),
            anomalies=areas(found, dict(self.classes)) if found is not None else (),
            mask_png=mask_png(found, dict(self.classes), opened.size)
            if found is not None
            else None,
        )

    def _segmented(self, view: View, size: tuple[int, int]) -> NDArray[np.int64] | None:
        if self.segmenter is None:
            return None
        return classify(self.segmenter.probabilities(view.cells), size)

    def save(self, path: Path) -> None:
        """Write the model to `path`, whole or not at all.

        Raises:
            OSError: The file cannot be written.
        """
        header = {
            "info": asdict(self.info),
            "scales": asdict(self.scales),
            "calibration": asdict(self.calibration),
            "classes": dict(self.classes),
            "numbers": _numbers(self),
        }
        modelfile.write(path, header, _arrays(self))


def _parts(model: Model) -> dict[str, object]:
    heads = model.heads
    return {
        "deviation": heads.deviation,
        "local": heads.local,
        "place": heads.place,
        "coarse": heads.coarse,
        "fine": heads.fine,
        "blend": heads.blend,
        "segmenter": model.segmenter,
    }


def _numbers(model: Model) -> dict[str, dict[str, float]]:
    """Return each part's plain numbers."""
    return {
        part: {name: each for name, each in vars(value).items() if isinstance(each, float)}
        for part, value in _parts(model).items()
        if value is not None
    }


def _arrays(model: Model) -> dict[str, NDArray[Any]]:
    """Return every part's arrays, by "part.name"."""
    return {
        f"{part}.{name}": each
        for part, value in _parts(model).items()
        if value is not None
        for name, each in vars(value).items()
        if isinstance(each, np.ndarray)
    }


def load(path: Path) -> Model:
    """Return the model saved in `path`; its arrays are read as they are needed.

    Raises:
        DetectorError: No model, damaged, written by another lfvpipe, or made for other weights.
    """
    header, arrays = modelfile.read(path)
    try:
        return _restored(header, arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise DetectorError(f"the model file {path} is damaged: {error!r}") from error


def _restored(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Model:
    info = header["info"]
    info["warnings"] = tuple(DetectorWarning(**each) for each in info["warnings"])
    info["image_size"] = tuple(info["image_size"])
    _require_backbone(info["versions"])
    parts: dict[str, dict[str, Any]] = header["numbers"]
    for name, values in arrays.items():
        part, _, field = name.partition(".")
        parts[part][field] = values
    heads = Heads(
        deviation=Deviation(**parts["deviation"]),
        local=Local(**parts["local"]),
        place=Place(**parts["place"]) if "place" in parts else None,
        coarse=Linear(**parts["coarse"]) if "coarse" in parts else None,
        fine=Linear(**parts["fine"]) if "fine" in parts else None,
        blend=Blend(**parts["blend"]),
    )
    return Model(
        info=Info(**info),
        scales=Scales(**header["scales"]),
        calibration=Calibration(**header["calibration"]),
        heads=heads,
        classes=header["classes"],
        segmenter=Segmenter(**parts["segmenter"]) if "segmenter" in parts else None,
    )


def _require_backbone(versions: Mapping[str, str]) -> None:
    if versions["backbone"] != backbone_version():
        raise DetectorError(
            f"the model was trained on the weights {versions['backbone']}, this lfvpipe has "
            f"{backbone_version()}",
            hint="Install the lfvpipe that trained it, or train the model again.",
        )


def backbone_version() -> str:
    """Return the name and digest of the weights that features come from."""
    return f"{checkpoint.NAME}@{checkpoint.SHA256[:12]}"
