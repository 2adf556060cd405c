"""Whether files of the state are what was written: by their stat first, else by their content.

A file whose size and times are those at which its content was found right is not read again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

from lfvpipe.engine.reasons import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from lfvpipe.dataset.index import Piece
    from lfvpipe.steps.context import Context

    Test = Callable[[Path], bool]

# How far the clock of a file system may stand still: a file that was written and looked at within
# one tick may be written once more without a change of its times.
_TICK_NS = 2_000_000_000
# More are not noted: the note would be longer than what it spares.
_MOST_FOLDERS = 2000
VERIFIED = "verified"
"""The folder of notes about files that were found right; without it, all are read again."""


def losses(context: Context, name: str, tests: Mapping[str, Test]) -> list[Reason]:
    """Return what of a few files is gone, or else damaged.

    Args:
        context: Of the step.
        name: Of the note in which files that were found right are remembered.
        tests: By path, relative to the state directory or absolute: tells whether that file's
            content is right.
    """
    files = {path: context.state_dir / path for path in tests}
    gone = [Reason("output-missing", path) for path, file in files.items() if not file.is_file()]
    if gone:
        return gone
    note = context.state_dir / VERIFIED / f"{name}-{context.variant}.json"
    known = _read(note)
    now = {path: _state_of(file) for path, file in files.items()}
    right = {
        path: state
        for path, state in now.items()
        if known.get(path) == state or tests[path](files[path])
    }
    settled = {path: state for path, state in right.items() if _is_settled(state)}
    if settled != known:
        _write(note, settled)
    return [Reason("output-damaged", path) for path in files if path not in right]


def has_digest(sha256: str) -> Test:
    """Return what tells whether a file has this SHA-256."""
    return lambda file: digest_of(file) == sha256


def is_json(*keys: str) -> Test:
    """Return what tells whether a file is a JSON object with these keys."""

    def test(file: Path) -> bool:
        try:
            found = json.loads(file.read_bytes())
        except (ValueError, RecursionError):
            return False
        return isinstance(found, dict) and found.keys() >= {*keys}

    return test


def digest_of(file: Path) -> str:
    """Return a file's SHA-256."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


class Watermark:
    """Remembers of many files until when all that changed was found right, and how they stood then.

    While they stand so, a look at them is one pass over their folders: nothing is known of them one
    by one, which for 100,000 takes most of the time and the memory of a run that changes nothing.

    Args:
        context: Of the step.
        name: Of the note.
        root: What the files' paths are relative to.
    """

    def __init__(self, context: Context, name: str, root: Path) -> None:
        self._note = context.state_dir / VERIFIED / f"{name}.json"
        self._root = root
        note = _read(self._note)
        self.until: int = note["until"] if isinstance(note.get("until"), int) else 0
        self._folders = _texts(note.get("folders"))
        self._stand = note.get("stand")

    def damaged(self, read_pieces: Callable[[], Collection[Piece]]) -> list[str]:
        """Return the paths of the pieces that are gone or not what they have to be.

        Args:
            read_pieces: Returns what there has to be; not called while all stands as it did.
        """
        if self._stand and _stand(_look(self._root, self._folders)) == self._stand:
            return []
        began = time.time_ns()
        pieces = read_pieces()
        folders = sorted({piece.path.rpartition("/")[0] for piece in pieces})
        seen = list(_look(self._root, folders))
        states = {path: (size, changed) for path, size, changed in seen}
        found = [piece.path for piece in pieces if not self._is_right(piece, states)]
        newest = max((changed for _, _, changed in seen), default=0)
        if not found:
            self.until = max(self.until, began, newest)
            is_settled = newest + _TICK_NS <= began and len(folders) <= _MOST_FOLDERS
            self._write(folders if is_settled else [], _stand(seen) if is_settled else None)
        return found

    def raise_to(self, moment: int) -> None:
        """Note that all that changed until `moment`, in ns, is right: it was just written."""
        self.until = moment
        self._write([], None)

    def _is_right(self, piece: Piece, states: Mapping[str, tuple[int, int]]) -> bool:
        size, changed = states.get(piece.path, (-1, 0))
        if size != piece.size:
            return False
        return changed <= self.until or digest_of(self._root / piece.path) == piece.sha256

    def _write(self, folders: Sequence[str], stand: str | None) -> None:
        _write(self._note, {"until": self.until, "folders": folders, "stand": stand})


def _look(root: Path, folders: Iterable[str]) -> Iterator[tuple[str, int, int]]:
    """Yield path below `root`, bytes, and time of change in ns, of each file in the folders."""
    for folder in folders:
        try:
            entries = os.scandir(root / folder)
        except (FileNotFoundError, NotADirectoryError):
            continue
        start = f"{folder}/" if folder else ""
        with entries:
            for entry in entries:
                if entry.is_file():  # a link to nothing has no stat
                    status = entry.stat()
                    yield start + entry.name, status.st_size, status.st_mtime_ns


def _stand(seen: Iterable[tuple[str, int, int]]) -> str:
    """Return a digest of how files stand; names hold neither a 0 byte nor, each alone, a slash."""
    lines = sorted(f"{path}\0{size}\0{changed}" for path, size, changed in seen)
    return hashlib.sha256("\0".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _texts(found: object) -> list[str]:
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _state_of(file: Path) -> list[int]:
    status = file.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _is_settled(state: list[int]) -> bool:
    changed = state[1] if os.name == "nt" else state[2]
    return changed + _TICK_NS <= time.time_ns()


def _read(note: Path) -> dict[str, Any]:
    """Return a note; one that is damaged says nothing, and all is looked at anew."""
    try:
        found = json.loads(note.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(note: Path, content: dict[str, Any]) -> None:
    from lfvpipe.atomic import write_text

    try:
        write_text(note, json.dumps(content, separators=(",", ":")))
    except OSError:
        return  # `plan` in a read-only folder works, only slower
