"""Remembers which files were prepared, so that no image is taken out or decoded twice.

Safe to kill anywhere: a file is put in place whole before its line is written, so a line without
its file cannot come about by a kill, and a file without its line is prepared again under the same
name. A power cut may lose or shorten files, none of which is synced by itself; so a line counts
only while its file is there in its full size, and with its digest where it may have changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from lfvpipe.damage import parse_json
from lfvpipe.steps.extract.preparation import Result
from lfvpipe.steps.intact import digest_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import IO, Self

_DEFAULTS = {each.name: each.default for each in fields(Result)}


class Results(Mapping[str, Result]):
    """Results by the keys of their jobs; those that the journal has lie there, not in memory.

    A hundred thousand of them would take more memory than all else of an extraction.

    Attributes:
        whites: By key the white levels of photographs that were only looked at.
    """

    def __init__(self, journal: Path) -> None:
        self.whites: dict[str, float] = {}
        self._journal = journal
        self._places: dict[str, int] = {}
        self._others: dict[str, Result] = {}
        self._file: IO[bytes] | None = None

    def note(self, result: Result, place: int) -> None:
        """Take a result of which the journal has the line at this place, once it is flushed."""
        self._places[result.key] = place
        if result.white is not None:
            self.whites[result.key] = result.white

    def keep(self, result: Result) -> None:
        """Take a result that is in no journal."""
        self._others[result.key] = result

    def drop(self, key: str) -> None:
        """Forget a result that was noted."""
        self._places.pop(key, None)
        self.whites.pop(key, None)

    def __getitem__(self, key: str) -> Result:
        """Return a result; raises KeyError where there is none."""
        if key in self._others:
            return self._others[key]
        place = self._places[key]
        if self._file is None:
            self._file = self._journal.open("rb")
        self._file.seek(place)
        return _result_of(self._file.readline())

    def __iter__(self) -> Iterator[str]:
        """Yield the keys."""
        yield from self._places
        yield from self._others

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._places) + len(self._others)

    def __contains__(self, key: object) -> bool:
        """Tell whether there is one, without reading it."""
        return key in self._places or key in self._others

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the journal."""
        if self._file is not None:
            self._file.close()


def read_journal(
    file: Path, root: Path, keys: Container[str], *, known: Container[str] = ()
) -> Results:
    """Return the results for `keys` whose files are still in place, whole, below `root`.

    Args:
        file: The journal.
        root: Of the files.
        keys: Of the jobs that results are asked for.
        known: Paths below `root` of files that are known to be what was written; others are read.
    """
    results = Results(file)
    if not file.is_file():
        return results
    states = file_states(root)

    def is_there(result: Result) -> bool:
        if result.white is not None:  # it was only looked at
            return True
        if states.get(result.path, (-1, 0))[0] != result.size:
            return False
        return result.path in known or digest_of(root / result.path) == result.sha256

    place = 0
    with file.open("rb") as stream:
        for line in stream:
            try:
                result = _result_of(line)
            except ValueError:  # cut short by a kill, or empty: the file is prepared again
                pass
            else:
                if result.key in keys and is_there(result):
                    results.note(result, place)
                else:
                    results.drop(result.key)
            place += len(line)
    return results


def _result_of(line: bytes) -> Result:
    """Return the result that a line says; raises ValueError where it says none."""
    try:
        said = parse_json(line)
        for name in ("changes", "colours", "strangers", "whole"):
            said[name] = tuple(said.get(name, ()))
        result = Result(**said)
        hash((result.key, result.path))
    except (TypeError, AttributeError) as error:
        raise ValueError(f"no result: {error}") from error
    if not isinstance(result.path, str):
        raise ValueError("no result: its path is none")  # noqa: TRY004  (of a line, not of a caller)
    return result


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

    def add(self, result: Result) -> int:
        """Append one result; return the place of its line."""
        line = {
            name: value
            for name, default in _DEFAULTS.items()
            if (value := getattr(result, name)) != default
        }
        place = self._end
        self._end += self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        return place

    def flush(self) -> None:
        """Let `read_journal` see what was appended."""
        self._file.flush()

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = self.path.open("ab")
        self._end = self._file.tell()
        if self._end:
            self._end += self._file.write(b"\n")  # ends a line that a kill may have cut short
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
