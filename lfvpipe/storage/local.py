"""Buckets that are folders of this machine, through obstore's LocalStore."""

from __future__ import annotations

import os
import re
import shutil
from functools import cached_property
from typing import TYPE_CHECKING

from obstore.store import LocalStore

from lfvpipe.atomic import (
    CAN_SYNC_ALL,
    abandoned_files,
    link,
    make_folder,
    remove_folder,
    staging,
    sync_all,
    sync_folder,
)
from lfvpipe.storage import objects
from lfvpipe.storage.addresses import check_key, is_path
from lfvpipe.storage.buckets import Bucket, ObjectInfo, Protection, Stored
from lfvpipe.storage.errors import (
    InvalidBucketName,
    InvalidKey,
    LeadsOutside,
    NoSuchBucket,
    NoSuchObject,
    NoVersions,
)
from lfvpipe.storage.failures import translating

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")

# A file is `key#1234` until it is whole. LocalStore leaves such out of listings, so that what a
# kill left of them is no object; a key that ends so could be written but never listed.
_STAGING_KEY = re.compile(r"#\d+$")
_OUR_STAGING_KEY = re.compile(r"#\d{16,20}$")  # nearly all numbers of 64 bits

# What Windows gives to devices, or cuts off the end of a name.
_RESERVED_ON_WINDOWS = re.compile(
    r'[<>:"|?*]|[ .](?:/|$)|(?:^|/)(?:con|prn|aux|nul|com\d|lpt\d)(?:[./]|$)', re.IGNORECASE
)


class LocalBuckets:
    """The buckets in the folder `root`, one folder each."""

    endpoint = "local"

    def __init__(self, root: Path, region: str) -> None:
        self._root = root
        self._region = region

    def bucket(self, name: str) -> Bucket:
        """Return the bucket called `name`, after the rules that S3 has for names."""
        if not _BUCKET_NAME.fullmatch(name) or ".." in name:
            raise InvalidBucketName(f"“{name}”")
        return LocalBucket(self._root / name, self._region)

    def abandoned_files(self, *, of_others: bool = False) -> Iterator[Path]:
        """Yield what killed transfers left in any of the buckets.

        Args:
            of_others: Others, too, put files into these folders, and may have called one ``a#1``,
                as earlier versions called what they were writing.
        """
        pattern = _OUR_STAGING_KEY if of_others else _STAGING_KEY
        return abandoned_files(self._root, lambda name: bool(pattern.search(name)))

    def describe(self) -> dict[str, str]:
        """Return what `reconnect` needs."""
        root = os.path.abspath(self._root)  # noqa: PTH100  (resolve() would follow a linked root)
        return {"endpoint": "local", "region": self._region, "root": root}


