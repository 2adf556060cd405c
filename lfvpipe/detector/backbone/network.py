"""The backbone as something to call: converted once into the user's cache, run by onnxruntime."""

import hashlib
import os
import re
import sys
import threading
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from lfvpipe import atomic
from lfvpipe.detector import tuning
from lfvpipe.detector.arrays import Floats, Pixels
from lfvpipe.detector.backbone import checkpoint, graph
from lfvpipe.detector.backbone.graph import REACH

_LOCK = threading.Lock()
_PREFIX = f"{checkpoint.NAME}-{checkpoint.SHA256[:12]}-v{graph.VERSION}"
_KEPT = re.compile(r"[a-z0-9-]+-[0-9a-f]{12}-v\d+-(?:stem|\d+)\.(?:onnx|sha256)")


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
        first = self._stride_4_map(pixels)
        return [first, *(tap[0] for tap in self._rest.run(None, {"tap4": first[None]}))]

    def _stride_4_map(self, pixels: Pixels) -> Floats:
        """Return the stride-4 map, made strip by strip: whole, it takes ten times the memory."""
        parts = []
        height = tuning.STEM_STRIP_PIXELS // pixels.shape[1] // 4 * 4
        height = max(tuning.STEM_LEAST_ROWS, height)
        for start in range(0, len(pixels), height):
            # A strip is looked at with as much around it as its part of the map depends on.
            above = min(start, REACH)
            strip = np.ascontiguousarray(pixels[start - above : start + height + REACH])
            found = self._stem.run(None, {"pixels": strip[None]})[0][0]
            parts.append(found[:, above // 4 : (above + height) // 4])
        return np.concatenate(parts, axis=1)


def network(taps: int = len(graph.CHANNELS)) -> Network:
    """Return this process's backbone up to that many taps, converted at its first use.

    Raises:
        DetectorError: The weights' package is missing or not the known one.
    """
    with _LOCK:  # or two threads would convert it side by side
        return Network(_session(None), _session(taps))


@cache
def _session(taps: int | None) -> Any:
    """Return the running stem, or, with `taps`, what follows it up to so many."""
    name = f"{_PREFIX}-{taps or 'stem'}.onnx"
    path = cache_folder(os.environ, sys.platform) / "backbones" / name
    if path.is_file():
        # A damaged file, as of a disk that was full, is no reason to fail: the weights are there.
        # It may well load all the same, and then every confidence would be another one.
        try:
            if _digest_file(path).read_text("ascii") != _digest(path.read_bytes()):
                raise ValueError("its digest does not fit")  # noqa: TRY301  (as what cannot load)
            return start_session(str(path))
        except FileNotFoundError:
            pass  # kept by a version that noted no digests
        except Exception as error:
            warnings.warn(f"{path} cannot be loaded and is made again: {error}", stacklevel=2)
    tensors = checkpoint_tensors()
    built = graph.build_rest(tensors, taps) if taps else graph.build_stem(tensors)
    try:
        for file in atomic.abandoned_files(path.parent):  # of a process that was killed here
            file.unlink(missing_ok=True)
        # The digest first: a kill in between leaves a file that is made again.
        atomic.write_text(_digest_file(path), _digest(built))
        atomic.write_bytes(path, built)
    except OSError as error:
        warnings.warn(
            f"The converted network cannot be kept in {path.parent} ({error}); it is made anew by "
            "each process. Set LFVPIPE_CACHE_DIR to a folder that can be written.",
            stacklevel=2,
        )
    return start_session(built)


def networks_of_other_versions() -> list[Path]:
    """Return converted networks in the user's cache that only other versions of this would read."""
    ours = f"{_PREFIX}-"
    found = (cache_folder(os.environ, sys.platform) / "backbones").glob("*-v*-*")
    return [file for file in found if _KEPT.fullmatch(file.name) and not file.name.startswith(ours)]


def _digest_file(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@cache
def checkpoint_tensors() -> Mapping[str, Any]:
    """Return the backbone's tensors by name, read once a process.

    Raises:
        DetectorError: The weights' package is missing or not the known one.
    """
    return checkpoint.read()


def start_session(model: bytes | str) -> Any:
    """Return a session that runs a model on one thread, the same numbers every time."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


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
