"""Archives inside an archive or folder, one level deep: their members are members, too.

``bottle.zip`` in a folder or a zip holds ``bottle/good/1.png`` for whoever lists the outer one, as
if it had been unpacked where it lies.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from lfvpipe.archives.errors import ArchiveError, NoSuchMember
from lfvpipe.archives.members import GIB, Archive, Closable, Member
from lfvpipe.passing import passing_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

_ENDINGS = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tbz2", ".txz")
# An inner archive passes through the memory once, on its way to a temporary file.
_LARGEST = 1 * GIB


class NestedArchive(Closable):
    """An archive whose inner archives are opened, too; each is unpacked to a temporary file once.

    Args:
        outer: The archive or folder itself.
        open_inner: Opens the archive at a path; what is in there is not opened again.
    """

    def __init__(self, outer: Archive, open_inner: Callable[[Path], Archive]) -> None:
        self.path = outer.path
        self.skipped: Counter[str] = Counter()
        self._outer = outer
        self._open_inner = open_inner
        self._inner: dict[str, Archive] = {}  # by the folder that it stands for
        self._opened = ExitStack()

    @property
    def inner_folders(self) -> Collection[str]:
        """See `Archive`."""
        return self._inner.keys()

    @property
    def guessed_encoding(self) -> str:
        """See `Archive`."""
        inner = (archive.guessed_encoding for archive in self._inner.values())
        return self._outer.guessed_encoding or next(filter(None, inner), "")

    def members(self) -> Iterator[Member]:
        """See `Archive.members`."""
        self.skipped = Counter()
        unread: list[str] = []
        self.unread = unread
        archives = []
        for member in self._outer.members():
            if member.name.lower().endswith(_ENDINGS):
                archives.append(member.name)
            else:
                yield member
        self.skipped += self._outer.skipped
        for name in archives:
            try:
                yield from self._list_inner(name, unread)
            except ArchiveError:
                self.skipped["archive inside that cannot be read"] += 1
                unread.append(name)

    def _list_inner(self, name: str, unread: list[str]) -> Iterator[Member]:
        ending = max((each for each in _ENDINGS if name.lower().endswith(each)), key=len)
        folder = name[: -len(ending)]
        inner = self._open(name, folder)
        for member in inner.members():
            if member.name.lower().endswith(_ENDINGS):
                self.skipped["archive two levels deep"] += 1
                unread.append(f"{folder}/{member.name}")
            else:
                yield replace(member, name=f"{folder}/{member.name}")
        self.skipped += inner.skipped

    def _open(self, name: str, folder: str) -> Archive:
        if folder in self._inner:
            return self._inner[folder]
        path = self.path / name
        if not self.path.is_dir():
            path = self._opened.enter_context(passing_folder()) / "inner"
            path.write_bytes(self._outer.read(name, _LARGEST))
        self._inner[folder] = self._opened.enter_context(self._open_inner(path))
        return self._inner[folder]

    def read(self, name: str, limit: int) -> bytes:
        """See `Archive.read`."""
        for _, data in self.extract({name}, limit):
            if isinstance(data, ArchiveError):
                raise data
            return data
        raise NoSuchMember(self.path, name)

    def extract(
        self, names: Collection[str], limit: int
    ) -> Iterator[tuple[str, bytes | ArchiveError]]:
        """See `Archive.extract`."""
        lacking = []
        for name, data in self._outer.extract(
            [name for name in names if not self._folder_holding(name)], limit
        ):
            if isinstance(data, NoSuchMember):
                lacking.append(name)
            else:
                yield name, data
        if lacking and not self._inner:  # opened anew: what inner archives hold, a listing tells
            for _ in self.members():
                pass
        by_folder: defaultdict[str, list[str]] = defaultdict(list)
        for name in {*lacking, *filter(self._folder_holding, names)}:
            by_folder[self._folder_holding(name)].append(name)
        for name in by_folder.pop("", ()):
            yield name, NoSuchMember(self.path, name)
        for folder, inside in by_folder.items():
            shortened = [name.removeprefix(f"{folder}/") for name in inside]
            for name, data in self._inner[folder].extract(shortened, limit):
                yield f"{folder}/{name}", data

    def _folder_holding(self, name: str) -> str:
        """Return the folder of the inner archive that a member is of; "" where it is of none."""
        return next((folder for folder in self._inner if name.startswith(f"{folder}/")), "")

    def close(self) -> None:
        """See `Archive.close`."""
        self._opened.close()
        self._outer.close()
