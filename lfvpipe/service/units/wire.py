"""Frames between the service and a unit: a length of four bytes, then the bytes themselves.

A request is one frame, the image's file. An answer is two: JSON, then the mask's PNG or nothing.
"""

import json
import struct
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from lfvpipe.detector import Verdict

_LENGTH = struct.Struct(">I")


def send(pipe: BinaryIO, *frames: bytes) -> None:
    """Write frames; a large one goes into the pipe without being copied first.

    Raises:
        OSError: The other side is gone.
    """
    for frame in frames:
        pipe.write(_LENGTH.pack(len(frame)))
        pipe.write(frame)
    pipe.flush()


def receive(pipe: BinaryIO) -> bytes:
    """Read one frame.

    Raises:
        EOFError: The other side is gone.
    """
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    frame = pipe.read(length)
    if len(frame) < length:
        raise EOFError
    return frame


def pack(verdict: "Verdict") -> tuple[bytes, bytes]:
    """Return a verdict as the frames of an answer; the heat map stays behind."""
    facts = {
        "is_anomalous": verdict.is_anomalous,
        "confidence": verdict.confidence,
        "probability": verdict.probability,
        "anomalies": [asdict(anomaly) for anomaly in verdict.anomalies],
        "unlikeness": verdict.unlikeness,
    }
    return json.dumps({"verdict": facts}).encode(), verdict.mask_png or b""


def unpack(facts: dict[str, Any], mask: bytes) -> "Verdict":
    """Return the verdict that `pack` packed, without its heat map."""
    from lfvpipe.detector import Anomaly, Verdict

    anomalies = tuple(Anomaly(**each) for each in facts.pop("anomalies"))
    return Verdict(**facts, heat_map=None, anomalies=anomalies, mask_png=mask or None)
