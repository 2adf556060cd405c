"""A folder of images as an archive."""

import os
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from lfvpipe.archives.errors import (
    ArchiveError,
    DamagedMember,
    MemberTooLarge,
    NoSuchMember,
    UnreadableArchive,
)
from lfvpipe.archives.members import Census, Limits, Member, kind_of_junk, safe_name


class FolderArchive:
    """A folder; linked files count as files, linked folders are not entered."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self.skipped: Counter[str] = Counter()
        self._limits = limits
        self._files: dict[str, Path] = {}

    def members(self) -> Iterator[Member]:
        """Yield the files below the folder, sorted; see `Archive.members`."""
        census = Census(self.path, 0, self._limits)
        for file in _walk(self.path):
            raw = file.relative_to(self.path).as_posix()
            if kind := kind_of_junk(raw):
                self.skipped[kind] += 1
            elif file.is_file():
                status = file.stat()
                census.count(0)  # a folder is unpacked already: only the count can be a bomb
                name = safe_name(raw, self.path, self._limits)
                census.insist_on_new(name)
                self._files[name] = file
                yield Member(name, status.st_size, None, status.st_mtime_ns)
            else:
                self.skipped["not a file"] += 1

    def read(self, name: str, limit: int) -> bytes:
        """See `Archive.read`."""
        file = self._files.get(name) or self.path / name
        try:
            with file.open("rb") as stream:
                data = stream.read(limit + 1)
        except FileNotFoundError:
            raise NoSuchMember(self.path, name) from None
        except OSError as error:
            raise DamagedMember(self.path, name, error.strerror) from error
        if len(data) > limit:
            raise MemberTooLarge(self.path, name, limit)
        return data

    def extract(
        self, names: Collection[str], limit: int
    ) -> Iterator[tuple[str, bytes | ArchiveError]]:
        """See `Archive.extract`."""
        for _ in self.members():  # names are normalised: find the files they stand for
            pass
        for name in sorted(names):
            try:
                yield name, self.read(name, limit)
            except ArchiveError as error:
                yield name, error

    def close(self) -> None:
        """Nothing is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _walk(folder: Path) -> Iterator[Path]:
    def refuse(error: OSError) -> None:
        raise UnreadableArchive(Path(error.filename), error.strerror) from error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders.sort()
        for name in sorted(files):
            yield Path(parent, name)
