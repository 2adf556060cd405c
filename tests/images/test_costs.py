"""Small files that would be much work: what they hold beside pixels is bounded, and told.

Each of these took seconds to minutes to decode, by what a few bytes ask for again and again.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from lfvpipe.images import ImageError, examine, read_image, upright_size

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
HEAD = 33  # bytes of a PNG's signature and first chunk


def saved(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    NOISE.save(buffer, kind, **options)
    return buffer.getvalue()


def scan_of(jpeg: bytes) -> bytes:
    """Return the head of its last scan, which is a scan without data."""
    at = jpeg.rindex(b"\xff\xda")
    return jpeg[at : at + 2 + int.from_bytes(jpeg[at + 2 : at + 4])]


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


JPEG, PNG = saved("JPEG", progressive=True), saved("PNG")
SCAN = scan_of(JPEG)
COSTLY = {
    "scans": (JPEG[:-2] + SCAN * 200 + JPEG[-2:], "more than 100 scans"),
    "scans behind rubbish": (JPEG[:-2] + b"rubbish" + SCAN * 200 + JPEG[-2:], "100 scans"),
    "scans among comments": (JPEG[:-2] + (b"\xff\xfe\0\2" + SCAN) * 200, "100 scans"),
    "scans of a picture in one pass": (saved("JPEG")[:-2] + scan_of(saved("JPEG")) * 200, "scans"),
    "comments": (JPEG[:2] + b"\xff\xfe\0\2" * 30_000 + JPEG[2:], "more than 20,000 segments"),
    "comments before scans": (JPEG[:-2] + b"\xff\xfe\0\2" * 30_000 + SCAN * 200, "segments"),
    "fill bytes": (JPEG[:2] + b"\xff" * 30_000 + JPEG[2:], "segments"),
    "restarts": (JPEG[:2] + b"\xff\xd0" * 30_000 + JPEG[2:], "segments"),
    "chunks": (PNG[:HEAD] + chunk(b"abCd") * 110_000 + PNG[HEAD:], "more than 100,000 chunks"),
    "chunks behind": (PNG[:-12] + chunk(b"abCd") * 110_000 + PNG[-12:], "100,000 chunks"),
    "profiles": (
        PNG[:HEAD] + chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(900_000))) * 2 + PNG[HEAD:],
        "two profiles",
    ),
}


@pytest.mark.parametrize(("data", "said"), COSTLY.values(), ids=COSTLY)
def test_what_costs_more_than_its_pixels_is_refused(data: bytes, said: str) -> None:
    for read in (examine, read_image, upright_size):
        with pytest.raises(ImageError, match=said):
            read(data)


def test_what_only_looks_like_scans_is_read() -> None:
    comment = b"\xff\xda" * 300
    told = b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment
    assert examine(JPEG[:2] + told + JPEG[2:]).width == 64
    assert examine(JPEG + JPEG * 12).width == 64  # as phones add pictures behind the first


def test_pages_are_not_counted_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sought: list[int] = []
    seek = TiffImagePlugin.TiffImageFile._seek

    def count(self: TiffImagePlugin.TiffImageFile, frame: int) -> None:
        sought.append(frame)
        seek(self, frame)

    monkeypatch.setattr(TiffImagePlugin.TiffImageFile, "_seek", count)
    data = saved("TIFF", save_all=True, append_images=[NOISE] * 50)
    assert "first-page" in examine(data).changes
    assert max(sought) <= 1
    assert "first-page" not in examine(saved("TIFF")).changes
