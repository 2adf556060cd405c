"""Remembers which files were prepared, so that no image is taken out or decoded twice."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import IO, Self

    from lfvpipe.steps.extract.preparation import Result


def remembered(file: Path, root: Path, keys: Collection[str]) -> dict[str, Result]:
    """Return the results for `keys` whose files are still in place, whole, below `root`.

    A line that a kill cut short is passed over: its file is prepared again.
    """
    sizes = file_sizes(root)
    found = {}
    for result in _results(file):
        if result.key in keys and sizes.get(result.path) == result.size:
            found[result.key] = result
    return found


def file_sizes(root: Path) -> dict[str, int]:
    """Return the bytes of every file below the folders of `root`, by path relative to it."""
    sizes: dict[str, int] = {}
    if not root.is_dir():
        return sizes
    for folder in _folders(root):
        prefix = f"{folder.name}/"
        with os.scandir(folder.path) as entries:
            sizes |= {prefix + entry.name: entry.stat().st_size for entry in entries}
    return sizes


def sweep(root: Path) -> None:
    """Remove the temporary files that a kill left below `root`."""
    for path in file_sizes(root):
        if path.endswith(".tmp"):
            (root / path).unlink(missing_ok=True)


class Journal:
    """Appends results to the file; a context manager."""

    def __init__(self, file: Path) -> None:
        self._path = file

    def add(self, result: Result) -> None:
        """Append one result."""
        line = {key: value for key, value in asdict(result).items() if value}
        self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = self._path.open("ab")
        if self._file.tell():
            self._file.write(b"\n")  # ends a line that a kill may have cut short
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()


def _folders(root: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.is_dir():
                yield entry


def _results(file: Path) -> Iterator[Result]:
    from lfvpipe.steps.extract.preparation import Result

    if not file.is_file():
        return
    with file.open("rb") as stream:
        for line in stream:
            try:
                fields = json.loads(line)
                for name in ("changes", "colours", "strangers"):
                    fields[name] = tuple(fields.get(name, ()))
                yield Result(**fields)
            except (ValueError, TypeError, AttributeError):
                continue
