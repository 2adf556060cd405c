"""What a bucket is, wherever it lies: the protocols that every backend fulfils."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path


@dataclass(frozen=True)
class ObjectInfo:
    """What a listing says of one object; `size` in bytes, `etag` without its quotes."""

    key: str
    size: int
    etag: str
    modified: datetime


@dataclass(frozen=True)
class Stored:
    """An object that was stored; `size` in bytes, `etag` without its quotes, "" if untold."""

    key: str
    size: int
    etag: str


@dataclass(frozen=True)
class Protection:
    """How a bucket is guarded.

    Attributes:
        public_access_blocked: None where the store has no such setting or does not tell.
        encryption: The default encryption (``AES256``, ``aws:kms``); None as above.
    """

    public_access_blocked: bool | None = None
    encryption: str | None = None


@dataclass(frozen=True)
class Terms:
    """What an S3 store wants to be told with requests.

    Attributes:
        encryption: How objects are encrypted, ``AES256`` or ``aws:kms``; None: as the bucket says.
        key: The KMS key; None for the account's own.
        requester_pays: Whoever asks pays.
    """

    encryption: str | None = None
    key: str | None = None
    requester_pays: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a request that writes an object."""
        headers = {
            "x-amz-server-side-encryption": self.encryption,
            "x-amz-server-side-encryption-aws-kms-key-id": self.key,
        }
        return {name: value for name, value in headers.items() if value}


class Bucket(Protocol):
    """One bucket, which may not exist yet.

    Every method raises a `StorageError` for what the user can put right: `NoSuchBucket`,
    `AccessDenied`, and the others of `lfvpipe.storage.errors`. A key that `check_key` of
    `lfvpipe.storage.addresses` refuses is an `InvalidKey` wherever one object is named.
    """

    @property
    def name(self) -> str:
        """The bucket's name."""

    def exists(self) -> bool:
        """Say whether the bucket is there and is ours to see."""

    def create(self) -> Sequence[str]:
        """Create the bucket, private and encrypted where the store can; idempotent.

        Returns:
            Sentences that say which of these settings the store refused.
        """

    def protection(self) -> Protection:
        """Read how the bucket is guarded."""

    def delete_if_empty(self) -> bool:
        """Delete the bucket if it holds no object; return whether it is gone now."""

    def location(self) -> str:
        """Return the region that the bucket lies in."""

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Stream the objects whose keys begin with `prefix`, in no particular order."""

    def head(self, key: str, *, version: str | None = None) -> ObjectInfo | None:
        """Return what the store says of one object, or None if there is none.

        Of an older version where one is named; raises `NoVersions` where there are no versions.
        """

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        """Return an object's bytes; raises `NoSuchObject`, or `TooLarge` over `limit` bytes."""

    def get_to(
        self,
        key: str,
        path: Path,
        *,
        on_bytes: Callable[[int], None] = ...,
        version: str | None = None,
    ) -> None:
        """Write an object, or a version of it, to `path`, whole or not at all.

        `on_bytes` is told the bytes so far; what it raises ends the transfer.

        Raises:
            NoSuchObject: It is not there.
            NoVersions: A version is named, and there are none.
        """

    def stream(
        self,
        key: str,
        *,
        start: int = 0,
        end: int | None = None,
        etag: str = "",
        version: str | None = None,
    ) -> Iterator[bytes]:
        """Yield the bytes of an object, or of a version of it, from `start` to before `end`.

        Raises:
            NoSuchObject: It is not there.
            NoVersions: A version is named, and there are none.
            Changed: Its entity tag is another than `etag`, where that is not empty.
        """

    def put(self, key: str, data: bytes | Path) -> None:
        """Store bytes or a file under `key`; readers see the old object or the new one."""

    def put_many(
        self,
        items: Iterable[tuple[str, bytes | Path]],
        *,
        on_done: Callable[[Stored], None],
        jobs: int = 16,
        may_share: bool = False,
    ) -> None:
        """Store many files concurrently.

        Args:
            items: Keys, and bytes or files; consumed lazily, in the caller's thread.
            on_done: Told each object that is stored, in the caller's thread. What it raises ends
                the transfer: nothing new is started, and what is under way ends first.
            jobs: How many transfers go on at once; bounds the memory, at about 8 MiB each.
            may_share: The files are only ever replaced as a whole, so that a store on their disk
                may give them a second name, which takes no room.
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
        """Return the bucket called `name`; contacts nothing.

        Raises `InvalidBucketName` where the store tells so at once that there can be none.
        """

    def describe(self) -> dict[str, str]:
        """Return what `reconnect` needs in another process; JSON, no secrets."""
