"""What a training keeps of its stages, so that one that was killed goes on from the last of them.

Who trains says where by an object that is `Checkpoints`; without one nothing is kept, and a killed
training begins anew. What is kept is what the training would work out again, to the last bit, so
that the model file does not tell whether, and where, it was killed.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_ARRAY = "array"  # marks where one lies: its type, shape and first byte


class Checkpoints(Protocol):
    """Keeps what stages came to, by their names."""

    def begin(self, made_of: str) -> None:
        """Forget what is kept of a training of anything else than this digest says."""

    def load(self, stage: str) -> bytes | None:
        """Return what a stage came to; None where that is not kept, or damaged."""

    def save(self, stage: str, data: Callable[[], bytes], *, bulky: bool = False) -> None:
        """Keep what a stage came to, in place of what it came to before.

        Args:
            stage: Its name, the same whenever the same data are trained on.
            data: Returns it; called where it is kept.
            bulky: There may be gigabytes of its kind: it may be left out for want of room.
        """

    def discard(self, stage: str) -> None:
        """Forget what stages whose names begin so came to: it is not needed any more."""


class NothingKept:
    """Keeps nothing."""

    def begin(self, made_of: str) -> None:
        """Do nothing."""

    def load(self, stage: str) -> None:
        """Return None."""

    def save(self, stage: str, data: Callable[[], bytes], *, bulky: bool = False) -> None:
        """Do nothing."""

    def discard(self, stage: str) -> None:
        """Do nothing."""


NOTHING_KEPT: Checkpoints = NothingKept()


@dataclass(frozen=True)
class Within:
    """Keeps what parts of a stage came to, until that stage's own result is kept instead."""

    checkpoints: Checkpoints
    stage: str

    def begin(self, made_of: str) -> None:
        """Forget what is kept of a training of anything else."""
        self.checkpoints.begin(made_of)

    def load(self, stage: str) -> bytes | None:
        """Return what a part of this stage came to."""
        return self.checkpoints.load(f"{self.stage}: {stage}")

    def save(self, stage: str, data: Callable[[], bytes], *, bulky: bool = False) -> None:
        """Keep what a part of this stage came to."""
        self.checkpoints.save(f"{self.stage}: {stage}", data, bulky=bulky)

    def discard(self, stage: str) -> None:
        """Forget parts of this stage."""
        self.checkpoints.discard(f"{self.stage}: {stage}")


def are_taken_by(train: Any) -> bool:
    """Say whether a detector's `train` takes `checkpoints`: others need not know of them."""
    return "checkpoints" in inspect.signature(train).parameters


def digest_of_all(*what: object) -> str:
    """Return a digest of anything whose `repr` tells all of it."""
    return sha256(repr(what).encode()).hexdigest()


def pack(value: Any) -> bytes:
    """Return arrays within lists and dictionaries of what JSON knows as bytes; tuples are lists."""
    blob: list[bytes] = []
    size = 0

    def listed(each: Any) -> Any:
        nonlocal size
        if isinstance(each, np.ndarray):
            at, data = size, np.ascontiguousarray(each).tobytes()
            blob.append(data)
            size += len(data)
            return {_ARRAY: [each.dtype.str, each.shape, at]}
        if isinstance(each, dict):
            return {name: listed(inner) for name, inner in each.items()}
        if isinstance(each, list | tuple):
            return [listed(inner) for inner in each]
        return each

    text = json.dumps(listed(value)).encode()
    return b"".join([len(text).to_bytes(8, "little"), text, *blob])


def unpack(data: bytes) -> Any:
    """Return what `pack` was given, bit for bit."""
    start = 8 + int.from_bytes(data[:8], "little")

    def restored(each: Any) -> Any:
        if isinstance(each, list):
            return [restored(inner) for inner in each]
        if not isinstance(each, dict):
            return each
        if _ARRAY in each:
            return _array(data, start, *each[_ARRAY])
        return {name: restored(inner) for name, inner in each.items()}

    return restored(json.loads(data[8:start]))


def _array(data: bytes, start: int, dtype: str, shape: list[int], at: int) -> NDArray[Any]:
    count = int(np.prod(shape, dtype=np.int64))
    # A copy: the bytes cannot be written to, and would live as long as any array of them.
    return np.frombuffer(data, dtype, count, start + at).reshape(shape).copy()
