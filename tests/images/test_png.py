"""Comments in PNG files, however long, are no damage; what they hide is no bomb."""

from __future__ import annotations

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from lfvpipe.images import ImageError, examine, read_image, upright_size

PIXELS = np.arange(64 * 48, dtype=np.uint8).reshape(48, 64)
MIB = 1024 * 1024


def chunk(kind: bytes, content: bytes) -> bytes:
    frame = struct.pack(">I", len(content)) + kind + content
    return frame + struct.pack(">I", zlib.crc32(kind + content))


def png(*chunks: bytes, behind: bool = False, orientation: int = 1) -> bytes:
    """Return a PNG with chunks in front of its pixels, or behind them."""
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PIXELS).save(buffer, "PNG", exif=exif)
    data = buffer.getvalue()
    at = data.index(b"IEND" if behind else b"IDAT") - 4
    return data[:at] + b"".join(chunks) + data[at:]


COMMENT = b"x" * (2 * MIB)
TEXTS = {
    "zTXt": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(COMMENT)),
    "iTXt": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(COMMENT)),
    "iTXt, not packed": chunk(b"iTXt", b"Comment\0\0\0\0\0" + COMMENT),
    "tEXt": chunk(b"tEXt", b"Comment\0" + COMMENT),
}


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("kind", TEXTS)
def test_a_long_comment_is_no_damage(kind: str, behind: bool) -> None:
    data = png(TEXTS[kind], behind=behind, orientation=6)
    assert upright_size(data) == (48, 64)
    assert read_image(data).image.tobytes() == np.rot90(PIXELS, -1).tobytes()
    assert examine(data).whole == (48, 64)


def test_many_long_comments_are_left_out_without_unpacking_them_all() -> None:
    bomb = TEXTS["zTXt"]
    data = png(*[bomb] * 3000)
    started = time.process_time()
    assert read_image(data).image.size == (64, 48)
    assert time.process_time() - started < 5  # all of them would unpack to 6 GB


def test_a_short_text_that_says_how_a_photograph_lies_still_counts() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    block = exif.tobytes()
    raw = f"\nexif\n{len(block):8}\n{block.hex()}\n".encode()
    named = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw))
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    data = buffer.getvalue()
    at = data.index(b"IDAT") - 4
    assert upright_size(data[:at] + named + TEXTS["zTXt"] + data[at:]) == (48, 64)


def test_a_profile_that_is_too_long_is_told_as_that() -> None:
    profile = chunk(b"iCCP", b"icc\0\0" + zlib.compress(COMMENT))
    with pytest.raises(ImageError, match="has a colour profile of more than a megabyte"):
        read_image(png(profile))


def test_a_comment_does_not_hide_damage() -> None:
    data = bytearray(png(TEXTS["zTXt"]))
    at = data.index(b"IDAT") + 8
    data[at : at + 4] = b"\0\0\0\0"
    with pytest.raises(ImageError, match="truncated or damaged"):
        read_image(bytes(data))
