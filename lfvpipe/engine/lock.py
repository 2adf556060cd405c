"""One run at a time: a lock that dies with its process, and a note of who holds it."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from lfvpipe import atomic, damage, disk
from lfvpipe.engine.errors import EngineError
from lfvpipe.engine.oslock import acquire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lfvpipe.engine.oslock import OsLock

# Long enough for a holder that has just begun to leave its note, and for `current_holder`, which
# tries the lock, to let it go.
PATIENCE = 0.2


@dataclass(frozen=True)
class Holder:
    """Who holds the lock: process, machine, since when (UTC, ISO 8601), doing what."""

    pid: int
    host: str
    since: str
    command: str

    def __str__(self) -> str:
        return f"`{self.command}` (pid {self.pid} on {self.host}, since {self.since})"


class Locked(EngineError):
    """Another run holds the lock; `holder` says which, or None when it left no note."""

    exit_code = 4

    def __init__(self, folder: Path, holder: Holder | None) -> None:
        super().__init__(
            f"{folder} is locked by {holder or 'another run'}.",
            hint="Wait for it to end; where it asks something in its terminal, answer there.",
        )
        self.folder = folder
        self.holder = holder


class StateFolderUnusable(EngineError):
    """The state folder cannot be made or written; `folder` is the one, `cause` says why."""

    def __init__(self, folder: Path, error: OSError) -> None:
        cause = error.strerror or str(error)
        super().__init__(
            f"The state folder {folder} cannot be written: {cause}.",
            hint=disk.advice(error, "Free some space or make it writable."),
        )
        self.folder = folder
        self.cause = cause


@contextmanager
def hold(
    folder: Path,
    command: str,
    timeout: float = 0.0,
    *,
    on_wait: Callable[[Holder | None], None] | None = None,
    on_killed: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Hold the lock of a state folder, which is made if need be, while the block runs.

    Args:
        folder: The state folder.
        command: What the note says the holder does.
        timeout: How many seconds to wait for another holder.
        on_wait: Called once, before waiting, with who holds it.
        on_killed: Called once the lock is ours, where the last holder was killed, to put in order
            what it left; again for the next holder, should it not come back.

    Raises:
        Locked: Another process, or another part of this one, holds it still.
        StateFolderUnusable: The folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _acquire(folder, timeout, on_wait)
    except OSError as error:
        raise StateFolderUnusable(folder, error) from error
    try:
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        note = Holder(os.getpid(), _host(), since, command)
        if _note(folder).exists():  # who ends, whichever way, takes it along
            on_killed()
        try:
            # Not by a temporary file: the note is for people, and lives as long as we do.
            _note(folder).write_text(json.dumps(asdict(note)), "utf-8")
            atomic.sync_folder(folder)  # that it is there tells of a power cut, too
        except OSError as error:
            raise StateFolderUnusable(folder, error) from error
        yield
    finally:
        # The note first: without the lock it could be another holder's already.
        _note(folder).unlink(missing_ok=True)
        lock.release()


def noted_holder(folder: Path) -> Holder | None:
    """Return whom the note names; a holder that was killed leaves its note behind."""
    try:
        return Holder(**damage.parse_json(_note(folder).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def current_holder(folder: Path) -> Holder | None:
    """Return who holds the lock at this moment, as far as can be told without keeping anyone out.

    A note is left by killed holders too, so the lock itself is tried, and let go at once.
    """
    noted = noted_holder(folder)
    if noted is None:
        return None
    try:
        lock = acquire(folder / "lock", 0.0)
    except OSError:  # a folder that may only be read
        return None
    if lock is None:
        return noted
    lock.release()
    return None


def _acquire(
    folder: Path, timeout: float, on_wait: Callable[[Holder | None], None] | None
) -> OsLock:
    lock = acquire(folder / "lock", PATIENCE)
    if lock is None and timeout > PATIENCE:
        if on_wait is not None:
            on_wait(noted_holder(folder))
        lock = acquire(folder / "lock", timeout - PATIENCE)
    if lock is None:
        raise Locked(folder, noted_holder(folder))
    return lock


def _host() -> str:
    if sys.platform == "win32":
        import platform

        return platform.node()
    return os.uname().nodename


def _note(folder: Path) -> Path:
    return folder / "lock.json"
