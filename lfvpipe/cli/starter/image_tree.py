"""The images in the folders and archives that a user names, as one tree; nothing is unpacked.

``photos/`` with ``good.zip`` and ``bad/`` in it is a tree of ``good/…`` and ``bad/…``: people sort
their photographs by folders and archives alike.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe import archives
from lfvpipe.archives.folders import FolderArchive
from lfvpipe.cli.usage import UsageError
from lfvpipe.dataset.globs import is_image_name
from lfvpipe.dataset.listing import WORKBOOKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tbz2", ".txz")
# Of archives that are not read, whatever is in them.
FOREIGN_SUFFIXES = (".rar", ".7z", ".zst", ".zipx", ".cab", ".lzh", ".arj", ".gz", ".bz2", ".xz")
_UNREAD = "archive inside that cannot be read: "
LONGEST_FILE = 64 * 1024 * 1024  # bytes of a table, an export or an image that is looked into


@dataclass(frozen=True, eq=False)
class Root:
    """An archive, or a folder without the archives in it.

    Attributes:
        path: Where it lies.
        prefix: What the tree puts before the names of its members: "" or a folder with a slash.
        members: Their names, sorted.
        skipped: How many entries were no members, by kind.
        inner: The folders among the members that are archives inside.
        guess: What its names were read as where nothing tells.
    """

    path: Path
    prefix: str
    members: tuple[str, ...]
    skipped: Counter[str]
    inner: tuple[str, ...] = ()
    guess: str = ""


@dataclass(frozen=True)
class File:
    """A file in the tree: a member of a root."""

    root: Root
    member: str

    @property
    def path(self) -> Path | None:
        """Where it lies on disk; None for a member of an archive."""
        return self.root.path / self.member if self.root.path.is_dir() else None

    def read(self) -> bytes:
        """Return its content.

        Raises:
            ArchiveError: It cannot be read, or is too long.
        """
        with archives.open_archive(self.root.path) as archive:
            for _ in archive.members():  # an archive knows its members once they were listed
                pass
            return archive.read(self.member, LONGEST_FILE)


@dataclass(frozen=True)
class ImageTree:
    """What was found.

    Attributes:
        base: The folder that names in the tree are relative to; None where there is none.
        roots: Archives and folders.
        files: Files that the user named one by one: a table, an export, a manifest.
        is_whole: The user named one folder, and the tree is all of it.
    """

    base: Path | None
    roots: tuple[Root, ...]
    files: tuple[Path, ...] = ()
    is_whole: bool = False
    _by_name: dict[str, File] = field(default_factory=dict)

    @cached_property
    def images(self) -> dict[str, File]:
        """The images by their names in the tree, sorted."""
        return {name: file for name, file in self._by_name.items() if is_image_name(name)}

    @cached_property
    def others(self) -> dict[str, File]:
        """The files that are no images, by their names in the tree, sorted."""
        return {name: file for name, file in self._by_name.items() if not is_image_name(name)}

    @cached_property
    def places(self) -> dict[str, Path]:
        """Where each image lies on disk, or the archive that it is in, by its name in the tree."""
        return {name: file.path or file.root.path for name, file in self.images.items()}

    @cached_property
    def by_place(self) -> dict[Path, set[str]]:
        """The names in the tree of the images at each of these places."""
        found: dict[Path, set[str]] = {}
        for name, place in self.places.items():
            found.setdefault(place, set()).add(name)
        return found

    def unread(self) -> Iterator[str]:
        """Yield a sentence on each archive in a folder that cannot be read: its images lack."""
        for kind in (kind for root in self.roots for kind in root.skipped):
            if kind.startswith(_UNREAD):
                yield f"An archive there cannot be read: {kind.removeprefix(_UNREAD)}"

    def root_of(self, folder: str) -> Root | None:
        """Return the archive that stands for a folder of the tree; None where none does."""
        return next((root for root in self.roots if root.prefix == f"{folder}/"), None)


def place_of(path: Path | str) -> Path:
    """Return what a path leads to, absolute and without ``..``: one spelling for one place."""
    return Path(os.path.normpath(Path(path).absolute()))


def look(paths: Sequence[Path]) -> ImageTree:
    """Return the tree of what lies at `paths`: folders, archives, and files beside them.

    Raises:
        UsageError: One is not there.
        ArchiveError: One is damaged.
    """
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path} is not there.", hint="Name a folder or archives of images.")
    plain = list(dict.fromkeys(map(place_of, paths)))
    files = tuple(path for path in plain if path.is_file() and not _is_archive(path))
    places = [path for path in plain if path not in files]
    is_whole = len(places) == 1 and places[0].is_dir()
    if is_whole:
        base: Path | None = places[0]
        roots = list(_roots_of_folder(places[0], ""))
    else:
        parents = {place.parent for place in places}
        base = parents.pop() if len(parents) == 1 else None
        roots = []
        for place, name in zip(places, _names([*map(stem, places)]), strict=True):
            if place.is_dir():
                roots += _roots_of_folder(place, f"{name}/")
            else:
                roots.append(_root(archives.open_archive(place), f"{name}/"))
    by_name: dict[str, File] = {}
    for root in roots:
        for member in root.members:
            twin = by_name.setdefault(f"{root.prefix}{member}", File(root, member))
            if twin.root is not root:
                raise UsageError(
                    f"{root.path} and the folder of that name beside it both hold {member}.",
                    hint="Move one of them away: which of the two is meant cannot be told.",
                )
    return ImageTree(base, tuple(roots), files, is_whole, dict(sorted(by_name.items())))


def stem(path: Path) -> str:
    """Return the name of an archive or folder without an archive's ending."""
    name = path.name
    suffix = next((end for end in ARCHIVE_SUFFIXES if name.lower().endswith(end)), "")
    return name[: len(name) - len(suffix)] if suffix and not path.is_dir() else name


