"""How much room files take, and how much of it goes with them: a file may have several names."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Scale:
    """Weighs files in groups; a file with several names is freed by the group of its last one."""

    def __init__(self) -> None:
        self._names: dict[tuple[int, int], set[Path]] = defaultdict(set)

    def freed(self, files: Iterable[Path]) -> int:
        """Return the bytes that are freed once these files, and those weighed before, are gone."""
        total = 0
        for file in files:
            try:
                status = os.lstat(file)
            except OSError:
                continue
            names = self._names[status.st_dev, status.st_ino]
            before = len(names)
            names.add(file)
            if before < len(names) == status.st_nlink:
                total += status.st_size
        return total


class TooMany(Exception):
    """There are more files than whoever asks wants to wait for."""


def bytes_below(*folders: Path, most: int | None = None) -> int:
    """Return the bytes of all files below the folders, each file once.

    Args:
        folders: Those that are not there have none.
        most: How many files are looked at.

    Raises:
        TooMany: There are more.
    """
    seen: dict[tuple[int, int], int] = {}
    for number, status in enumerate(s for folder in folders for s in _statuses(folder)):
        if number == most:
            raise TooMany
        seen[status.st_dev, status.st_ino] = status.st_size
    return sum(seen.values())


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, links to files among them; no folder has none."""
    for above, _, names in os.walk(folder):
        yield from (Path(above, name) for name in names)


def _statuses(folder: Path) -> Iterator[os.stat_result]:
    for file in files_below(folder):
        try:
            yield os.lstat(file)
        except OSError:  # it is being replaced
            continue
