"""Heat maps for the report page: where a trained model sees evidence of an anomaly."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
from functools import partial
from typing import TYPE_CHECKING

from lfvpipe import atomic
from lfvpipe.detector import DetectorError, load
from lfvpipe.executor import in_order
from lfvpipe.report import heat_colours

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from lfvpipe.detector import Model
    from lfvpipe.report.records import Verdict

MOST = 400  # images of a page; 20 to 100 ms each
SIDE = 112  # pixels of the longer side: the evidence itself is coarser
FORMAT = 2  # of colours, size and what is kept


def heat_maps(
    state_dir: Path,
    model_file: Path,
    verdicts: Sequence[Verdict],
    on_done: Callable[[int], None] = lambda _: None,
) -> dict[str, str]:
    """Return overlays as data URIs by image digest; images that are gone have none.

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
    made = in_order(partial(_heat_map, model, state_dir), missing, workers)
    kept_in.parent.mkdir(parents=True, exist_ok=True)
    with kept_in.open("ab", buffering=0) as kept:
        if kept.tell():
            kept.write(b"\n")  # ends a line that a kill may have cut short
        for verdict, uri in zip(missing, made, strict=True):
            if uri:
                found[str(verdict.sha256)] = uri
                line = [verdict.sha256, uri, _check_of(str(verdict.sha256), uri)]
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


def _read_cache(file: Path) -> dict[str, str]:
    """Return what an earlier report kept; nothing of lines that are not as they were written."""
    found: dict[str, str] = {}
    try:
        lines = file.read_bytes().splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            digest, uri, check = json.loads(line)
        except (ValueError, TypeError, RecursionError):
            continue
        if isinstance(digest, str) and isinstance(uri, str) and check == _check_of(digest, uri):
            found[digest] = uri
    return found


def _check_of(digest: str, uri: str) -> str:
    """Return what tells that a picture is whole and this image's."""
    return hashlib.sha256(f"{digest} {uri}".encode(errors="replace")).hexdigest()


def _heat_map(model: Model, state_dir: Path, verdict: Verdict) -> str | None:
    try:
        heat = model.detect(state_dir / str(verdict.path)).heat_map
    except DetectorError:  # the gallery has no picture of it either
        return None
    return None if heat is None else overlay(heat)


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
