"""Zip archives, with Python's zipfile and what it does not check."""

import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from lfvpipe.archives.errors import (
    ArchiveError,
    DamagedArchive,
    DamagedMember,
    MemberTooLarge,
    NoSuchMember,
    UnsafeMember,
)
from lfvpipe.archives.links import resolve_links
from lfvpipe.archives.members import Census, Closable, Limits, Member, kind_of_junk, safe_name
from lfvpipe.archives.zip_names import read_names

_ENCRYPTED_FLAG = 0x1
_LOCAL_HEADER = 30  # bytes, before the name
_UNIX = 3
# The methods that zipfile unpacks piece by piece. It hands a whole block of the others to their
# decompressor, however much comes out: a few bytes of bzip2 may become gigabytes.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError)


class ZipArchive(Closable):
    """A zip file, zip64 included; its directory is checked as a whole on first use."""

    def __init__(self, path: Path, limits: Limits, encoding: str | None = None) -> None:
        self.path = path
        self.skipped: Counter[str] = Counter()
        self.guessed_encoding = ""
        self._limits = limits
        self._encoding = encoding
        self._zip = _open(path)
        self._infos: dict[str, zipfile.ZipInfo] | None = None

    def members(self) -> Iterator[Member]:
        """See `Archive.members`."""
        for name, info in self._directory().items():
            yield Member(name, info.file_size, info.CRC)

    def read(self, name: str, limit: int) -> bytes:
        """See `Archive.read`."""
        info = self._directory().get(name)
        if info is None:
            raise NoSuchMember(self.path, name)
        try:
            with self._zip.open(info) as stream:
                data = stream.read(limit + 1)
        except (NotImplementedError, RuntimeError) as error:  # a feature we cannot read
            raise DamagedMember(self.path, name, error) from error
        except _BROKEN as error:
            raise DamagedMember(self.path, name, error) from error
        if len(data) > limit:
            raise MemberTooLarge(self.path, name, limit)
        if len(data) != info.file_size:
            raise DamagedMember(self.path, name, "its size is not the declared one")
        return data

    def extract(
        self, names: Collection[str], limit: int
    ) -> Iterator[tuple[str, bytes | ArchiveError]]:
        """See `Archive.extract`."""
        offsets = {name: info.header_offset for name, info in self._directory().items()}
        for name in sorted(names, key=lambda name: offsets.get(name, -1)):  # the disk reads forward
            try:
                yield name, self.read(name, limit)
            except ArchiveError as error:
                yield name, error

    def spans(self, names: Collection[str]) -> list[tuple[int, int]]:
        """Return which bytes of the file hold these members: starts and ends, sorted.

        A member's header and content end at the next one's, at the latest.
        """
        infos = self._directory()
        starts = sorted({info.header_offset for info in self._zip.infolist()})
        ends = dict(zip(starts, [*starts[1:], self._zip.start_dir], strict=True))
        wanted = {infos[name].header_offset for name in names if name in infos}
        return sorted((start, ends[start]) for start in wanted)

    def close(self) -> None:
        """See `Archive.close`."""
        self._zip.close()

    def _directory(self) -> dict[str, zipfile.ZipInfo]:
        if self._infos is None:
            self._infos = self._read_directory()
        return self._infos

    def _read_directory(self) -> dict[str, zipfile.ZipInfo]:
        infos = self._zip.infolist()
        census = Census(self.path, self.path.stat().st_size, self._limits)
        wanted: dict[str, zipfile.ZipInfo] = {}
        links: dict[str, str] = {}
        self.skipped.clear()
        told = read_names(infos, self._encoding)
        self.guessed_encoding = str(told.guess or "")
        for info, raw_name in zip(infos, told.names, strict=True):
            census.count(info.file_size)
            name = safe_name(raw_name, self.path, self._limits)
            if info.is_dir() or raw_name.endswith("/"):
                continue
            if kind := kind_of_junk(name):
                self.skipped[kind] += 1
                continue
            if kind := _special_kind(info):
                if kind == "link":
                    links[name] = self._link_target(info)
                else:
                    self.skipped[kind] += 1
                continue
            _refuse_unreadable(self.path, name, info)
            census.insist_on_new(name)
            wanted[name] = info
        _refuse_overlaps(self.path, infos, self._zip.start_dir)
        for name, target in resolve_links(links, wanted).items():
            census.insist_on_new(name)
            wanted[name] = wanted[target]
        self.skipped["link out of the archive"] += len(links.keys() - wanted.keys())
        self.skipped += Counter()  # drops what was never met
        return wanted

    def _link_target(self, info: zipfile.ZipInfo) -> str:
        """Return what a symbolic link holds: the path that it leads to; "" where that is none."""
        try:
            with self._zip.open(info) as stream:
                return stream.read(self._limits.name + 1).decode("utf-8")
        except (NotImplementedError, RuntimeError, *_BROKEN):
            return ""


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        hint = "Its directory, at the end of the file, cannot be read. Fetch or pack it again."
        raise DamagedArchive(path, error, hint=hint) from error
    except (OSError, ValueError, NotImplementedError, EOFError) as error:
        raise ArchiveError(path, f"cannot be read ({error})", hint="Fetch it again.") from error


def _special_kind(info: zipfile.ZipInfo) -> str:
    """Return what an entry is that is no plain file: link, or device; "" for a file."""
    mode = info.external_attr >> 16 if info.create_system == _UNIX else 0
    if stat.S_ISLNK(mode):
        return "link"
    return "" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "device or special file"


def _refuse_unreadable(archive: Path, name: str, info: zipfile.ZipInfo) -> None:
    if info.flag_bits & _ENCRYPTED_FLAG:
        raise UnsafeMember(
            archive,
            name,
            "is encrypted",
            hint="Unpack the archive with its password and pack it again without one.",
        )
    if info.compress_type not in _METHODS:
        raise UnsafeMember(
            archive,
            name,
            "is packed, but not by Deflate",
            hint="Pack the archive again with Deflate, every zip tool's default, or as tar.xz.",
        )


def _refuse_overlaps(archive: Path, infos: list[zipfile.ZipInfo], directory: int) -> None:
    """Refuse entries that share bytes: the trick of bombs that zip a quine of themselves.

    Source: D. Fifield, "A better zip bomb", WOOT 2019.
    """
    ordered = sorted(infos, key=lambda info: info.header_offset)
    starts = [info.header_offset for info in ordered[1:]] + [directory]
    for info, following in zip(ordered, starts, strict=False):
        if info.header_offset + _LOCAL_HEADER + info.compress_size > following:
            raise UnsafeMember(
                archive,
                info.filename,
                "overlaps another or the directory",
                hint="The zip is damaged or hostile and was not used. Fetch or pack it again.",
            )
