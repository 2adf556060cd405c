"""What lists call images, and which images these are: the same for `init`, `validate` and a run.

Archives add folders, tools leave endings out, tables hold the paths of the machine that they were
written on. A name stands for one image, or for none: what could be several is an error.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import takewhile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.dataset.candidates import SelectionError
from lfvpipe.dataset.globs import is_image_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from lfvpipe.dataset.annotations import AnnotatedImage
    from lfvpipe.dataset.listing import Row

_ABSOLUTE = re.compile(r"/|[A-Za-z]:/|file:/")


class NameFinder:
    """Finds members by what a list calls them.

    Args:
        names: Of the members.
        folder: Where they lie, if that is a folder: absolute paths may lead into it.
    """

    def __init__(self, names: Iterable[str], folder: Path | None = None) -> None:
        self._names = frozenset(names)
        self._folder = f"{folder.absolute().as_posix().rstrip('/')}/" if folder else None
        self._by_base: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self._names):
            path = PurePosixPath(name.lower())
            self._by_base[path.name].append(name)
            if path.suffix:
                self._by_base[path.stem].append(name)

    def find(self, called: str, where: str, beside: str = "") -> str | None:
        """Return the member that `called` stands for: the one with the most folders in common.

        Of several, it is the one whose folders are called most like those of the file `beside`.

        Raises:
            SelectionError: It could be several.
        """
        if self._folder and called.startswith(self._folder):
            called = called.removeprefix(self._folder)
        if called in self._names:
            return called
        parts = PurePosixPath(called.lower()).parts
        same_base = self._by_base.get(parts[-1], []) if parts else []
        fitting = [
            (ending, name)
            for name in same_base
            if (ending := _common_ending(parts, PurePosixPath(name.lower()).parts))
        ]
        best = max((ending for ending, _ in fitting), default=0)
        closest = [name for ending, name in fitting if ending == best]
        closest = [name for name in closest if is_image_name(name)] or closest
        if len(closest) > 1 and beside:
            alike = [_alike_folders(beside, name) for name in closest]
            if any(max(alike)) and alike.count(max(alike)) == 1:
                return closest[alike.index(max(alike))]
        if len(closest) > 1:
            is_same_place = len({PurePosixPath(name).with_suffix("") for name in closest}) == 1
            raise SelectionError(
                f"{where}: {called} could be any of {', '.join(closest[:3])}.",
                hint="Write it with its ending; or take the images of one ending elsewhere."
                if is_same_place
                else "Write it with its folders, as it lies in the archive; a table may have these"
                " in a column `folder`.",
            )
        return closest[0] if closest else None

    def find_below(self, called: str, where: str, top: str, beside: str = "") -> str | None:
        """Return the member that `called` stands for, as it is or by what it has below `top`.

        Raises:
            SelectionError: It could be several.
        """
        name = self.find(called, where, beside)
        if name is None and top and called.startswith(top):
            name = self.find(called.removeprefix(top), where, beside)
        return name

    def find_within(self, folder: str, called: str, where: str) -> str | None:
        """Return the member in a folder of that name that `called` stands for.

        Raises:
            SelectionError: It could be several.
        """
        name = self.find(f"{folder}/{called}", where)
        is_there = name is not None and f"/{folder}/".lower() in f"/{name}".lower()
        return name if is_there else None

    def find_annotated(self, image: AnnotatedImage) -> str | None:
        """Return the member that an export is about.

        Raises:
            SelectionError: It could be several.
        """
        called = (image.name, *image.other_names)
        names = dict.fromkeys(name.replace("\\", "/") for name in called if name)
        found = (self.find(name, image.where, beside=image.file) for name in names)
        return next((each for each in found if each is not None), None)


@dataclass(frozen=True)
class Matches:
    """Which image each row of a list is about.

    Attributes:
        by_name: The rows by the names of the images that are there.
        lacking: What is listed and is not there.
        absolute: What was named by an absolute path, and is there.
        by_group: Images whose name others have as well, told by folders called as their groups are.
    """

    by_name: dict[str, Row]
    lacking: tuple[str, ...] = ()
    absolute: tuple[str, ...] = ()
    by_group: tuple[str, ...] = ()


def match_rows(rows: Sequence[Row], finder: NameFinder) -> Matches:
    """Return the image that each row is about.

    An absolute path is that of another machine, mostly: it is found by its end, and where archives
    have folders of their own above, by what it has below the folder that all of them share.
    A column of folders counts where the archive has any of them; it may be about something else.

    Raises:
        SelectionError: A row could be about several images, or two are about the same.
    """
    top = shared_top(row.path for row in rows)
    by_name: dict[str, Row] = {}
    lacking: list[str] = []
    absolute: list[str] = []
    by_group: list[str] = []
    has_folders = any(
        row.folder and finder.find_within(row.folder, row.path, row.where) for row in rows
    )
    for row in rows:
        is_within = bool(has_folders and row.folder)
        try:
            if is_within:
                name = finder.find_within(row.folder, row.path, row.where)
            else:
                name = finder.find_below(row.path, row.where, top)
        except SelectionError:
            if is_within or not row.group:
                raise
            beside = f"{row.group}/{PurePosixPath(row.path).name}"
            name = finder.find_below(row.path, row.where, top, beside)
            by_group.append(name or row.path)
        if name is None:
            lacking.append(f"{row.folder}/{row.path}" if is_within else row.path)
            continue
        twin = by_name.setdefault(name, row)
        if twin is not row:
            said = "" if twin.label == row.label else f", as {_said(twin)} and as {_said(row)}"
            raise SelectionError(
                f"{twin.where} and {row.where}: both rows are about {name}{said}.",
                hint="Take one of the rows out; where both are right, write more of the paths.",
            )
        if _ABSOLUTE.match(row.path):
            absolute.append(row.path)
    return Matches(by_name, tuple(lacking), tuple(absolute), tuple(by_group))


def _said(row: Row) -> str:
    return row.label or "of no label"


def shared_top(paths: Iterable[str]) -> str:
    """Return the folder that all absolute ones among paths lie in, with a slash; "" for none."""
    folders = [path.split("/")[:-1] for path in paths if _ABSOLUTE.match(path)]
    shared = [
        parts[0]
        for parts in takewhile(lambda each: len(set(each)) == 1, zip(*folders, strict=False))
    ]
    return "/".join(shared) + "/" if shared else ""


def _alike_folders(file: str, member: str) -> tuple[int, int]:
    """Return how many folders two paths call the same, from the innermost out and from the top."""
    folders = [PurePosixPath(each.lower()).parts[:-1] for each in (file, member)]
    pairs = zip(*folders, strict=False), zip(*map(reversed, folders), strict=False)
    above, inner = (sum(1 for _ in takewhile(bool, (a == b for a, b in each))) for each in pairs)
    return inner, above


def _common_ending(name: Sequence[str], member: Sequence[str]) -> int:
    """Return how many parts two paths share from the end; 0 where folders contradict each other.

    One of the two has to be an end of the other; the last part may lack its ending.
    """
    shorter = min(len(name), len(member))
    stem = PurePosixPath(member[-1]).stem
    is_same_base = name[-1] in (member[-1], stem)
    above = shorter - 1
    is_same_above = not above or list(name[-1 - above : -1]) == list(member[-1 - above : -1])
    return shorter if is_same_base and is_same_above else 0
