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

_LOCK = threading.Lock()


class Network:
    """The first `taps` feature maps of one image; safe to call from several threads, one core each.

    One core an image, and images side by side, makes the numbers independent of the thread count.
    """

    def __init__(self, graph: bytes | str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.use_deterministic_compute = True
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )

    def taps(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return the feature maps, float32 (C, h, w), of uint8 RGB `pixels` (H, W, 3)."""
        batch = np.ascontiguousarray(pixels)[None]
        return [tap[0] for tap in self._session.run(None, {"pixels": batch})]


def network(taps: int = len(backbone.CHANNELS)) -> Network:
    """Return this process's backbone up to that many taps, converted at its first use.

    Raises:
        DetectorError: The weights' package is missing or not the known one.
    """
    with _LOCK:
        return _network(taps)


@cache
def _network(taps: int) -> Network:
    path = cache_folder(os.environ, sys.platform) / "backbones" / _file_name(taps)
    if path.is_file():
        try:
            return Network(str(path))
        except Exception as error:
            warnings.warn(f"{path} cannot be loaded and is made again: {error}", stacklevel=2)
    graph = backbone.build(checkpoint.read(), taps)
    try:
        atomic.write_bytes(path, graph)
    except OSError as error:
        warnings.warn(
            f"the converted network cannot be kept in {path.parent} ({error}); it is made anew by "
            "each process. Set LFVPIPE_CACHE_DIR to a folder that can be written.",
            stacklevel=2,
        )
    return Network(graph)


def _file_name(taps: int) -> str:
    return f"{checkpoint.NAME}-{checkpoint.SHA256[:12]}-v{backbone.VERSION}-{taps}.onnx"


def cache_folder(env: Mapping[str, str], platform: str) -> Path:
    """Return the user's cache folder for lfvpipe; LFVPIPE_CACHE_DIR says otherwise."""
    if env.get("LFVPIPE_CACHE_DIR"):
        return Path(env["LFVPIPE_CACHE_DIR"])
    home = Path.home()
    if platform == "win32":
        return Path(env.get("LOCALAPPDATA") or home / "AppData" / "Local") / "lfvpipe" / "cache"
    if platform == "darwin":
        return home / "Library" / "Caches" / "lfvpipe"
    return Path(env.get("XDG_CACHE_HOME") or home / ".cache") / "lfvpipe"
