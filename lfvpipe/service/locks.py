"""Who works on what: OS locks, which die with their process.

That is what makes a job durable without a supervisor: a row says what is to be done, a lock says
that somebody is at it, and a promise whose lock is free belongs to a process that died. Nobody
has to tell a crash from a slow worker by a clock.

The names are those of files in the state folder, which processes of several versions may share:
a name that changes lets two of them train the same model.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

OPENING: Final = "open"
"""Held while the state file is opened, and made or migrated."""


def content(identity: int) -> str:
    """Return the lock's name of who fills a dataset's content."""
    return f"content-{identity}"


def model(identity: int) -> str:
    """Return the lock's name of who trains or deletes a model."""
    return f"model-{identity}"


def training_slot(number: int) -> str:
    """Return the lock's name of one of the places for trainings at the same time."""
    return f"training-slot-{number}"


def hosting(identity: int) -> str:
    """Return the lock's name of who brings a model up."""
    return f"hosting-{identity}"


def packaging_job(identity: int) -> str:
    """Return the lock's name of who carries out a packaging job."""
    return f"packaging-{identity}"


class Locks:
    """Named locks in `folder`, between threads as well as between processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def held(self, name: str, *, seconds: float = 0.0) -> Iterator[bool]:
        """Yield whether the lock `name` is ours for the block, after at most `seconds`."""
        # Not thread-local: the lock is this object's, so a second thread's own object waits.
        lock = FileLock(self._folder / f"{name}.lock", thread_local=False)
        try:
            lock.acquire(timeout=seconds, poll_interval=0.01)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def is_abandoned(self, name: str) -> bool:
        """Say whether nobody holds `name` now; makes no file."""
        try:
            return not (self._folder / f"{name}.lock").exists() or self.is_free(name)
        except OSError:  # a folder of somebody else's
            return False

    def is_free(self, name: str) -> bool:
        """Say whether nobody holds `name`; asking takes it for a moment."""
        with self.held(name) as ours:
            return ours
