"""Comments in PNG files, which nothing here reads and which may be of any length.

Pillow refuses a whole file for a text that unpacks to more than a megabyte: there may be a bomb in
it. Such texts are left out before it sees the file; they are never unpacked further than that.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

from lfvpipe.images.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIGNATURE = 8  # bytes
_FRAME = 12  # bytes of a chunk beside its content: length, kind, checksum
# What Pillow unpacks of one text, and takes of all together (MAX_TEXT_CHUNK, MAX_TEXT_MEMORY).
_LONGEST = 1024 * 1024
_LONGEST_OF_ALL = 64 * _LONGEST
# One that comes in pieces of 8 KiB has 25,000 at the most that are decoded.
_MOST_CHUNKS = 100_000


def without_long_texts(data: bytes) -> bytes:
    """Return a PNG file without the texts that are too long to be read; `data` where none is.

    Raises:
        ImageError: Its colour profile is too long, without which its colours would be others; or
            there are several, or more chunks than pictures have, each of which costs time.
    """
    kept: list[bytes] = []
    start = total = profiles = 0
    for number, (at, end, kind) in enumerate(_chunks(data)):
        profiles += kind == b"iCCP"
        if number == _MOST_CHUNKS or profiles > 1:
            raise ImageError(
                f"has more than {_MOST_CHUNKS:,} chunks" if profiles < 2 else "has two profiles",
                hint="Export it again, or leave it out.",
            )
        if kind == b"iCCP" and _is_long(data[at + 8 : end - 4].partition(b"\0")[2][1:]):
            raise ImageError(
                "has a colour profile of more than a megabyte, which is not read",
                hint="Convert it to sRGB and export it again.",
            )
        if kind not in (b"tEXt", b"zTXt", b"iTXt"):
            continue
        packed = _packed_text(kind, data[at + 8 : end - 4])
        # Each that is packed counts as the longest, so that many short ones are no bomb either.
        total += end - at if packed is None else _LONGEST
        if total > _LONGEST_OF_ALL or (packed is not None and _is_long(packed)):
            kept.append(data[start:at])
            start = end
    return b"".join([*kept, data[start:]]) if kept else data


def _chunks(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield where each whole chunk begins and ends, and its kind."""
    at = _SIGNATURE
    while at + _FRAME <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + _FRAME + length
        if end > len(data):
            return
        yield at, end, kind
        if kind == b"IEND":  # what stands behind it is no picture, and nobody reads it
            return
        at = end


def _packed_text(kind: bytes, content: bytes) -> bytes | None:
    """Return the text as it is packed; None for one that is not."""
    rest = content.partition(b"\0")[2]
    if kind == b"zTXt":
        return rest[1:]
    if kind == b"iTXt" and rest[:1] not in (b"", b"\0"):
        return rest[2:].split(b"\0", 2)[-1]  # behind the language and the translated keyword
    return None


def _is_long(packed: bytes) -> bool:
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(packed, _LONGEST)
    except zlib.error:
        return False  # no text to Pillow, either
    return bool(unpacking.unconsumed_tail)
