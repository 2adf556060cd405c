"""Judge images with the model in this folder: python run.py IMAGE...

Prints one JSON object a line: the image's name, and what DetectAnomalies would answer, or why the
image cannot be judged; the mask is the base64 text of a PNG. An image that is not like the training
images has "Unlike" too: how far it lies from them, in thresholds; one that a person is to decide on
has "ToPerson". What turns scores into verdicts is in decision.json. Exits with 1 if one could not
be judged.
Needs Python 3.11 or later, and `pip install -r requirements.txt`.
"""

# This file is copied into the folder of a component, where nothing of lfvpipe is installed; there
# it finds the detector's code and network beside itself.

import base64
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).absolute().parent
os.environ["LFVPIPE_CACHE_DIR"] = str(HERE / "network")
sys.path.insert(0, str(HERE / "code"))

from lfvpipe.decision import Decision  # noqa: E402
from lfvpipe.detector import DetectorError, Model, TrainedModel, load  # noqa: E402
from lfvpipe.detector.images import size_of, upright_size_of  # noqa: E402


def refuse_another_size(image: Path, sizes: Sequence[tuple[int, int]]) -> None:
    """Refuse an image that has not one of the sizes that the model knows, as DetectAnomalies does.

    Args:
        image: Its file.
        sizes: (width, height) of the training images first, then of the photographs that they were
            made of.

    Raises:
        DetectorError: It has another, or cannot be read.
    """
    if not image.is_file():  # a pipe, say, would wait for who writes into it
        raise DetectorError(f"{image} is {'no file' if image.exists() else 'not there'}.")
    found = size_of(image)
    if not {found, upright_size_of(image)} & {*sizes}:
        width, height = sizes[0]
        raise DetectorError(
            f"{image} has {found[0]}x{found[1]} pixels; it must have the size of the training"
            f" images, {width}x{height}.",
            hint="Photograph and scale images as those that the model was trained with.",
        )


def judge(model: TrainedModel, image: Path, decision: Decision) -> dict[str, Any]:
    """Return the DetectAnomalyResult of an image file, and what else there is to say of it."""
    verdict = model.detect(image)
    called = decision.call(verdict.probability)
    result: dict[str, Any] = {
        "Source": {"Type": "direct"},
        "IsAnomalous": called.is_anomalous,
        "Confidence": called.confidence,
    }
    if verdict.anomalies:
        result["Anomalies"] = [
            {
                "Name": each.name,
                "PixelAnomaly": {"TotalPercentageArea": each.fraction, "Color": each.color},
            }
            for each in verdict.anomalies
        ]
        result["AnomalyMask"] = base64.b64encode(verdict.mask_png or b"").decode()
    line: dict[str, Any] = {"DetectAnomalyResult": result}
    if called.to_person:
        line["ToPerson"] = True
    if verdict.unlikeness is not None and verdict.is_unlike:
        line["Unlike"] = round(verdict.unlikeness, 2)
    return line


def read_folder() -> tuple[tuple[int, int], Model, Decision]:
    """Return the size of the training images, the model, and what is decided by.

    Raises:
        DetectorError: One of the folder's files is gone, or damaged.
    """
    file = HERE / "recipe.json"
    try:
        recipe = json.loads(file.read_text("utf-8"))
        size = int(recipe["ImageWidth"]), int(recipe["ImageHeight"])
        file = HERE / "decision.json"
        decision = Decision.from_json(file.read_text("utf-8"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise DetectorError(f"{file} cannot be read: {said}. Export the model again.") from error
    return size, load(HERE / "model.lfv"), decision


def main(names: list[str]) -> int:
    """Judge the images named, and return the exit status."""
    if not names:
        print(__doc__, file=sys.stderr)
        return 2
    if {"-h", "--help"} & {*names}:
        print(__doc__)
        return 0
    try:
        size, model, decision = read_folder()
    except DetectorError as error:
        print(f"error: {error.message}", file=sys.stderr)
        return 2
    status = 0
    whole = model.info.geometry.seen
    sizes = [size, whole] if whole else [size]
    for name in names:
        line: dict[str, Any] = {"Image": name}
        try:
            refuse_another_size(Path(name), sizes)
            line |= judge(model, Path(name), decision)
        except DetectorError as error:
            line["Error"] = error.message
            status = 1
        print(json.dumps(line), flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
