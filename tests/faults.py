"""A disk that refuses: every point at which a process writes, enumerated, and made to fail.

Python tells audit hooks of each open, rename and folder that it is about to make, and what a hook
raises is raised there. Synced files are told by `os.fsync` itself, which is replaced.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_EVENTS = frozenset({"os.rename", "os.mkdir", "os.link"})
_CHANCE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8,}|\d+")


@dataclass
class Disk:
    """Notes what is written below `root`, and refuses one of it.

    Attributes:
        root: What lies elsewhere is let through.
        refused: The kind of write to refuse, as `seen` has it; None for none.
        error: The error's number.
        stays: All that is written from there on is refused, as by a full disk; else only that.
    """

    root: Path
    refused: str | None = None
    error: int = errno.ENOSPC
    stays: bool = False
    seen: list[str] = field(default_factory=list)
    hits: int = 0

    def look(self, event: str, path: Any) -> None:
        """Note a write; raise OSError where it is the one to refuse."""
        if not isinstance(path, str | bytes | os.PathLike):
            return
        name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100  (a link is not followed)
        if not name.startswith(f"{self.root}{os.sep}"):
            return
        # A kind: digests, counters and random names are not told apart.
        kind = f"{event} {_CHANCE.sub('#', os.path.relpath(name, self.root))}"
        if kind not in self.seen:
            self.seen.append(kind)
        if kind == self.refused or (self.stays and self.hits):
            self.hits += 1
            if self.hits == 1 or self.stays:
                raise OSError(self.error, os.strerror(self.error), os.fsdecode(path))


_active: list[Disk] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _active:
        return
    if event == "open" and arguments[2] & _WRITING:
        _active[-1].look("open", arguments[0])
    elif event in _EVENTS:
        _active[-1].look(event, arguments[1 if event != "os.mkdir" else 0])


sys.addaudithook(_hook)
_fsync = os.fsync


def _sync(descriptor: Any) -> None:
    if _active and sys.platform == "linux":
        try:
            _active[-1].look("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        except OSError as error:
            error.filename = None  # the system's own has none
            raise
    _fsync(descriptor)


@contextmanager
def watching(disk: Disk) -> Iterator[Disk]:
    """Let `disk` see, and refuse, what this process writes."""
    _active.append(disk)
    os.fsync = _sync  # type: ignore[assignment]
    try:
        yield disk
    finally:
        _active.remove(disk)
        if not _active:
            os.fsync = _fsync
