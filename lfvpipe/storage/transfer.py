"""Objects in and out of any obstore store: what folders and S3 have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import obstore

from lfvpipe.atomic import replacing
from lfvpipe.executor import as_completed
from lfvpipe.storage.buckets import ObjectInfo
from lfvpipe.storage.errors import StorageError, TooLarge, explained, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from obstore import ObjectMeta
    from obstore.store import ObjectStore

PART = 8 * 1024 * 1024
"""Bytes of one part of a multipart upload; smaller files go up in one request."""
PARTS_AT_ONCE = 2
CHUNK = 1024 * 1024
PAGE = 1000


def info(meta: ObjectMeta) -> ObjectInfo:
    """Return obstore's description of an object in our own terms."""
    etag = (meta["e_tag"] or "").strip('"')
    return ObjectInfo(meta["path"], meta["size"], etag, meta["last_modified"])


def pages(store: ObjectStore, prefix: str, where: str) -> Iterator[ObjectInfo]:
    """Stream the objects under the folder-like `prefix` (empty for all), a page at a time."""
    stream = iter(obstore.list(store, prefix or None, chunk_size=PAGE))
    while True:
        with explained(where):
            page = next(stream, None)
        if page is None:
            return
        yield from map(info, page)


def head(store: ObjectStore, key: str, where: str) -> ObjectInfo | None:
    """Return what the store says of `key`, or None."""
    with explained(where):
        return info(obstore.head(store, key))


def get(store: ObjectStore, key: str, where: str, limit: int | None) -> bytes:
    """Return the object's bytes; one with more than `limit` is not read at all."""
    with explained(where):
        found = obstore.get(store, key)
        if limit is not None and found.meta["size"] > limit:
            raise say(TooLarge, where, f"{found.meta['size']:,} bytes, at most {limit:,}")
        return bytes(found.bytes())


def unheard(done: int) -> None:
    """Take no interest in how far a transfer is."""


def get_to(
    store: ObjectStore, key: str, path: Path, where: str, on_bytes: Callable[[int], None]
) -> None:
    """Stream the object into `path`, which is replaced when all of it is there."""
    done = 0
    with explained(where), replacing(path) as file:
        for chunk in obstore.get(store, key).stream(min_chunk_size=CHUNK):
            done += file.write(chunk)
            on_bytes(done)


def put(store: ObjectStore, key: str, data: bytes | Path, where: str) -> int:
    """Store `data` under `key` and return its size in bytes."""
    size = len(data) if isinstance(data, bytes) else _size_of(data)
    with explained(where):
        obstore.put(store, key, data, chunk_size=PART, max_concurrency=PARTS_AT_ONCE)
    return size


def put_many(
    put_one: Callable[[str, Path], int],
    items: Iterable[tuple[str, Path]],
    on_done: Callable[[str, int], None],
    jobs: int,
) -> None:
    """Call `put_one` for all items, `jobs` at a time, and `on_done` here for each that is done.

    Threads rather than asyncio: obstore releases the interpreter lock, the two are equally fast,
    and a thread pool also works where the caller already runs an event loop.
    """

    def put(item: tuple[str, Path]) -> tuple[str, int]:
        return item[0], put_one(*item)

    for key, size in as_completed(put, items, jobs):
        on_done(key, size)


def _size_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError as error:
        raise StorageError(
            f"{file} was to be stored, and is gone.", hint="Run again: it will be made anew."
        ) from error
