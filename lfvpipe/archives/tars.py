"""Tar archives, read as a stream: one pass to list, one pass to take members out."""

import bz2
import gzip
import lzma
import posixpath
import tarfile
import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Self, cast

from lfvpipe.archives.encodings import decode_name, guess_encoding
from lfvpipe.archives.errors import (
    ArchiveError,
    DamagedArchive,
    DamagedMember,
    ForeignFile,
    MemberTooLarge,
    NoSuchMember,
)
from lfvpipe.archives.links import resolve_links
from lfvpipe.archives.members import Census, Closable, Limits, Member, kind_of_junk, safe_name

_BLOCK = 1 << 20
# A member's name may be spelled out in headers of its own, of any size and number, all of which
# tarfile takes into memory: so they are bounded, here in bytes for one member. Each read counts for
# at least so many, since a long chain of small ones is too much as well.
_HEADER_BYTES = 1 << 20
_LEAST_HEADER_BYTES = 1 << 14
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
        self._left = _HEADER_BYTES
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        self._left -= max(size, _LEAST_HEADER_BYTES)
        if self._left < 0:
            raise tarfile.ReadError("the headers of one member are too long or too many")
        return self._stream.read(size)


class TarArchive(Closable):
    """A tar file, packed or not; `packing` is gz, bz2, xz, zst or empty."""

    def __init__(
        self, path: Path, limits: Limits, packing: str, encoding: str | None = None
    ) -> None:
        self.path = path
        self.skipped: Counter[str] = Counter()
        self.guessed_encoding = ""
        self._limits = limits
        self._packing = packing
        self._encoding = encoding
        self._links: dict[str, str] = {}  # of the last pass: link → the path that it holds
        with _opening(path, packing):  # refuse at once what cannot be read at all
            pass

    def members(self) -> Iterator[Member]:
        """See `Archive.members`; reads the whole archive once, for the CRCs."""
        listed: dict[str, Member] = {}
        with _opening(self.path, self._packing) as tar:
            for name, info in self._files(tar):
                listed[name] = Member(name, info.size, _crc(tar, info))
                yield listed[name]
        # Links come last: what one leads to may stand behind it.
        resolved = resolve_links(self._links, listed)
        for name, target in resolved.items():
            if name not in listed:
                yield replace(listed[target], name=name)
        if lost := len(self._links.keys() - resolved.keys()):
            self.skipped["link out of the archive"] += lost

    def read(self, name: str, limit: int) -> bytes:
        """See `Archive.read`; reads the archive up to the member."""
        for _, data in self.extract({name}, limit):
            if isinstance(data, ArchiveError):
                raise data
            return data
        raise NoSuchMember(self.path, name)

    def extract(
        self, names: Collection[str], limit: int
    ) -> Iterator[tuple[str, bytes | ArchiveError]]:
        """See `Archive.extract`."""
        wanted = set(names)
        yield from self._extract_files(wanted, limit)
        if not wanted:
            return
        # What is left are links: a second pass takes out what they lead to, once for all of them.
        links_to: dict[str, list[str]] = defaultdict(list)
        for name, target in resolve_links(self._links, _Anything()).items():
            if name in wanted:
                links_to[target].append(name)
        for target, content in self._extract_files(set(links_to), limit):
            for name in links_to[target]:
                wanted.discard(name)
                yield name, content
        for name in sorted(wanted):
            yield name, NoSuchMember(self.path, name)

    def _extract_files(
        self, wanted: set[str], limit: int
    ) -> Iterator[tuple[str, bytes | ArchiveError]]:
        """Yield the plain files among `wanted`, and take them out of it."""
        if not wanted:
            return
        with _opening(self.path, self._packing) as tar:
            for name, info in self._files(tar):
                if name in wanted:
                    wanted.discard(name)
                    yield name, self._content(tar, name, info, limit)
                    if not wanted:
                        return

    def close(self) -> None:
        """Nothing is open between passes."""

    def _files(self, tar: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
        census = Census(self.path, self.path.stat().st_size, self._limits)
        self.skipped.clear()
        self._links = {}
        for info in tar:
            _forget(tar)
            census.count(info.size)
            name = safe_name(self._decoded(info.name), self.path, self._limits)
            if info.isdir():
                continue
            if kind := kind_of_junk(name):
                self.skipped[kind] += 1
                continue
            if info.issym() or info.islnk():
                # A hard link holds its target's path from the top, a symbolic one from its folder.
                holds = self._decoded(info.linkname)
                if info.islnk():
                    holds = posixpath.relpath(posixpath.normpath(holds), posixpath.dirname(name))
                census.insist_on_new(name)
                self._links[name] = holds
                continue
            if not info.isreg():
                self.skipped["device or special file"] += 1
                continue
            census.insist_on_new(name)
            yield name, info

    def _decoded(self, name: str) -> str:
        """Return a name as it was written; what is not UTF-8 tarfile keeps as surrogates."""
        if name.isascii() or not _undecoded(name):
            return name
        if self._encoding is None:
            guess = guess_encoding(self._undecoded_names())
            self._encoding, self.guessed_encoding = guess.encoding, str(guess)
        return decode_name(_raw(name), self._encoding)

    def _undecoded_names(self) -> Iterator[bytes]:
        """Yield all names that are not UTF-8: one writer wrote them, so they count together."""
        with _opening(self.path, self._packing) as tar:
            for number, info in enumerate(tar):
                _forget(tar)
                if number >= self._limits.members:
                    return
                if _undecoded(info.name):
                    yield _raw(info.name)

    def _content(
        self, tar: tarfile.TarFile, name: str, info: tarfile.TarInfo, limit: int
    ) -> bytes | ArchiveError:
        if info.size > limit:
            return MemberTooLarge(self.path, name, limit)
        with _stream(tar, info) as stream:
            data = stream.read(limit + 1)
        return (
            data if len(data) == info.size else DamagedMember(self.path, name, "it ends too early")
        )


def _forget(tar: tarfile.TarFile) -> None:
    """Let go of the members so far: tarfile remembers every one, in memory that grows with them."""
    tar.members, tar.pax_headers = [], {}  # type: ignore[attr-defined]  # not in the stubs


def _undecoded(name: str) -> bool:
    return any("\udc80" <= sign <= "\udcff" for sign in name)


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


class _Anything:
    """Holds whatever one asks for: which of the targets are there, the pass itself shows."""

    def __contains__(self, name: object) -> bool:
        return True


@contextmanager
def _opening(path: Path, packing: str) -> Iterator[tarfile.TarFile]:
    try:
        with (
            _open_packed(path, packing) as file,
            tarfile.open(fileobj=file, mode="r|", tarinfo=_Header) as tar,
        ):
            yield tar
    except ArchiveError:
        raise
    except _BROKEN as error:
        raise DamagedArchive(path, error, hint="Fetch or pack it again.") from error


def _open_packed(path: Path, packing: str) -> IO[bytes]:
    """Open the bytes of the tar itself; unlike tarfile's own readers, these check the trailer."""
    if packing == "gz":
        return cast("IO[bytes]", gzip.open(path))
    if packing == "bz2":
        return bz2.open(path)
    if packing == "xz":
        return lzma.open(path)
    if packing == "zst":
        try:
            zstd = import_module("compression.zstd")
        except ModuleNotFoundError:
            raise ForeignFile(
                path,
                "is packed with Zstandard, which needs Python 3.14",
                hint="Pack it as tar.gz or zip, or unpack it and name the folder.",
            ) from None
        return cast("IO[bytes]", zstd.open(path))
    return path.open("rb")


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
