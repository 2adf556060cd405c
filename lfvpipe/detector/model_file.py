"""A model on disk: a JSON header and aligned raw arrays; no pickle, memory-mappable, versioned.

Layout: MAGIC, version (u32), header length (u32), SHA-256 of all the rest of the file, header JSON,
padding, then each array at a multiple of 64 bytes, little-endian, C order. The header's "arrays"
maps names to {"dtype", "shape", "offset"}, offsets counted from the first array.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from lfvpipe import atomic
from lfvpipe.detector.errors import DetectorError

MAGIC = b"lfv-det\n"
VERSION = 6  # raised when an older lfvpipe could not read what is written, as with a new head
OLDEST = 6  # that is still read
ALIGNMENT = 64
Array = NDArray[Any]
_HEAD = struct.Struct("<8sII")
_BODY = _HEAD.size + hashlib.sha256().digest_size
_DTYPES = ("<f4", "<f8", "<i8", "|u1")
_MOST_DIMENSIONS = 8


def write(path: Path, header: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write `header` (JSON) and `arrays` to `path`, whole or not at all."""
    listed, blob = _lay_out(arrays)
    text = json.dumps({**header, "arrays": listed}, sort_keys=True, separators=(",", ":")).encode()
    text += b" " * (-(_BODY + len(text)) % ALIGNMENT)
    head = _HEAD.pack(MAGIC, VERSION, len(text))
    digest = hashlib.sha256(head + text + blob).digest()
    atomic.write_bytes(path, head + digest + text + blob)


def _lay_out(arrays: Mapping[str, Array]) -> tuple[dict[str, Any], bytes]:
    """Return where each array lies, and all of them; sorted, so that a model has one file."""
    listed, blob = {}, bytearray()
    for name, array in sorted(arrays.items()):
        plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        blob += b"\0" * (-len(blob) % ALIGNMENT)
        listed[name] = {
            "dtype": plain.dtype.str,
            "shape": list(plain.shape),
            "offset": len(blob),
        }
        blob += plain.tobytes()
    return listed, bytes(blob)


def read(path: Path) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return a model file's header and its arrays, which are views on the mapped file.

    Raises:
        DetectorError: No such file, not a model, damaged, or written by another lfvpipe.
    """
    try:
        data = np.memmap(path, np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise DetectorError(f"The model file {path} cannot be read: {error}.") from error
    header_end = _verify(path, data)
    try:
        header = json.loads(data[_BODY:header_end].tobytes(), parse_constant=_refuse)
        return header, _arrays(data, header_end, header)
    except (RecursionError, ValueError) as error:
        raise DetectorError(f"The model file {path} is damaged: {error}.") from error


def _verify(path: Path, data: Array) -> int:
    """Return where the header ends; raise DetectorError where the file is not whole or not ours."""
    if data.size < _BODY or data[: len(MAGIC)].tobytes() != MAGIC:
        raise DetectorError(f"{path} is not a model file of lfvpipe.")
    head, body = data[: _HEAD.size].tobytes(), data[_BODY:]
    _magic, version, length = _HEAD.unpack(head)
    if not OLDEST <= version <= VERSION:
        age = "a newer" if version > VERSION else "an older"
        read = f"{OLDEST} to {VERSION}" if OLDEST < VERSION else f"{VERSION}"
        raise DetectorError(
            f"{path} was written by {age} lfvpipe (format {version}; this one reads {read}).",
            hint="Use the lfvpipe that wrote it, or train the model again.",
        )
    digest = hashlib.sha256(head)
    digest.update(body.data)
    if digest.digest() != data[_HEAD.size : _BODY].tobytes():
        raise DetectorError(
            f"The model file {path} is damaged: its digest does not fit.",
            hint="Copy it again, or train the model again.",
        )
    return int(_BODY + length)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _arrays(data: Array, start: int, header: Any) -> dict[str, Array]:
    listed = header.get("arrays") if isinstance(header, dict) else None
    if not isinstance(listed, dict):
        raise ValueError("its header lists no arrays")  # noqa: TRY004
    return {name: _array(data, start, name, described) for name, described in listed.items()}


def _array(data: Array, start: int, name: str, described: Any) -> Array:
    """Return an array as the header describes it, which need not be true."""
    if not isinstance(described, dict) or described.keys() != {"dtype", "shape", "offset"}:
        raise ValueError(f"the array {name} is not described")
    dtype, shape, offset = (described[key] for key in ("dtype", "shape", "offset"))
    if dtype not in _DTYPES:
        raise ValueError(f"the array {name} is of no type that is read")
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS:
        raise ValueError(f"the array {name} has no shape")
    if not all(type(each) is int and each > 0 for each in shape):
        raise ValueError(f"the array {name} has a size that is none")
    size = prod(shape) * np.dtype(dtype).itemsize  # of Python's, which know no overflow
    if type(offset) is not int or offset % ALIGNMENT or not 0 <= offset <= data.size - start - size:
        raise ValueError(f"the array {name} lies outside of the file")
    begin = start + offset
    values: Array = data[begin : begin + size].view(dtype).reshape(shape)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"the array {name} holds what is no number")
    return values
