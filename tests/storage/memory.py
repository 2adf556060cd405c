"""Buckets in memory: the smallest backend that there can be."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from lfvpipe.atomic import replacing
from lfvpipe.executor import as_completed
from lfvpipe.storage import (
    Bucket,
    Changed,
    NoSuchBucket,
    NoSuchObject,
    NoVersions,
    ObjectInfo,
    Protection,
    SourceGone,
    Stored,
    TooLarge,
    check_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

CHUNK = 1024 * 1024


@dataclass
class MemoryBuckets:
    """An object store that lasts as long as this process."""

    region: str
    endpoint: str = "memory"
    contents: dict[str, dict[str, tuple[ObjectInfo, bytes]]] = field(default_factory=dict)
    known: ClassVar[dict[str, MemoryBuckets]] = {}

    def bucket(self, name: str) -> Bucket:
        """Return the bucket called `name`."""
        return MemoryBucket(self, name)

    def describe(self) -> dict[str, str]:
        """Return a name for this store in this process."""
        self.known[str(id(self))] = self
        return {"endpoint": self.endpoint, "store": str(id(self))}

    @classmethod
    def reconnect(cls, described: Mapping[str, str]) -> MemoryBuckets:
        """Return the store that `describe` described."""
        return cls.known[described["store"]]


@dataclass
class MemoryBucket:
    """One dictionary of objects, by key."""

    buckets: MemoryBuckets
    name: str

    def exists(self) -> bool:
        return self.name in self.buckets.contents

    def create(self) -> Sequence[str]:
        self.buckets.contents.setdefault(self.name, {})
        return ()

    def protection(self) -> Protection:
        return Protection()

    def delete_if_empty(self) -> bool:
        if self.buckets.contents.get(self.name):
            return False
        self.buckets.contents.pop(self.name, None)
        return True

    def location(self) -> str:
        return self.buckets.region

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        found = [info for info, _ in self._objects().values()]
        return (info for info in found if info.key.startswith(prefix))

    def head(self, key: str, *, version: str | None = None) -> ObjectInfo | None:
        self._refuse_version(key, version)
        found = self._objects().get(check_key(key))
        return found[0] if found else None

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        try:
            info, data = self._objects()[check_key(key)]
        except KeyError as error:
            raise NoSuchObject(self._address(key)) from error
        if limit is not None and info.size > limit:
            raise TooLarge(self._address(key), info.size, limit)
        return data

    def get_to(
        self,
        key: str,
        path: Path,
        *,
        on_bytes: Callable[[int], None] = lambda _: None,
        version: str | None = None,
    ) -> None:
        with replacing(path) as file:
            for chunk in self.stream(key, version=version):
                file.write(chunk)
                on_bytes(file.tell())

    def stream(
        self,
        key: str,
        *,
        start: int = 0,
        end: int | None = None,
        etag: str = "",
        version: str | None = None,
    ) -> Iterator[bytes]:
        self._refuse_version(key, version)
        data = self.get(key)
        if etag and self._objects()[key][0].etag != etag:
            raise Changed(self._address(key))
        end = len(data) if end is None else end
        for first in range(start, end, CHUNK):
            yield data[first : min(first + CHUNK, end)]

    def put(self, key: str, data: bytes | Path) -> None:
        self._put((key, data))

    def put_many(
        self,
        items: Iterable[tuple[str, bytes | Path]],
        *,
        on_done: Callable[[Stored], None],
        jobs: int = 16,
        may_share: bool = False,
    ) -> None:
        for info in as_completed(self._put, items, jobs):
            on_done(Stored(info.key, info.size, info.etag))

    def delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._objects().pop(check_key(key), None)

    def local_path(self, key: str) -> Path | None:
        return None

    def _refuse_version(self, key: str, version: str | None) -> None:
        if version is not None:
            raise NoVersions(self._address(key))

    def _put(self, item: tuple[str, bytes | Path]) -> ObjectInfo:
        key, data = check_key(item[0]), item[1]
        if isinstance(data, Path):
            try:
                data = data.read_bytes()
            except FileNotFoundError as error:
                raise SourceGone(str(data)) from error
        etag = hashlib.md5(data).hexdigest()
        info = ObjectInfo(key, len(data), etag, datetime.now(UTC))
        self._objects()[key] = (info, data)
        return info

    def _objects(self) -> dict[str, tuple[ObjectInfo, bytes]]:
        try:
            return self.buckets.contents[self.name]
        except KeyError as error:
            raise NoSuchBucket(self.name) from error

    def _address(self, key: str) -> str:
        return f"{self.name}/{key}"
