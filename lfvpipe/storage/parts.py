"""A remote file of which parts are here: a file with holes, and notes on what is there.

All parts are of one version, which the notes name. A part is noted when it was written, so that a
kill leaves nothing that is taken for what it is not.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol, Self

from lfvpipe.atomic import staging, sync_file
from lfvpipe.damage import parse_json
from lfvpipe.storage import cache
from lfvpipe.storage.errors import NoRanges
from lfvpipe.storage.versions import Validators

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from lfvpipe.storage.buckets import Bucket

Span = tuple[int, int]
"""Where bytes begin, and where they have ended."""


class Parts(Protocol):
    """A remote file, read by parts; a context manager."""

    def read_end(self, size: int) -> tuple[Validators, bytes]:
        """Return which version there is, and at most its last `size` bytes.

        Raises `NoRanges` where no parts are sent, and what the store or server makes of it.
        """

    def read(self, version: Validators, start: int, end: int) -> bytes:
        """Return the bytes from `start` to before `end`.

        Raises `Changed` where there is another version now, and `NoRanges`.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class ObjectParts:
    """Reads parts of an object in a bucket."""

    def __init__(self, bucket: Bucket, key: str) -> None:
        self._bucket = bucket
        self._key = key

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the bucket open: it is not ours."""

    def read_end(self, size: int) -> tuple[Validators, bytes]:
        """See `Parts`."""
        found = self._bucket.head(self._key)
        if found is None or not found.etag:
            raise NoRanges("the store does not say which version it has")
        version = Validators(found.etag, total=found.size)
        if not found.size:
            return version, b""  # of nothing no part can be asked for
        return version, self.read(version, max(0, found.size - size), found.size)

    def read(self, version: Validators, start: int, end: int) -> bytes:
        """See `Parts`."""
        data = bytearray()
        for chunk in self._bucket.stream(self._key, start=start, end=end, etag=version.etag):
            data += chunk
            if len(data) > end - start:
                break
        if len(data) != end - start:
            raise NoRanges("the store sends other parts than asked for")
        return bytes(data)


class PartialFile:
    """The parts of one address, within its folder of the cache.

    Args:
        folder: The cache's folder of the address.
        address: What it is called after.
    """

    def __init__(self, folder: Path, address: str) -> None:
        self.path = folder / "parts" / cache.file_name(address)
        self._notes = folder / "parts" / ".parts.json"
        self.version = Validators()
        self.spans: list[Span] = []
        try:
            notes = parse_json(self._notes.read_bytes())
            version = Validators(**notes["version"])
            spans = [(int(start), int(end)) for start, end in notes["spans"]]
            if self.path.stat().st_size == version.total:
                self.version, self.spans = version, spans
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return  # it is only a cache: what nobody knows of is fetched again

    @property
    def is_there(self) -> bool:
        """Whether any of it is."""
        return bool(self.spans)

    def begin(self, version: Validators) -> None:
        """Make an empty file of this version; what was there is thrown away."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._notes.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)
        with self.path.open("wb") as file:
            file.truncate(version.total or 0)
        self.version, self.spans = version, []

    def put(self, parts: Iterable[tuple[int, bytes]], *, synced: bool = True) -> None:
        """Write parts, by where they begin, and note them.

        Args:
            parts: Where each begins, and its bytes.
            synced: They are on the disk when they are noted; else a power cut may leave a hole
                that is taken for bytes, which whoever reads them has to find out.
        """
        with self.path.open("r+b") as file:
            for start, data in parts:
                file.seek(start)
                file.write(data)
                self.spans = merge([*self.spans, (start, start + len(data))])
            file.flush()
            if synced:
                sync_file(file.fileno())
        self._write_notes(synced=synced)

    def take(self, whole: Path) -> None:
        """Take a file that has all of this version in place of the parts."""
        whole.replace(self.path)
        self.spans = [(0, self.version.total or 0)]
        self._write_notes()

    def forget(self, spans: Sequence[Span] | None = None) -> None:
        """Have these parts fetched again; without any, have the whole thrown away."""
        if spans is None:
            self._notes.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)
            self.version, self.spans = Validators(), []
        else:
            self.spans = subtract(self.spans, merge(spans))
            self._write_notes()

    def read(self, start: int, end: int) -> bytes:
        """Return bytes that are there."""
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def _write_notes(self, *, synced: bool = True) -> None:
        notes = {"version": asdict(self.version), "spans": self.spans}
        with staging(self._notes, synced=synced) as staged:
            staged.file.write(json.dumps(notes).encode())


def merge(spans: Iterable[Span], gap: int = 0) -> list[Span]:
    """Return the spans sorted, those that are at most `gap` bytes apart as one."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1] + gap:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def subtract(spans: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """Return what of `spans` is in none of `others`; both sorted, without overlaps."""
    left: list[Span] = []
    at = 0
    for begin, end in spans:
        start = begin
        while at < len(others) and others[at][1] <= start:
            at += 1
        following = at
        while following < len(others) and others[following][0] < end:
            if others[following][0] > start:
                left.append((start, others[following][0]))
            start = max(start, others[following][1])
            following += 1
        if start < end:
            left.append((start, end))
    return left
