"""The backbone as something to call: converted once into the user's cache, run by onnxruntime."""

import os
import sys
import threading
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lfvpipe import atomic
from lfvpipe.detector import backbone, checkpoint
from lfvpipe.detector.backbone import REACH

STRIP = 115_000  # px of an image that the stem works on at a time
LEAST_ROWS = 64  # of them, however wide it is: REACH is looked at twice
_LOCK = threading.Lock()
Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]


class Network:
    """The first `taps` feature maps of one image; safe to call from several threads, one core each.

    One core an image, and images side by side, makes the numbers independent of the thread count.
    """

    def __init__(self, stem: Any, rest: Any) -> None:
        self._stem, self._rest = stem, rest

    def taps(self, pixels: Pixels) -> list[Floats]:
        """Return the feature maps, float32 (C, h, w), of uint8 RGB `pixels` (H, W, 3).

        Both sides must be multiples of 16.
        """
        first = self._first(pixels)
        return [first, *(tap[0] for tap in self._rest.run(None, {"tap4": first[None]}))]

    def _first(self, pixels: Pixels) -> Floats:
        """Return the stride-4 map, made strip by strip: whole, it takes ten times the memory."""
        parts, height = [], max(LEAST_ROWS, STRIP // pixels.shape[1] // 4 * 4)
        for start in range(0, len(pixels), height):
            above = min(start, REACH)
            strip = pixels[start - above : start + height + REACH]
            rows = slice(above // 4, (above + height) // 4)
            batch = np.ascontiguousarray(strip)[None]
            parts.append(self._stem.run(None, {"pixels": batch})[0][0][:, rows])
        return np.concatenate(parts, axis=1)


def network(taps: int = len(backbone.CHANNELS)) -> Network:
    """Return this process's backbone up to that many taps, converted at its first use.

    Raises:
        DetectorError: The weights' package is missing or not the known one.
    """
    with _LOCK:
        return Network(_session("stem"), _session(taps))


@cache
def _session(part: str | int) -> Any:
    """Return the running stem, or what follows it up to so many taps."""
    path = cache_folder(os.environ, sys.platform) / "backbones" / _file_name(part)
    if path.is_file():
        try:
            return _started(str(path))
        except Exception as error:
            warnings.warn(f"{path} cannot be loaded and is made again: {error}", stacklevel=2)
    graph = _built(part)
    try:
        atomic.write_bytes(path, graph)
    except OSError as error:
        warnings.warn(
            f"the converted network cannot be kept in {path.parent} ({error}); it is made anew by "
            "each process. Set LFVPIPE_CACHE_DIR to a folder that can be written.",
            stacklevel=2,
        )
    return _started(graph)


def _built(part: str | int) -> bytes:
    tensors = checkpoint.read()
    if isinstance(part, str):
        return backbone.build_stem(tensors)
    return backbone.build_rest(tensors, part)


def _started(graph: bytes | str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _file_name(part: str | int) -> str:
    return f"{checkpoint.NAME}-{checkpoint.SHA256[:12]}-v{backbone.VERSION}-{part}.onnx"


def cache_folder(env: Mapping[str, str], platform: str) -> Path:
    """Return the user's cache folder for lfvpipe; LFVPIPE_CACHE_DIR says otherwise."""
    if env.get("LFVPIPE_CACHE_DIR"):
        return Path(env["LFVPIPE_CACHE_DIR"])
    if platform == "win32":
        return Path(env.get("LOCALAPPDATA") or _home("AppData", "Local")) / "lfvpipe" / "cache"
    if platform == "darwin":
        return _home("Library", "Caches", "lfvpipe")
    return Path(env.get("XDG_CACHE_HOME") or _home(".cache")) / "lfvpipe"


def _home(*below: str) -> Path:
    """Return a folder below the user's home; one that cannot be written, where there is none."""
    try:
        return Path.home().joinpath(*below)
    except RuntimeError:  # in a container, for a user without a name
        return Path(os.devnull, *below)
