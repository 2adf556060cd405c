"""A folder of images as an archive."""

import os
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

from lfvpipe.archives.errors import (
    ArchiveError,
    DamagedMember,
    MemberTooLarge,
    NoSuchMember,
    UnreadableArchive,
)
from lfvpipe.archives.members import Census, Closable, Limits, Member, kind_of_junk, safe_name

# Where pipelines keep their state: it grows with every run, and is nothing that a person put there.
STATE_FOLDER = ".lfvpipe"


class FolderArchive(Closable):
    """A folder; linked files count as files and linked folders as folders.

    A person who names a folder means what is seen in it. A linked folder that holds itself is
    entered once; a link that leads nowhere is counted.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self.skipped: Counter[str] = Counter()
        self.guessed_encoding = ""
        self._limits = limits
        self._files: dict[str, Path] = {}

    def members(self) -> Iterator[Member]:
        """Yield the files below the folder, sorted; see `Archive.members`."""
        census = Census(self.path, 0, self._limits)
        self.skipped.clear()
        for file in self._walk(self.path, ()):
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
                self.skipped["link that leads nowhere" if file.is_symlink() else "no file"] += 1

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

    def _walk(self, folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
        """Yield what is in `folder`, sorted, files before folders; `above` are those it lies in."""
        try:
            status = folder.stat()
            here = (status.st_dev, status.st_ino)
            if here in above:
                self.skipped["linked folder that holds itself"] += 1
                return
            with os.scandir(folder) as entries:
                is_folder = {
                    entry.name: entry.is_dir() for entry in entries if entry.name != STATE_FOLDER
                }
        except OSError as error:
            raise UnreadableArchive(folder, error.strerror) from error
        names = sorted(is_folder)
        yield from (folder / name for name in names if not is_folder[name])
        for name in names:
            if is_folder[name]:
                yield from self._walk(folder / name, (*above, here))

    def close(self) -> None:
        """Nothing is open."""
