"""Whether an object is what its entity tag says: bytes may change on their way, unnoticed.

The tag of an object is the MD5 of its content, or of the MD5s of its parts (``…-2``), in nearly all
stores; not where a key of KMS or of the customer encrypts it (S3 API reference, "Object"). So a tag
that fits proves that the bytes are right, and one that does not fit proves nothing yet.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from lfvpipe.storage.objects import PART

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_TAG = re.compile(r"[0-9a-f]{32}(-\d+)?")
_CHUNK = 1024 * 1024


class Digest:
    """What the tag of the bytes that are put in would be, made in the way that `tag` was made."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.of_parts = "-" in tag
        self.whole = hashlib.md5(usedforsecurity=False)
        self._part, self._room, self._parts = self.whole.copy(), PART, b""

    def put(self, data: bytes) -> None:
        """Take the next bytes."""
        self.whole.update(data)
        rest = memoryview(data) if self.of_parts else memoryview(b"")
        while rest:
            self._part.update(rest[: self._room])
            taken = min(self._room, len(rest))
            self._room, rest = self._room - taken, rest[taken:]
            if not self._room:
                self._end_part()

    def fits(self) -> bool | None:
        """Say whether the tag is that of all bytes; None where such a tag can tell nothing."""
        if not _TAG.fullmatch(self.tag):
            return None
        if not self.of_parts:
            return self.whole.hexdigest() == self.tag
        if self._room < PART:
            self._end_part()
        number = len(self._parts) // 16
        if self.tag.partition("-")[2] != str(number):
            return None  # its parts had another size
        joined = hashlib.md5(self._parts, usedforsecurity=False).hexdigest()
        return f"{joined}-{number}" == self.tag

    def _end_part(self) -> None:
        self._parts += self._part.digest()
        self._part, self._room = hashlib.md5(usedforsecurity=False), PART


class Tags:
    """What the tags of one bucket's objects are worth, as far as it has been seen."""

    def __init__(self) -> None:
        self._fitted: set[bool] = set()  # whether of parts
        self._empty: set[bool] = set()
        self._read: dict[str, str] = {}

    def is_right(self, key: str, digest: Digest) -> bool:
        """Say whether what was read is right: its tag fits, or two readings are the same."""
        fits = digest.fits()
        if fits:
            self._fitted.add(digest.of_parts)
        if fits is not False or self.tell_nothing(digest):
            return True
        read = digest.whole.hexdigest()
        if self._read.pop(key, None) == read:
            self.disbelieve(digest)
            return True
        self._read[key] = read
        return False

    def tell_nothing(self, digest: Digest) -> bool:
        """Say whether tags of its kind are no digests in this bucket."""
        return digest.of_parts in self._empty

    def disbelieve(self, digest: Digest) -> None:
        """Take tags of its kind for something else than digests, unless one was a digest."""
        if digest.of_parts not in self._fitted:
            self._empty.add(digest.of_parts)


def digest_of(data: bytes | Path | Iterable[bytes], tag: str) -> Digest:
    """Return the digest of bytes, of a file, or of what comes in pieces."""
    digest = Digest(tag)
    for chunk in [data] if isinstance(data, bytes) else _pieces(data):
        digest.put(chunk)
    return digest


def _pieces(data: Path | Iterable[bytes]) -> Iterator[bytes]:
    if not hasattr(data, "open"):
        yield from data
        return
    with data.open("rb") as file:
        yield from iter(lambda: file.read(_CHUNK), b"")


def fits_tag(tag: str, data: bytes | Path) -> bool | None:
    """Say whether an object with this entity tag is `data`; None where the tag cannot tell."""
    return digest_of(data, tag).fits()
