"""What a trained model sees in images, for the report page: evidence of an anomaly, and a mask."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from lfvpipe import atomic
from lfvpipe.detector import DetectorError, load
from lfvpipe.detector.facts import BACKGROUND
from lfvpipe.executor import in_order
from lfvpipe.images import read_mask
from lfvpipe.report import heat_colours

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from lfvpipe.detector import Model
    from lfvpipe.report.records import Verdict

MOST = 400  # images of a page; 20 to 100 ms each
SIDE = 112  # pixels of the longer side: the evidence itself is coarser
MASK_SIDE = 480  # pixels of a kept mask's longer side: as fine as its outline is drawn
FORMAT = 3  # of colours, size and what is kept


@dataclass(frozen=True)
class Sight:
    """What a model sees in an image.

    Attributes:
        heat: The heat map, a see-through picture, as a data URI; None where it draws none.
        mask: What it marks, a PNG in base 64; None where it draws no masks.
        classes: The mask's colours (``#RRGGBB``) by type of anomaly.
    """

    heat: str | None
    mask: str | None
    classes: dict[str, str]

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Sight:
        """Return the sight that `vars` of one holds.

        Raises:
            ValueError: It holds none.
        """
        heat, mask, classes = line.get("heat"), line.get("mask"), line.get("classes")
        texts = [each for each in (heat, mask) if each is not None]
        if not isinstance(classes, dict) or not all(isinstance(each, str) for each in texts):
            raise ValueError("no sight")
        return cls(heat, mask, classes)


def heat_maps(
    state_dir: Path,
    model_file: Path,
    verdicts: Sequence[Verdict],
    on_done: Callable[[int], None] = lambda _: None,
) -> dict[str, Sight]:
    """Return what the model sees, by image digest; images that are gone have none.

    Each is kept in the state folder as soon as it is there, by the model's and the image's digests,
    so that only new ones are computed, also after a kill.

    Args:
        state_dir: What the verdicts' paths are relative to.
        model_file: The trained model.
        verdicts: Whose images to look at.
        on_done: Told how many are done; what it raises ends the work.

    Raises:
        DetectorError: The model cannot be used.
    """
    kept_in = state_dir / "heat-maps" / f"{_digest(model_file)[:32]}-{FORMAT}.jsonl"
    before = _read_cache(kept_in)
    found = {v.sha256: before[v.sha256] for v in verdicts if v.sha256 in before}
    missing = [v for v in verdicts if v.sha256 and v.path and v.sha256 not in found]
    if not missing:
        return found
    model = load(model_file)
    on_done(len(verdicts) - len(missing))
    workers = min(os.cpu_count() or 1, 4)  # each holds a whole image
    made = in_order(partial(_look, model, state_dir), missing, workers)
    kept_in.parent.mkdir(parents=True, exist_ok=True)
    with kept_in.open("ab", buffering=0) as kept:
        if kept.tell():
            kept.write(b"\n")  # ends a line that a kill may have cut short
        for verdict, sight in zip(missing, made, strict=True):
            if sight:
                found[str(verdict.sha256)] = sight
                line = [verdict.sha256, vars(sight), _check_of(str(verdict.sha256), sight)]
                kept.write(json.dumps(line).encode() + b"\n")
            on_done(len(found))
        atomic.sync_file(kept.fileno())
    return found


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise DetectorError(f"The model file {file} cannot be read: {error}.") from error


def _read_cache(file: Path) -> dict[str, Sight]:
    """Return what an earlier report kept; nothing of lines that are not as they were written."""
    found: dict[str, Sight] = {}
    try:
        lines = file.read_bytes().splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            digest, kept, check = json.loads(line)
            sight = Sight.from_json(kept)
        except (ValueError, TypeError, AttributeError, RecursionError):
            continue
        if isinstance(digest, str) and check == _check_of(digest, sight):
            found[digest] = sight
    return found


def _check_of(digest: str, sight: Sight) -> str:
    """Return what tells that a sight is whole and this image's."""
    text = f"{digest} {json.dumps(vars(sight), sort_keys=True)}"
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _look(model: Model, state_dir: Path, verdict: Verdict) -> Sight | None:
    try:
        detected = model.detect(state_dir / str(verdict.path))
    except DetectorError:  # the gallery has no picture of it either
        return None
    heat = None if detected.heat_map is None else overlay(detected.heat_map)
    classes = {each.name: each.color for each in detected.anomalies if each.name != BACKGROUND}
    mask = None if detected.mask_png is None else _small_mask(detected.mask_png)
    return Sight(heat, mask, classes)


def _small_mask(data: bytes) -> str:
    """Return a predicted mask as a PNG in base 64, small enough to be kept."""
    from PIL import Image

    mask = read_mask(data)
    scale = min(1, MASK_SIDE / max(mask.size))
    size = (max(1, round(mask.width * scale)), max(1, round(mask.height * scale)))
    buffer = io.BytesIO()
    mask.resize(size, Image.Resampling.NEAREST).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def overlay(heat: NDArray[np.float32]) -> str:
    """Return a heat map, 0 to 1, as a see-through picture: the weaker, the clearer."""
    import numpy
    from PIL import Image

    scale = SIDE / max(heat.shape)
    size = (max(1, round(heat.shape[1] * scale)), max(1, round(heat.shape[0] * scale)))
    larger = Image.fromarray(heat).resize(size, Image.Resampling.BICUBIC)
    values = numpy.clip(numpy.asarray(larger), 0, 1)
    buffer = io.BytesIO()
    Image.fromarray(heat_colours.pixels(values)).save(
        buffer, "WEBP", quality=70, alpha_quality=70, method=3
    )
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
