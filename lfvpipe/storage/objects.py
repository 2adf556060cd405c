"""Objects in and out of any obstore store: what folders and S3 have in common.

Bulk transfer goes through obstore rather than boto3: it has the same face for a local folder and
for S3, and moves ten thousand small files three times as fast as `aws s3 sync` at an eighth of its
CPU, since it works outside the interpreter lock.
"""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING

import obstore

from lfvpipe.atomic import replacing
from lfvpipe.executor import as_completed
from lfvpipe.storage.buckets import ObjectInfo, Stored
from lfvpipe.storage.errors import Changed, ForeignAnswer, SourceGone, TooLarge
from lfvpipe.storage.failures import translating

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from obstore import GetOptions, GetResult, ObjectMeta
    from obstore.store import ObjectStore

PART = 8 * 1024 * 1024
"""Bytes of one part of a multipart upload; smaller files go up in one request."""
PARTS_AT_ONCE = 2
CHUNK = 1024 * 1024
PAGE = 1000
"""Keys in one page of a listing and in one request that deletes: S3 allows no more."""


def read_listing(store: ObjectStore, prefix: str, where: str) -> Iterator[ObjectInfo]:
    """Stream the objects under the folder-like `prefix` (empty for all), a page at a time."""
    stream = iter(obstore.list(store, prefix or None, chunk_size=PAGE))
    while True:
        with translating(where):
            page = next(stream, None)
        if page is None:
            return
        yield from map(_info, page)


def head(store: ObjectStore, key: str, where: str) -> ObjectInfo:
    """Return what the store says of `key`; raises `NoSuchObject`."""
    with translating(where):
        return _info(_genuine(obstore.head(store, key), where))


def get(store: ObjectStore, key: str, where: str, limit: int | None) -> tuple[str, bytes]:
    """Return the object's entity tag and bytes; one with more than `limit` is not read at all."""
    with translating(where):
        found = obstore.get(store, key)  # the head alone: the body is a stream that waits
        about = _info(_genuine(found.meta, where))
        if limit is not None and about.size > limit:
            raise TooLarge(where, about.size, limit)
        return about.etag, bytes(found.bytes())


def ignore_progress(done: int) -> None:
    """Take no interest in how far a transfer is."""


def open_stream(
    store: ObjectStore,
    key: str,
    where: str,
    *,
    start: int = 0,
    end: int | None = None,
    etag: str = "",
) -> tuple[str, Iterator[bytes]]:
    """Return the object's entity tag, and its bytes from `start` to before `end`.

    Raises:
        NoSuchObject: It is not there.
        Changed: It has another entity tag than `etag`, where one is given.
    """
    with translating(where):
        options: GetOptions = {"range": {"offset": start}} if start else {}
        if end is not None:
            options = {"range": (start, end)}
        found = obstore.get(store, key, options=options)
        now = _info(_genuine(found.meta, where)).etag
        if etag and now != etag:
            raise Changed(where)
    return now, _chunks(found, where)


def _chunks(found: GetResult, where: str) -> Iterator[bytes]:
    with translating(where):
        for chunk in found.stream(min_chunk_size=CHUNK):
            yield bytes(chunk)


def write_to(
    path: Path, chunks: Iterable[bytes], on_bytes: Callable[[int], None], where: str
) -> None:
    """Write `chunks` to `path`, which is replaced when all of them are there."""
    done = 0
    with translating(where), replacing(path) as file:
        for chunk in chunks:
            done += file.write(chunk)
            on_bytes(done)


def put(store: ObjectStore, key: str, data: bytes | Path, where: str) -> Stored:
    """Store `data` under `key` and return what became of it.

    Raises:
        SourceGone: `data` is a file that is not there.
    """
    if isinstance(data, bytes):
        size = len(data)
    else:
        try:
            size = data.stat().st_size
        except FileNotFoundError as error:  # else it would be told as the object's absence
            raise SourceGone(str(data)) from error
    with translating(where):
        made = obstore.put(store, key, data, chunk_size=PART, max_concurrency=PARTS_AT_ONCE)
    return Stored(key, size, (made["e_tag"] or "").strip('"'))


def opened(data: bytes | Path) -> IO[bytes]:
    """Return `data` as a file to read.

    Raises:
        SourceGone: `data` is a file that is not there.
    """
    if isinstance(data, bytes):
        return io.BytesIO(data)
    try:
        return data.open("rb")
    except FileNotFoundError as error:  # else it would be told as the object's absence
        raise SourceGone(str(data)) from error


def put_many(
    put_one: Callable[[str, bytes | Path], Stored],
    items: Iterable[tuple[str, bytes | Path]],
    on_done: Callable[[Stored], None],
    jobs: int,
) -> None:
    """Call `put_one` for all items, `jobs` at a time, and `on_done` here for each that is done.

    Threads rather than asyncio: obstore releases the interpreter lock, the two are equally fast,
    and a thread pool also works where the caller already runs an event loop.
    """
    for stored in as_completed(lambda item: put_one(*item), items, jobs):
        on_done(stored)


def _genuine(meta: ObjectMeta, where: str) -> ObjectMeta:
    """Return `meta`; every store gives an entity tag, and the log-in page of a network none."""
    if not meta["e_tag"]:
        raise ForeignAnswer(where)
    return meta


def _info(meta: ObjectMeta) -> ObjectInfo:
    etag = (meta["e_tag"] or "").strip('"')
    return ObjectInfo(meta["path"], meta["size"], etag, meta["last_modified"])
