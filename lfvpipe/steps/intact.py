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
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from lfvpipe.dataset.index import Piece
    from lfvpipe.steps.context import Context

    Test = Callable[[Path], bool]

# How far the clock of a file system may stand still: a file that was written and looked at within
# one tick may be written once more without a change of its times.
_TICK_NS = 2_000_000_000
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
    """Remembers of many files until when all that changed was found right: one number for all.

    Args:
        context: Of the step.
        name: Of the note.
        root: What the files' paths are relative to.
    """

    def __init__(self, context: Context, name: str, root: Path) -> None:
        self._note = context.state_dir / VERIFIED / f"{name}.json"
        self._root = root
        until = _read(self._note).get("until")
        self.until: int = until if isinstance(until, int) else 0

    def damaged(self, pieces: Iterable[Piece], states: Mapping[str, tuple[int, int]]) -> list[str]:
        """Return the paths of the pieces that are gone or not what they have to be.

        Args:
            pieces: What there has to be.
            states: Size and time of change, in ns, of what there is.
        """
        began, newest, found = time.time_ns(), 0, []
        for piece in pieces:
            size, changed = states.get(piece.path, (-1, 0))
            newest = max(newest, changed)
            if size != piece.size or (
                changed > self.until and digest_of(self._root / piece.path) != piece.sha256
            ):
                found.append(piece.path)
        if not found and newest > self.until:
            self.raise_to(max(began, newest))
        return found

    def raise_to(self, moment: int) -> None:
        """Note that all that changed until `moment`, in ns, is right: it was just written."""
        self.until = moment
        _write(self._note, {"until": moment})


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
