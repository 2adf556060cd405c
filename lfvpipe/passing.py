"""Folders in the system's place for passing files, which do not outlive a kill for ever.

`tempfile`'s are removed by the process that made them, or by nobody. One of these holds a file
that is locked as long as its maker lives; the next one to be made removes those that are not.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "lfvpipe-passing-"
_LOCK = "lock"


@contextmanager
def passing_folder() -> Iterator[Path]:
    """Yield a new folder for this user alone; it is removed when the block ends."""
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        if sys.platform == "win32":  # where an open file stays, whoever wants to remove it
            yield Path(name)
            return
        import fcntl

        _remove_abandoned()
        new = Path(name, "new")
        with new.open("wb") as lock:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX)
            new.rename(Path(name, _LOCK))  # who finds it finds it locked
            yield Path(name)


def _remove_abandoned() -> None:
    if sys.platform == "win32":
        return
    import fcntl

    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if folder.lstat().st_uid != os.getuid():
                continue
            descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
        except OSError:  # it goes, or comes, at this moment
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # somebody works in it, or no lock can be had
            continue
        finally:
            os.close(descriptor)
