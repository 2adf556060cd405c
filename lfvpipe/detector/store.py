"""Positions of many images, on disk while training, so that memory does not grow with them."""

import tempfile
import threading
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class CellStore:
    """Arrays (n, c) kept as float16 in a temporary file that vanishes with the process.

    Several threads may read.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="lfvpipe-")  # noqa: SIM115 - closed by __exit__
        self._lock = threading.Lock()
        self._places: list[tuple[int, tuple[int, ...]]] = []

    def __enter__(self) -> "CellStore":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def append(self, cells: NDArray[np.float16]) -> int:
        """Keep `cells`; return the number to read them by."""
        self._places.append((self._file.seek(0, 2), cells.shape))
        self._file.write(np.ascontiguousarray(cells).tobytes())
        return len(self._places) - 1

    def read(self, number: int) -> Floats:
        """Return the cells kept under `number`, float32."""
        place, shape = self._places[number]
        with self._lock:
            self._file.seek(place)
            data = self._file.read(int(np.prod(shape)) * 2)
        return np.frombuffer(data, np.float16).reshape(shape).astype(np.float32)


def rounded(cells: Floats) -> Floats:
    """Return cells as they come back from a store: so that rounding is no difference to learn."""
    return cells.astype(np.float16).astype(np.float32)
