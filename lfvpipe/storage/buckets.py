"""The face of storage: buckets of objects, in a folder or on S3.

This module is cheap to import; obstore and boto3 are loaded by `connect`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lfvpipe.storage.errors import (
    AccessDenied,
    InvalidKey,
    NoSuchBucket,
    NoSuchObject,
    StorageError,
    TooLarge,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

__all__ = [
    "AccessDenied",
    "Bucket",
    "Buckets",
    "InvalidKey",
    "NoSuchBucket",
    "NoSuchObject",
    "ObjectInfo",
    "Protection",
    "StorageError",
    "TooLarge",
    "check_key",
    "connect",
    "parse_s3_uri",
    "reconnect",
]

LONGEST_KEY = 1024
"""Bytes of UTF-8 that S3 allows in an object key."""


@dataclass(frozen=True)
class ObjectInfo:
    """What a listing says of one object; `size` in bytes, `etag` without its quotes."""

    key: str
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True)
class Protection:
    """How a bucket is guarded.

    Attributes:
        public_access_blocked: None where the store has no such setting or does not tell.
        encryption: The default encryption (``AES256``, ``aws:kms``); None as above.
    """

    public_access_blocked: bool | None = None
    encryption: str | None = None


class Bucket(Protocol):
    """One bucket, which may not exist yet.

    Every method raises a `StorageError` for what the user can put right: `NoSuchBucket`,
    `AccessDenied`, and the others of `lfvpipe.storage.errors`.
    """

    @property
    def name(self) -> str:
        """The bucket's name."""

    def exists(self) -> bool:
        """Say whether the bucket is there and is ours to see."""

    def create(self) -> None:
        """Create the bucket, private and encrypted where the store can; idempotent."""

    def protection(self) -> Protection:
        """Read how the bucket is guarded."""

    def delete_if_empty(self) -> bool:
        """Delete the bucket if it holds no object; return whether it is gone now."""

    def location(self) -> str:
        """Return the region that the bucket lies in."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Stream the objects whose keys begin with `prefix`, in no particular order."""

    def head(self, key: str) -> ObjectInfo | None:
        """Return what the store says of one object, or None if there is none."""

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        """Return an object's bytes; raises `NoSuchObject`, or `TooLarge` over `limit` bytes."""

    def get_to(self, key: str, path: Path, *, on_bytes: Callable[[int], None] = ...) -> None:
        """Write an object to `path`, whole or not at all; raises `NoSuchObject`.

        `on_bytes` is told the bytes so far; what it raises ends the transfer.
        """

    def put(self, key: str, data: bytes | Path) -> None:
        """Store bytes or a file under `key`; readers see the old object or the new one."""

    def put_many(
        self,
        items: Iterable[tuple[str, Path]],
        *,
        on_done: Callable[[str, int], None],
        jobs: int = 16,
    ) -> None:
        """Store many files concurrently.

        Args:
            items: Keys and files; consumed lazily, in the caller's thread.
            on_done: Told each stored key and its size in bytes, in the caller's thread. What it
                raises ends the transfer: nothing new is started, and what is under way ends first.
            jobs: How many transfers go on at once; bounds the memory, at about 8 MiB each.
        """

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects; one that is not there is no error."""

    def local_path(self, key: str) -> Path | None:
        """Return where the object lies (or would lie) on this machine's disk, None on S3."""


class Buckets(Protocol):
    """An object store: the buckets behind one endpoint."""

    @property
    def endpoint(self) -> str:
        """``local``, ``aws`` or the S3 endpoint's URL."""

    def bucket(self, name: str) -> Bucket:
        """Return the bucket called `name`; contacts nothing."""

    def describe(self) -> dict[str, str]:
        """Return what `reconnect` needs in another process; JSON, no secrets."""


def connect(endpoint: str, *, region: str, root: Path) -> Buckets:
    """Return the object store at `endpoint`; contacts nothing.

    Args:
        endpoint: ``local``, ``aws``, or the URL of an S3 endpoint.
        region: The region to create buckets in and to sign for.
        root: The folder that holds the local buckets.

    Raises:
        StorageError: The endpoint is none of these, or no AWS credentials are found.
    """
    if endpoint == "local":
        from lfvpipe.storage.local import LocalBuckets

        return LocalBuckets(root, region)
    if endpoint == "aws" or endpoint.startswith(("https://", "http://")):
        from lfvpipe.storage.s3 import S3Buckets

        return S3Buckets(endpoint, region=region, root=root)
    raise StorageError(
        f"“{endpoint}” is no storage endpoint.",
        hint="Give `local`, `aws`, or the http(s):// URL of an S3 endpoint.",
    )


def reconnect(described: Mapping[str, str]) -> Buckets:
    """Return the object store that `Buckets.describe` described."""
    return connect(described["endpoint"], region=described["region"], root=Path(described["root"]))


def parse_s3_uri(uri: str) -> tuple[str, str]:
    """Split ``s3://bucket/key`` into bucket and key; the key may be empty.

    Raises:
        StorageError: It is no such address.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme.lower() != "s3" or not bucket:
        raise StorageError(
            f"“{uri}” is no S3 address.", hint="Write it as s3://bucket/path/of/object."
        )
    return bucket, key


def check_key(key: str) -> str:
    """Return `key` if every store can hold it and no store could be led astray by it.

    Raises:
        InvalidKey: It is empty or too long, holds control characters, or has an empty, ``.``
            or ``..`` segment.
    """
    segments = key.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        raise InvalidKey(f"“{key}” cannot be an object key: a part of it is empty, “.” or “..”.")
    if not key.isprintable() and any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in key):
        raise InvalidKey(f"{key!r} cannot be an object key: it holds control characters.")
    try:
        length = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidKey(f"{key!r} cannot be an object key: it is not valid Unicode.") from error
    if length > LONGEST_KEY:
        raise InvalidKey(f"An object key may have {LONGEST_KEY} bytes; “{key[:60]}…” has {length}.")
    return key
