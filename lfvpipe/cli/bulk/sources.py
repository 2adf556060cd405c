"""Where many images lie: a folder, or a prefix in a bucket; listed and read as a stream."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, Protocol

from lfvpipe import storage
from lfvpipe.archives import STATE_FOLDER, kind_of_junk
from lfvpipe.cli.bulk.places import is_s3, split_address
from lfvpipe.cli.usage import UsageError
from lfvpipe.dataset.globs import is_image_name
from lfvpipe.dataset.inventory import kind_in_words
from lfvpipe.errors import UserError
from lfvpipe.steps.extract.reading import MAX_FILE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lfvpipe.cli.bulk.places import BucketOf
    from lfvpipe.storage import Bucket


class Listed(NamedTuple):
    """An image of a listing.

    Attributes:
        name: Its path below the folder or prefix.
        version: Another one whenever its bytes are others, as far as the store tells.
    """

    name: str
    version: str


class NotRead(UserError):
    """An image cannot be had, which is no reason to stop.

    Attributes:
        is_final: As it was listed, it never can.
    """

    def __init__(self, message: str, *, is_final: bool) -> None:
        super().__init__(message)
        self.is_final = is_final


class Source(Protocol):
    """Where images lie."""

    @property
    def address(self) -> str:
        """As people are told of it; no slash at its end."""

    @property
    def identity(self) -> str:
        """What tells it from any other, from wherever the command is called."""

    def files(self) -> Iterator[Listed]:
        """Yield all files that there are, in no particular order."""

    def read(self, image: Listed) -> bytes:
        """Return the bytes of an image that was listed.

        Raises:
            NotRead: It is not that one any more, or too large.
            StorageError: The store failed; another attempt may help.
            OSError: Its disk failed.
        """


@dataclass(frozen=True)
class _Folder:
    address: str
    folder: Path

    @property
    def identity(self) -> str:
        return str(self.folder.absolute())

    def files(self) -> Iterator[Listed]:
        # As Path.rglob: what links lead to counts, but folders that they lead to are not entered.
        for above, folders, names in os.walk(self.folder, onerror=_refuse):
            folders[:] = [each for each in folders if each != STATE_FOLDER]
            inside = os.path.relpath(above, self.folder)
            for name in names:
                file = os.path.join(above, name)  # noqa: PTH118  (a hot loop)
                try:
                    status = os.stat(file)  # noqa: PTH116  (likewise)
                    version = _version(status) if stat.S_ISREG(status.st_mode) else _SPECIAL
                except OSError:
                    if not os.path.islink(file):  # noqa: PTH114  (likewise)
                        continue  # it went a moment ago
                    version = _NOWHERE  # which may be a drive that is not there today
                path = name if inside == "." else f"{inside}/{name}"
                yield Listed(path.replace(os.sep, "/"), version)

    def read(self, image: Listed) -> bytes:
        if image.version in (_NOWHERE, _SPECIAL):
            # A pipe would wait for who writes. What comes in its place has another version.
            raise NotRead(image.version, is_final=True)
        try:
            with (self.folder / image.name).open("rb") as file:
                if _version(os.fstat(file.fileno())) != image.version:
                    raise NotRead(_CHANGED, is_final=False)
                data = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            raise NotRead(_GONE, is_final=False) from None
        if len(data) > MAX_FILE_BYTES:
            raise NotRead(_LARGE, is_final=True)
        return data


@dataclass(frozen=True)
class _Prefix:
    address: str
    bucket: Bucket
    prefix: str

    @property
    def identity(self) -> str:
        return self.address

    def files(self) -> Iterator[Listed]:
        for each in self.bucket.list(self.prefix):
            name = each.key.removeprefix(self.prefix)
            if name and not name.endswith("/") and STATE_FOLDER not in name.split("/"):
                yield Listed(name, f"{each.size} {each.etag}")

    def read(self, image: Listed) -> bytes:
        size, _, tag = image.version.partition(" ")
        if int(size) > MAX_FILE_BYTES:
            raise NotRead(_LARGE, is_final=True)
        key = self.prefix + image.name
        try:
            return storage.until_sound(
                f"s3://{self.bucket.name}/{key}",
                lambda: b"".join(self.bucket.stream(key, etag=tag)),
            )
        except storage.NoSuchObject:
            raise NotRead(_GONE, is_final=False) from None
        except storage.Changed:
            raise NotRead(_CHANGED, is_final=False) from None
        except storage.AccessDenied as error:  # one in an archive tier, or of another owner
            raise NotRead(error.message, is_final=False) from error
        except (storage.Damaged, storage.InvalidKey) as error:
            raise NotRead(error.message, is_final=True) from error


_NOWHERE = "It is a link that leads nowhere."
_SPECIAL = "It is a device or special file."
_GONE = "It was listed, and is not there any more."
_CHANGED = "It changed after it was listed: the same command once more judges it."
_LARGE = f"It is larger than {MAX_FILE_BYTES >> 20} MB, which no photograph is."


def open_source(target: str, bucket_of: BucketOf, at: Path | None = None) -> Source:
    """Return where images lie.

    Args:
        target: A folder, or ``s3://bucket/prefix``.
        bucket_of: Returns the bucket of a name.
        at: Where the folder is, if it is called by its address elsewhere.

    Raises:
        UsageError: There is no such folder.
        StorageError: The address is none.
    """
    if is_s3(target):
        name, prefix = split_address(target)
        return _Prefix(f"s3://{name}/{prefix}".rstrip("/"), bucket_of(name), prefix)
    folder = at or Path(target)
    if not folder.is_dir():
        there = "is no folder" if folder.exists() else "is not there"
        hint = "With --out, name one folder, or one s3://bucket/prefix."
        raise UsageError(f"{folder} {there}.", hint=hint)
    return _Folder(target.rstrip("/") or "/", folder)


def why_left_out(name: str) -> str:
    """Return as what a file is not judged, by its path below the folder; "" where it is."""
    if kind := kind_of_junk(name):
        return kind
    if is_image_name(name):
        return ""
    return PurePosixPath(name).suffix.lower() or "file without an ending"


def about_left_out(left_out: Mapping[str, int]) -> tuple[str, ...]:
    """Return what lies in the folders that were named and is not judged."""
    if not left_out:
        return ()
    ordered = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    kinds = ", ".join(f"{count:,} {kind_in_words(kind, count)}" for kind, count in ordered)
    return (f"Not judged, as no image to judge: {kinds}.",)


def key_of(name: str) -> bytes:
    """Return the bytes of a name, by which names are ordered; not every file's is Unicode."""
    return name.encode("utf-8", "surrogateescape")


def _version(status: os.stat_result) -> str:
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def _refuse(error: OSError) -> None:
    """Stop where a folder cannot be listed: else what lies in it would be missing in silence."""
    raise UserError(f"{error.filename} cannot be listed: {error.strerror}.") from error