class LocalBucket:
    """One folder; an object's key is its path in it."""

    def __init__(self, folder: Path, region: str) -> None:
        self._folder = folder
        self._region = region
        self.name = folder.name

    def exists(self) -> bool:
        """Say whether the folder is there."""
        return self._folder.is_dir()

    def create(self) -> Sequence[str]:
        """Make the folder; what guards it are its permissions, so that nothing is refused."""
        with translating(str(self._folder)):
            make_folder(self._folder)
        return ()

    def protection(self) -> Protection:
        """Return nothing known: a folder's guard is its permissions."""
        return Protection()

    def delete_if_empty(self) -> bool:
        """Remove the folder, with what a killed transfer left in it, if it holds no object."""
        if self.exists():
            if next(self.list(), None) is not None:
                return False
            with translating(str(self._folder)):
                remove_folder(self._folder)
        return True

    def location(self) -> str:
        """Return the region that the store was connected for."""
        return self._region

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Stream the objects whose keys begin with `prefix`; what lies behind links is left out."""
        store = self._existing_store()
        if "/" in prefix and not is_path(prefix.rpartition("/")[0]):
            return  # no key begins so
        is_inside: dict[str, bool] = {}  # one look at each folder rather than at each file
        for found in objects.read_listing(store, prefix.rpartition("/")[0], str(self._folder)):
            folder = found.key.rpartition("/")[0]
            if folder not in is_inside:
                is_inside[folder] = self._leads_inside(folder)
            if is_inside[folder] and found.key.startswith(prefix):
                yield found

    def head(self, key: str, *, version: str | None = None) -> ObjectInfo | None:
        """Return what the disk says of one object; there are no versions."""
        self._refuse_version(key, version)
        try:
            return objects.head(self._existing_store(), self._check(key), self._address(key))
        except NoSuchObject:
            return None

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        """Return an object's bytes."""
        return objects.get(self._existing_store(), self._check(key), self._address(key), limit)[1]

    def get_to(
        self,
        key: str,
        path: Path,
        *,
        on_bytes: Callable[[int], None] = objects.ignore_progress,
        version: str | None = None,
    ) -> None:
        """Copy an object to `path`; there are no versions."""
        chunks = self.stream(key, version=version)
        objects.write_to(path, chunks, on_bytes, self._address(key))

    def stream(
        self,
        key: str,
        *,
        start: int = 0,
        end: int | None = None,
        etag: str = "",
        version: str | None = None,
    ) -> Iterator[bytes]:
        """Yield an object's bytes from `start` to before `end`; there are no versions."""
        self._refuse_version(key, version)
        store = self._existing_store()
        where = self._address(key)
        path = self._check(key)
        return objects.open_stream(store, path, where, start=start, end=end, etag=etag)[1]

    def put(self, key: str, data: bytes | Path) -> None:
        """Store bytes or a file; it is on the disk when this returns."""
        self._put_durably(key, data)

    def put_many(
        self,
        items: Iterable[tuple[str, bytes | Path]],
        *,
        on_done: Callable[[Stored], None],
        jobs: int = 8,
        may_share: bool = False,
    ) -> None:
        """Store many files concurrently.

        They are synced to the disk together when all are there: each by itself would cost more than
        the copy. Where the platform syncs no more than one file at a time, each is synced.
        """
        alone = self._put if CAN_SYNC_ALL else self._put_durably
        objects.put_many(self._share if may_share else alone, items, on_done, jobs)
        sync_all()

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects, and the folders that they leave empty."""
        store = self._existing_store()
        for key in keys:
            with translating(self._address(key)):
                path = self._check(key)
                if (self._folder / path).is_file():
                    store.delete(path)

    def local_path(self, key: str) -> Path | None:
        """Return the object's own file."""
        return self._folder / self._check(key)

    def _put(self, key: str, data: bytes | Path, *, synced: bool = False) -> Stored:
        self._existing_store()
        path = self._folder / self._check(key)
        temporary = f"{path.name[:40]}#{int.from_bytes(os.urandom(8), 'big')}"
        # Not by LocalStore: the lock on the file tells what a kill left from what is on its way.
        with (
            translating(self._address(key)),
            objects.opened(data) as source,
            staging(path, synced=synced, temporary=temporary) as staged,
        ):
            shutil.copyfileobj(source, staged.file, objects.CHUNK)
            return Stored(key, staged.file.tell(), "")

    def _put_durably(self, key: str, data: bytes | Path) -> Stored:
        stored = self._put(key, data, synced=True)
        with translating(self._address(key)):
            # The folders above may be as new as the file.
            for folder in (*(self._folder / key).parents,)[1 : key.count("/") + 1]:
                sync_folder(folder)
        return stored

    @cached_property
    def _store(self) -> LocalStore:
        with translating(str(self._folder)):
            return LocalStore(self._folder, automatic_cleanup=True)

    def _share(self, key: str, file: bytes | Path) -> Stored:
        """Give a file the object's name, too; copy it where its disk has no such second names.

        Nor is one given that takes another file's place: that needs a moment without either.
        """
        self._existing_store()
        path = self._folder / self._check(key)
        with translating(self._address(key)):
            make_folder(path.parent)
        if not isinstance(file, bytes) and link(file, path):
            return Stored(key, path.stat().st_size, "")
        return self._put(key, file)

    def _existing_store(self) -> LocalStore:
        # LocalStore would make the folder anew; but then nobody would notice that it was removed.
        if not self.exists():
            raise NoSuchBucket(str(self._folder))
        return self._store

    def _refuse_version(self, key: str, version: str | None) -> None:
        if version is not None:
            raise NoVersions(self._address(key), "a local bucket keeps none")

    def _address(self, key: str) -> str:
        return str(self._folder / key)

    def _check(self, key: str) -> str:
        check_key(key)
        if not is_path(key):
            raise InvalidKey(
                f"“{key}”" if key.isprintable() else repr(key),
                "in a local bucket no part may be empty, “.” or “..”, and no character may be a"
                " control character",
            )
        is_reserved = os.name == "nt" and _RESERVED_ON_WINDOWS.search(key)
        if "\\" in key or _STAGING_KEY.search(key) or is_reserved:
            raise InvalidKey(
                f"“{key}”",
                "a local bucket takes no backslash, no ending such as #1, and on Windows no"
                " reserved name",
            )
        if not self._leads_inside(key):
            raise LeadsOutside(self._address(key))
        return key

    def _leads_inside(self, key: str) -> bool:
        real = os.path.realpath(self._folder / key)
        return real == self._real_folder or real.startswith(self._real_folder + os.sep)

    @cached_property
    def _real_folder(self) -> str:
        return os.path.realpath(self._folder)
