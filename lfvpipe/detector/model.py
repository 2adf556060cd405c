"""A trained model: saved, loaded, and asked about images."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector import checkpoint, modelfile
from lfvpipe.detector.alignment import Alignment
from lfvpipe.detector.bank import Bank
from lfvpipe.detector.blend import Blend
from lfvpipe.detector.calibration import Calibration
from lfvpipe.detector.deviation import Deviation
from lfvpipe.detector.facts import Info, Verdict
from lfvpipe.detector.faults import DetectorError, DetectorWarning
from lfvpipe.detector.features import View
from lfvpipe.detector.heads import Heads
from lfvpipe.detector.local import Local
from lfvpipe.detector.logistic import Linear
from lfvpipe.detector.masks import areas, mask_png
from lfvpipe.detector.pictures import open_rgb
from lfvpipe.detector.place import Place
from lfvpipe.detector.scale import Scale
from lfvpipe.detector.segmentation import Segmenter, classify
from lfvpipe.detector.threads import one_thread

if TYPE_CHECKING:
    from PIL import Image

PARTS: Mapping[str, Callable[..., Any]] = {
    "alignment": Alignment,
    "deviation": Deviation,
    "local": Local,
    "place": Place,
    "bank": Bank,
    "classifier": Linear,
}
_Part = TypeVar("_Part")


@dataclass(frozen=True)
class Model:
    """What training found out: the heads, their calibration, and maybe a segmenter.

    Attributes:
        info: What it was trained on.
        calibration: From scores to probabilities.
        heads: From what the backbone sees to scores.
        classes: Anomaly type → colour, for segmentation.
        segmenter: Types by position.
        segmented: The side, px, of the scale whose positions it knows.
    """

    info: Info
    calibration: Calibration
    heads: Heads
    classes: Mapping[str, str]
    segmenter: Segmenter | None
    segmented: int

    def detect(self, image: "Image.Image | Path | str | bytes") -> Verdict:
        """Return the verdict on one image: decoded, a path, or a file's bytes.

        Raises:
            DetectorError: It cannot be read as an image.
        """
        with one_thread():
            return self._verdict(open_rgb(image, self.info.white))

    def _verdict(self, opened: "Image.Image") -> Verdict:
        views = self.heads.look(opened)
        score, evidence = self.heads.score(views)
        if not np.isfinite(score):
            raise DetectorError("the model gives no number", hint="Train the model again.")
        probability = float(self.calibration.probability(np.array([score]))[0])
        anomalous = probability >= 0.5
        found = self._segmented(views, opened.size)
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

    def _segmented(
        self, views: Mapping[int, View], size: tuple[int, int]
    ) -> NDArray[np.int64] | None:
        if self.segmenter is None:
            return None
        return classify(self.segmenter.probabilities(views[self.segmented].cells), size)

    def save(self, path: Path) -> None:
        """Write the model to `path`, whole or not at all.

        Raises:
            OSError: The file cannot be written.
        """
        header = {
            "info": asdict(self.info),
            "sides": [scale.side for scale in self.heads.scales],
            "heads": self.heads.names,
            "segmented": self.segmented,
            "calibration": asdict(self.calibration),
            "classes": dict(self.classes),
            "numbers": _numbers(self),
        }
        modelfile.write(path, header, _arrays(self))


def _parts(model: Model) -> dict[str, object]:
    """Return what has arrays, by name: those of a scale with its side, as in "local@416"."""
    parts: dict[str, object] = {"blend": model.heads.blend, "segmenter": model.segmenter}
    for scale in model.heads.scales:
        parts |= {f"{name}@{scale.side}": getattr(scale, name) for name in PARTS}
    return parts


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
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DetectorError(f"the model file {path} is damaged: {error!r}") from error


def _restored(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Model:
    info = header["info"]
    info["warnings"] = tuple(DetectorWarning(**each) for each in info["warnings"])
    info["image_size"], info["sides"] = tuple(info["image_size"]), tuple(info["sides"])
    _require_backbone(info["versions"])
    parts: dict[str, dict[str, Any]] = header["numbers"]
    for name, values in arrays.items():
        part, _, field = name.partition(".")
        parts[part][field] = values
    scales = [
        Scale(
            side, **{name: _part(kind, parts.get(f"{name}@{side}")) for name, kind in PARTS.items()}
        )
        for side in header["sides"]
    ]
    names = tuple((name, side) for name, side in header["heads"])
    _require_known(names, scales, header)
    return Model(
        info=Info(**info),
        calibration=Calibration(**header["calibration"]),
        heads=Heads(tuple(scales), names, Blend(**parts["blend"])),
        classes=header["classes"],
        segmenter=_part(Segmenter, parts.get("segmenter")),
        segmented=header["segmented"],
    )


def _require_known(
    names: Sequence[tuple[str, int]], scales: Sequence[Scale], header: Mapping[str, Any]
) -> None:
    """Raise ValueError where the header names what the file does not hold."""
    held = {(name, scale.side) for scale in scales for name in scale.names}
    if not {*names} <= held:
        raise ValueError(f"heads {sorted({*names} - held)}")
    if header["numbers"].get("segmenter") and header["segmented"] not in header["sides"]:
        raise ValueError(f"a segmenter at {header['segmented']} px")


def _part(kind: Callable[..., _Part], facts: Mapping[str, Any] | None) -> _Part | None:
    return None if facts is None else kind(**facts)


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
