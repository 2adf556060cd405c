"""Zip archives, with Python's zipfile and what it does not check."""

import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from lfvpipe.archives.errors import (
    ArchiveError,
    DamagedArchive,
    DamagedMember,
    MemberTooLarge,
    NoSuchMember,
    SpecialMember,
    UnsafeMember,
)
from lfvpipe.archives.members import Census, Limits, Member, kind_of_junk, safe_name

_UTF8_FLAG = 0x800
_ENCRYPTED_FLAG = 0x1
_LOCAL_HEADER = 30  # bytes, before the name
_UNIX = 3
# The methods that zipfile unpacks piece by piece. It hands a whole block of the others to their
# decompressor, however much comes out: a few bytes of bzip2 may become gigabytes.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError)


class ZipArchive:
    """A zip file, zip64 included; its directory is checked as a whole on first use."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self.skipped: Counter[str] = Counter()
        self._limits = limits
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

    def close(self) -> None:
        """See `Archive.close`."""
        self._zip.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _directory(self) -> dict[str, zipfile.ZipInfo]:
        if self._infos is None:
            self._infos = self._read_directory()
        return self._infos

    def _read_directory(self) -> dict[str, zipfile.ZipInfo]:
        infos = self._zip.infolist()
        census = Census(self.path, self.path.stat().st_size, self._limits)
        wanted: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            census.count(info.file_size)
            name = safe_name(_name_of(info), self.path, self._limits)
            if info.is_dir():
                continue
            _refuse_what_is_no_plain_file(self.path, name, info)
            if kind := kind_of_junk(name):
                self.skipped[kind] += 1
                continue
            census.insist_on_new(name)
            wanted[name] = info
        _refuse_overlaps(self.path, infos, self._zip.start_dir)
        return wanted


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        hint = "Its directory, at the end of the file, cannot be read. Fetch or pack it again."
        raise DamagedArchive(path, error, hint=hint) from error
    except (OSError, ValueError, NotImplementedError, EOFError) as error:
        raise ArchiveError(path, f"cannot be read ({error})", hint="Fetch it again.") from error


def _name_of(info: zipfile.ZipInfo) -> str:
    """Return the name as its writer meant it: some write UTF-8 without the flag that says so."""
    raw = info.orig_filename
    if info.flag_bits & _UTF8_FLAG or raw.isascii():
        return raw
    try:
        return raw.encode("cp437").decode("utf-8")  # undoes what zipfile does without the flag
    except UnicodeError:
        return raw


def _refuse_what_is_no_plain_file(archive: Path, name: str, info: zipfile.ZipInfo) -> None:
    mode = info.external_attr >> 16 if info.create_system == _UNIX else 0
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        kind = "symbolic link" if stat.S_ISLNK(mode) else "device or special file"
        raise SpecialMember(archive, name, kind)
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
