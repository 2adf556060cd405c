"""Tar archives, read as a stream: one pass to list, one pass to take members out."""

import bz2
import gzip
import lzma
import tarfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from lfvpipe.archives.members import (
    ArchiveError,
    Census,
    Limits,
    Member,
    damaged,
    junk,
    missing_member,
    safe_name,
    special,
    too_large,
)

_BLOCK = 1 << 20
_HEADERS = 1 << 20  # bytes of one member's headers: long names and what else extends them
_LEAST = 1 << 14  # bytes that each counts for: a long chain of small ones is too much as well
_BROKEN = (tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError)


class _Header(tarfile.TarInfo):
    """A header; tarfile takes a file that ends between two members for a complete archive."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str | None, errors: str) -> Self:
        if not buf:
            raise tarfile.ReadError("it ends without the mark of its end")
        return super().frombuf(buf, encoding or "utf-8", errors)

    @classmethod
    def fromtarfile(cls, tar: Any) -> Self:  # Any: typeshed lacks its `fileobj`
        """Read one member's headers, bounded: tarfile reads each whole, then calls this again."""
        stream = tar.fileobj
        if not isinstance(stream, _Bounded):
            tar.fileobj = _Bounded(stream)
        try:
            return super().fromtarfile(tar)
        finally:
            tar.fileobj = stream


class _Bounded:
    """The archive's stream while the headers of one member are read from it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = _HEADERS
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        self._left -= max(size, _LEAST)
        if self._left < 0:
            raise tarfile.ReadError("the headers of one member are too long or too many")
        return self._stream.read(size)


class TarArchive:
    """A tar file, packed or not; `packing` is gz, bz2, xz, zst or empty."""

    def __init__(self, path: Path, limits: Limits, packing: str) -> None:
        self.path = path
        self.skipped: Counter[str] = Counter()
        self._limits = limits
        self._packing = packing
        with _opened(path, packing):  # refuse at once what cannot be read at all
            pass

    def members(self) -> Iterator[Member]:
        """See `Archive.members`; reads the whole archive once, for the CRCs."""
        self.skipped.clear()
        with _opened(self.path, self._packing) as tar:
            for name, info in self._files(tar):
                yield Member(name, info.size, _crc(tar, info))

    def read(self, name: str, limit: int) -> bytes:
        """See `Archive.read`; reads the archive up to the member."""
        for _, data in self.extract({name}, limit):
            if isinstance(data, ArchiveError):
                raise data
            return data
        raise missing_member(self.path, name)

    def extract(
        self, names: Collection[str], limit: int
    ) -> Iterator[tuple[str, bytes | ArchiveError]]:
        """See `Archive.extract`."""
        wanted = set(names)
        with _opened(self.path, self._packing) as tar:
            for name, info in self._files(tar):
                if name in wanted:
                    wanted.discard(name)
                    yield name, self._content(tar, name, info, limit)
                if not wanted:
                    return
        for name in sorted(wanted):
            yield name, missing_member(self.path, name)

    def close(self) -> None:
        """Nothing is open between passes."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _files(self, tar: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
        census = Census(self.path, self.path.stat().st_size, self._limits)
        for info in tar:
            tar.members, tar.pax_headers = [], {}  # type: ignore[attr-defined]  # else it keeps all
            census.entry(info.size)
            name = safe_name(info.name, self.path, self._limits)
            if info.isdir():
                continue
            if not info.isreg():
                kind = "link" if info.issym() or info.islnk() else "device or special file"
                raise special(self.path, name, kind)
            if kind := junk(name):
                self.skipped[kind] += 1
                continue
            census.name(name)
            yield name, info

    def _content(
        self, tar: tarfile.TarFile, name: str, info: tarfile.TarInfo, limit: int
    ) -> bytes | ArchiveError:
        if info.size > limit:
            return too_large(self.path, name, limit)
        with _stream(tar, info) as stream:
            data = stream.read(limit + 1)
        return data if len(data) == info.size else damaged(self.path, name, "it ends too early")


@contextmanager
def _opened(path: Path, packing: str) -> Iterator[tarfile.TarFile]:
    try:
        with (
            _unpacked(path, packing) as file,
            tarfile.open(fileobj=file, mode="r|", tarinfo=_Header) as tar,
        ):
            yield tar
    except ArchiveError:
        raise
    except _BROKEN as error:
        raise ArchiveError(
            f"{path}: the tar is truncated or damaged ({error}).",
            hint="Fetch or pack it again.",
        ) from error


def _unpacked(path: Path, packing: str) -> IO[bytes]:
    """Open the bytes of the tar itself; unlike tarfile's own readers, these check the trailer."""
    if packing == "gz":
        return cast("IO[bytes]", gzip.open(path))
    if packing == "bz2":
        return bz2.open(path)
    if packing == "xz":
        return lzma.open(path)
    return _unpacked_zst(path) if packing == "zst" else path.open("rb")


def _unpacked_zst(path: Path) -> IO[bytes]:
    from importlib import import_module

    try:
        opened: IO[bytes] = import_module("compression.zstd").open(path)
    except ModuleNotFoundError:
        raise ArchiveError(
            f"{path}: is packed with Zstandard, which needs Python 3.14.",
            hint="Pack it as tar.gz or zip, or unpack it and name the folder.",
        ) from None
    return opened


def _stream(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(info)
    if stream is None:  # not a regular file, which was refused before
        raise tarfile.ReadError(info.name)
    return stream


def _crc(tar: tarfile.TarFile, info: tarfile.TarInfo) -> int:
    crc = 0
    with _stream(tar, info) as stream:
        while block := stream.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc
