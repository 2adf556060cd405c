"""Remembers which files were prepared, so that no image is taken out or decoded twice.

Safe to kill anywhere: a file is put in place whole before its line is written, so a line without
its file cannot come about by a kill, and a file without its line is prepared again under the same
name. A power cut may lose or shorten files, none of which is synced by itself; so a line counts
only while its file is there in its full size, and with its digest where it may have changed.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING

from lfvpipe.damage import parse_json
from lfvpipe.steps.extract.preparation import Result
from lfvpipe.steps.intact import digest_of

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path
    from types import TracebackType
    from typing import IO, Self


def read_journal(
    file: Path, root: Path, keys: Collection[str], *, known: Collection[str] = ()
) -> dict[str, Result]:
    """Return the results for `keys` whose files are still in place, whole, below `root`.

    Args:
        file: The journal.
        root: Of the files.
        keys: Of the jobs that results are asked for.
        known: Paths below `root` of files that are known to be what was written; others are read.
    """
    if not file.is_file():
        return {}
    states = file_states(root)
    found = {}
    with file.open("rb") as stream:
        for line in stream:
            try:
                fields = parse_json(line)
                for name in ("changes", "colours", "strangers", "whole"):
                    fields[name] = tuple(fields.get(name, ()))
                result = Result(**fields)
                hash((result.key, result.path))
            except (ValueError, TypeError, AttributeError):
                continue  # cut short by a kill, or empty: the file is prepared again
            if isinstance(result.path, str) and result.key in keys:
                found[result.key] = result

    def is_there(result: Result) -> bool:
        if result.white is not None:  # it was only looked at
            return True
        if states.get(result.path, (-1, 0))[0] != result.size:
            return False
        return result.path in known or digest_of(root / result.path) == result.sha256

    return {key: each for key, each in found.items() if is_there(each)}


def file_states(root: Path, prefix: str = "") -> dict[str, tuple[int, int]]:
    """Return bytes and time of change, in ns, of every file in the folders of `root`, by path.

    One pass of scandir for each folder, as this is most of the time of a run that changes nothing.

    Args:
        root: Holds folders, one a source, that hold files.
        prefix: Stands before each path.
    """
    states: dict[str, tuple[int, int]] = {}
    if not root.is_dir():
        return states
    with os.scandir(root) as entries:
        folders = [entry for entry in entries if entry.is_dir()]
    for folder in folders:
        start = f"{prefix}{folder.name}/"
        with os.scandir(folder.path) as entries:
            files = (entry for entry in entries if entry.is_file())  # a link to nothing has no stat
            found = ((start + entry.name, entry.stat()) for entry in files)
            states |= {name: (status.st_size, status.st_mtime_ns) for name, status in found}
    return states


class Journal:
    """Appends results to the file at `path`; a context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, result: Result) -> None:
        """Append one result."""
        line = {key: value for key, value in asdict(result).items() if value}
        self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")

    def flush(self) -> None:
        """Let `read_journal` see what was appended."""
        self._file.flush()

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = self.path.open("ab")
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
