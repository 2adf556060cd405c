"""What is made of images, such as small pictures: kept in one file of the state, within a bound."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import time
import weakref
from contextlib import closing
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lfvpipe.storage import Bucket

T = TypeVar("T")
_LARGEST: Final = 64 * 1024 * 1024
"""Bytes of an image that is read."""
_DAY: Final = 86400
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS pictures (key BLOB PRIMARY KEY, used INTEGER, data BLOB) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pictures_by_use ON pictures (used);
"""


class Derived:
    """Makes something of objects and keeps it; that goes first which nobody asked for for longest.

    It can all be made again: a file that is damaged is begun anew, and one that cannot be written
    costs time and nothing else. Safe to call from many threads and processes.

    Args:
        file: Where it is kept; made when absent.
        make: Makes it of an object's bytes; None where that cannot be.
        most: Bytes that it may take together.
    """

    def __init__(self, file: Path, make: Callable[[bytes], bytes | None], most: int) -> None:
        self._file = file
        self._make = make
        self._most = most
        self._guard = threading.Lock()
        self._made: list[sqlite3.Connection] = []  # the one that is open
        weakref.finalize(self, _close, self._made)

    def find(self, bucket: Bucket, key: str) -> bytes | None:
        """Return what is made of an object; None where there is none, or nothing of it.

        An object that was replaced is another one: its size, time and tag are part of the name.

        Raises:
            StorageError: The store does not answer.
        """
        about = bucket.head(key)
        if about is None or about.size > _LARGEST:
            return None
        which = (bucket.name, key, about.etag, str(about.size), about.modified.isoformat())
        name = hashlib.sha256("\n".join(which).encode()).digest()
        found = self._read(name)
        if found is None:
            found = self._make(bucket.get(key, limit=_LARGEST))
            if found is not None:
                self._keep(name, found)
        return found

    def _read(self, name: bytes) -> bytes | None:
        def read(opened: sqlite3.Connection) -> bytes | None:
            query = "SELECT used, data FROM pictures WHERE key = ?"
            row = opened.execute(query, (name,)).fetchone()
            now = int(time.time())
            if row is not None and row[0] < now - _DAY:
                opened.execute("UPDATE pictures SET used = ? WHERE key = ?", (now, name))
            return None if row is None else bytes(row[1])

        return self._ask(read)

    def _keep(self, name: bytes, data: bytes) -> None:
        def keep(opened: sqlite3.Connection) -> None:
            query = "INSERT OR REPLACE INTO pictures (key, used, data) VALUES (?, ?, ?)"
            opened.execute(query, (name, int(time.time()), data))
            self._make_room(opened)

        self._ask(keep)

    def _make_room(self, opened: sqlite3.Connection) -> None:
        """Let a tenth go when there is too much: to look for the oldest each time is slow."""
        pages, free, size = (
            int(opened.execute(f"PRAGMA {each}").fetchone()[0])
            for each in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * size > self._most:
            opened.execute(
                "DELETE FROM pictures WHERE key IN (SELECT key FROM pictures ORDER BY used"
                " LIMIT (SELECT 1 + COUNT(*) / 10 FROM pictures))"
            )

    def _ask(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Return what `work` finds in the file; None where that refuses. A damaged one goes."""
        with self._guard:
            try:
                if not self._made:
                    self._made.append(_open(self._file))
                return work(self._made[0])
            except sqlite3.OperationalError:  # such as: another process writes, the disk is full
                return None
            except sqlite3.DatabaseError:
                _close(self._made)
                for ending in ("", "-wal", "-shm"):
                    self._file.with_name(self._file.name + ending).unlink(missing_ok=True)
                return None


def _open(file: Path) -> sqlite3.Connection:
    made = sqlite3.connect(file, timeout=5.0, isolation_level=None, check_same_thread=False)
    try:
        with closing(made.execute("PRAGMA journal_mode = WAL")):
            pass
        made.execute("PRAGMA synchronous = OFF")  # all of it can be made again
        made.executescript(_TABLE)
    except BaseException:
        made.close()
        raise
    return made


def _close(made: list[sqlite3.Connection]) -> None:
    while made:
        made.pop().close()
