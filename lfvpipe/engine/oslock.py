"""A lock on a file that the operating system frees when its process dies, however it dies.

Two dozen lines rather than a library: every run takes this lock first, and importing one would
take longer than all the rest of a run that has nothing to do.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

POLL = 0.05  # seconds


class OsLock:
    """A file that is locked until `release`; the file itself stays."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others have it."""
        if sys.platform == "win32":
            import msvcrt

            os.lseek(self._descriptor, 0, os.SEEK_SET)
            msvcrt.locking(self._descriptor, msvcrt.LK_UNLCK, 1)
        os.close(self._descriptor)  # which is what frees it elsewhere


def acquire(path: Path, timeout: float) -> OsLock | None:
    """Lock a file, which is made if need be; None if another holder keeps it for `timeout` seconds.

    Holders in one process exclude each other, too.

    Raises:
        OSError: The file cannot be made, or its file system knows no locks.
    """
    deadline = time.monotonic() + timeout
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            locked = _try(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if locked:
            return OsLock(descriptor)
        os.close(descriptor)
        if time.monotonic() >= deadline:
            return None
        time.sleep(POLL)


def _try(descriptor: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