def _is_archive(path: Path) -> bool:
    if path.name.lower().endswith(ARCHIVE_SUFFIXES):
        return True
    if path.suffix.lower() in (
        *WORKBOOKS,
        ".csv",
        ".tsv",
        ".jsonl",
        ".ndjson",
        ".json",
        ".xml",
        ".manifest",
    ):
        return False
    archives.open_archive(path).close()  # says what it is, where it is none
    return True


def _names(stems: Sequence[str]) -> Iterator[str]:
    """Yield names that differ for places that are called alike: good.zip and good/."""
    taken: Counter[str] = Counter()
    for each in stems:
        taken[each] += 1
        yield each if taken[each] == 1 else f"{each}~{taken[each]}"


def _roots_of_folder(folder: Path, prefix: str) -> Iterator[Root]:
    """Yield a folder and, each for itself, the archives in it: they may be too large to nest."""
    own = _root(FolderArchive(folder, archives.Limits()), prefix)
    inside = [name for name in own.members if name.lower().endswith(ARCHIVE_SUFFIXES)]
    kept = set(own.members) - set(inside)
    skipped, within = own.skipped, []
    for name in inside:
        path = folder / name
        below = PurePosixPath(name).parent / stem(path)
        try:
            within.append(_root(archives.open_archive(path), f"{prefix}{below.as_posix()}/"))
        except archives.ArchiveError as error:  # whoever names the folder gets on without it, too
            why = error.message.removeprefix(f"{path} ").removeprefix(f"In {path}, ")
            skipped[f"{_UNREAD}{name}: {why} {error.hint}".strip()] += 1
    yield Root(folder, prefix, tuple(sorted(kept)), skipped)
    yield from within


def _root(opened: archives.Archive, prefix: str) -> Root:
    with opened as archive:
        members = tuple(sorted(member.name for member in archive.members()))
        skipped = Counter(archive.skipped)
        del skipped["archive two levels deep"]
        del skipped["archive inside that cannot be read"]
        for name in archive.unread:
            skipped[f"archive too deep inside, or damaged: {prefix}{name}"] += 1
        inner, guess = tuple(archive.inner_folders), archive.guessed_encoding
        return Root(archive.path, prefix, members, skipped, inner, guess)


def shown_folder(tree: ImageTree, folder: str) -> str:
    """Return what a person calls a folder of the tree: ``good.zip`` for ``good``."""
    if folder in ("", "."):
        return f"{tree.base.name}/" if tree.base else "the folder itself"
    for root in tree.roots:
        if root.path.is_file() and f"{folder}/".startswith(root.prefix):
            above = PurePosixPath(root.prefix).parent.as_posix()
            archive = root.path.name if above == "." else f"{above}/{root.path.name}"
            rest = f"{folder}/"[len(root.prefix) :]
            return f"{archive}: {rest}" if rest else archive
    return f"{folder}/"
