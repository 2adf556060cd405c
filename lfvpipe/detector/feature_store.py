"""Features of many images, on disk while training, so that memory does not grow with them.

The cells of one view of an image at 416 px take 1.1 MB; a fit reads them several times, a few
images at a time, and the system's page cache keeps what fits.
"""

import tempfile
import threading
from types import TracebackType

import numpy as np

from lfvpipe.detector.arrays import Floats, Halves


class FeatureStore:
    """Arrays (n, c) kept as float16 in a temporary file that vanishes with the process.

    Several threads may read.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="lfvpipe-")  # noqa: SIM115 - closed by __exit__
        self._lock = threading.Lock()
        self._extents: list[tuple[int, tuple[int, ...]]] = []

    def __enter__(self) -> "FeatureStore":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def append(self, features: Halves) -> int:
        """Keep `features`; return the number to read them by."""
        self._extents.append((self._file.seek(0, 2), features.shape))
        self._file.write(np.ascontiguousarray(features).tobytes())
        return len(self._extents) - 1

    def read(self, number: int) -> Floats:
        """Return what is kept under `number`, float32."""
        start, shape = self._extents[number]
        with self._lock:
            self._file.seek(start)
            data = self._file.read(int(np.prod(shape)) * 2)
        return np.frombuffer(data, np.float16).reshape(shape).astype(np.float32)


def as_stored(features: Floats) -> Floats:
    """Return features as a store gives them back: so that rounding is no difference to learn."""
    return features.astype(np.float16).astype(np.float32)
