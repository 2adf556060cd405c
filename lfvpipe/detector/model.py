"""A trained model: saved, loaded, and asked about images."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector import checkpoint, heat, modelfile, novelty
from lfvpipe.detector.calibration import Calibration
from lfvpipe.detector.facts import Info, Verdict
from lfvpipe.detector.faults import DetectorError, DetectorWarning
from lfvpipe.detector.features import Floats, View, look, positions
from lfvpipe.detector.logistic import Linear
from lfvpipe.detector.masks import areas, mask_png
from lfvpipe.detector.network import network
from lfvpipe.detector.novelty import Bank
from lfvpipe.detector.pictures import open_rgb
from lfvpipe.detector.segmentation import Segmenter, classify

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Model:
    """What training found out: one of the two heads, its calibration, and maybe a segmenter.

    Attributes:
        info: What it was trained on.
        scales: Side lengths that images are brought to.
        calibration: From scores to probabilities.
        pooled: Linear score of the pooled taps, where anomalies were labelled.
        bank: Normal local features, where they were not.
        classes: Anomaly type → colour, for segmentation.
        segmenter: Types by position.
    """

    info: Info
    scales: tuple[int, ...]
    calibration: Calibration
    pooled: Linear | None
    bank: Bank | None
    classes: Mapping[str, str]
    segmenter: Segmenter | None

    def detect(self, image: "Image.Image | Path | str | bytes") -> Verdict:
        """Return the verdict on one image: decoded, a path, or a file's bytes.

        Raises:
            DetectorError: It cannot be read as an image.
        """
        opened = open_rgb(image)
        view = look(network(), opened, self.scales)
        score, evidence = self._scored(view)
        probability = float(self.calibration.probability(np.array([score]))[0])
        anomalous = probability >= 0.5
        found = self._segmented(view, opened.size)
        return Verdict(
            is_anomalous=anomalous,
            confidence=probability if anomalous else 1 - probability,
            probability=probability,
            heat_map=heat.scaled(evidence, probability),
            anomalies=areas(found, dict(self.classes)) if found is not None else (),
            mask_png=mask_png(found, dict(self.classes), opened.size)
            if found is not None
            else None,
        )

    def _scored(self, view: View) -> tuple[float, Floats]:
        if self.pooled is not None:
            score = float(self.pooled.score(view.pooled()[None])[0])
            return score, heat.contributions(view, self.pooled)
        assert self.bank is not None
        descriptors = positions(view.taps[-1])
        distances = self.bank.distances(descriptors.reshape(-1, descriptors.shape[-1]))
        return novelty.score(distances), distances.reshape(descriptors.shape[:2])

    def _segmented(self, view: View, size: tuple[int, int]) -> NDArray[np.int64] | None:
        if self.segmenter is None:
            return None
        return classify(self.segmenter.probabilities(positions(view.taps[-1])), size)

    def save(self, path: Path) -> None:
        """Write the model to `path`, whole or not at all.

        Raises:
            OSError: The file cannot be written.
        """
        header = {
            "info": asdict(self.info),
            "scales": list(self.scales),
            "calibration": asdict(self.calibration),
            "classes": dict(self.classes),
            "bias": self.pooled.bias if self.pooled else None,
        }
        modelfile.write(path, header, _arrays(self))


def _arrays(model: Model) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for prefix, part in (
        ("pooled", model.pooled),
        ("bank", model.bank),
        ("segmenter", model.segmenter),
    ):
        if part is not None:
            fields = {f"{prefix}.{name}": value for name, value in vars(part).items()}
            arrays |= {
                name: value for name, value in fields.items() if isinstance(value, np.ndarray)
            }
    return arrays


def load(path: Path) -> Model:
    """Return the model saved in `path`; its arrays are read as they are needed.

    Raises:
        DetectorError: No model, damaged, written by a newer lfvpipe, or made for other weights.
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
    pooled, bank, segmenter = (_part(arrays, name) for name in ("pooled", "bank", "segmenter"))
    return Model(
        info=Info(**info),
        scales=tuple(header["scales"]),
        calibration=Calibration(**header["calibration"]),
        pooled=Linear(**pooled, bias=header["bias"]) if pooled else None,
        bank=Bank(**bank) if bank else None,
        classes=header["classes"],
        segmenter=Segmenter(**segmenter) if segmenter else None,
    )


def _part(arrays: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    start = f"{prefix}."
    return {name.removeprefix(start): arrays[name] for name in arrays if name.startswith(start)}


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
