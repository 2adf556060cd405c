"""What a disk keeps when the power fails: what was synced, and not a byte or name more.

The model, which is that of ext4 (``data=ordered``) and XFS without the favours that they do to
programs that sync too little:

- a file's content is what it was at its last fsync; empty where there was none;
- a new file's name, and those of the new folders above it, are kept with its fsync;
- a rename, a link and a removal are kept with an fsync of their folder, else undone;
- sync(2) keeps all;
- SQLite's files, and what other processes write, are as they are at that moment: SQLite syncs by
  itself (``synchronous = FULL``) and is tested for this by its makers.

Btrfs and ZFS keep more (a rename over a file takes its content along); file systems that write in
no order, or disks that lie about having written, are not modelled.
"""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import psutil

if TYPE_CHECKING:
    from tests.crashes.points import Executioner

_SQLITE = ("-wal", "-shm", "-journal", ".db")


@dataclass
class _Change:
    """A change of names that is not on the disk yet.

    Attributes:
        kind: What was done.
        path: The name that came, or went.
        source: What it was called before a rename.
        kept: What had the name before; None for nothing.
    """

    kind: Literal["create", "mkdir", "rename", "remove"]
    path: str
    source: str = ""
    kept: Path | None = None


@dataclass
class UnsyncedWrites:
    """Remembers of one process what it wrote below a folder and did not sync.

    Attributes:
        shadow: A folder on the same file system for what has to come back.
        end: Who observes, and is not to observe this.
    """

    shadow: Path
    end: Executioner
    _changes: list[_Change] = field(default_factory=list)
    _created: set[str] = field(default_factory=set)
    _opened: set[int] = field(default_factory=set)
    _synced: set[int] = field(default_factory=set)
    _number: int = 0
    _guard: threading.RLock = field(default_factory=threading.RLock)

    def opens(self, path: str) -> None:
        """A file is about to be opened for writing."""
        with self._guard, self.end.unobserved():
            self._find_created()
            if os.path.exists(path):  # noqa: PTH110
                self._opened.add(os.stat(path).st_ino)  # noqa: PTH116
            else:
                self._created.add(path)
                self._changes.append(_Change("create", path))

    def makes(self, path: str) -> None:
        """A folder is about to be made."""
        with self._guard, self.end.unobserved():
            if not os.path.exists(path):  # noqa: PTH110
                self._changes.append(_Change("mkdir", path))

    def removes(self, path: str) -> None:
        """A file is about to be removed."""
        with self._guard, self.end.unobserved():
            kept = self._keep(path)
            if kept is not None:
                self._changes.append(_Change("remove", path, kept=kept))

    def renames(self, source: str, path: str) -> None:
        """A file is about to get another name."""
        with self._guard, self.end.unobserved():
            self._find_created()
            self._changes.append(_Change("rename", path, source, self._keep(path)))

    def links(self, _source: str, path: str) -> None:
        """A file is about to get a second name."""
        with self._guard, self.end.unobserved():
            self._changes.append(_Change("create", path))

    def syncs(self, path: str) -> None:
        """A file or folder is being synced."""
        with self._guard, self.end.unobserved():
            self._find_created()
            if os.path.isdir(path):  # noqa: PTH112
                self._changes = [x for x in self._changes if os.path.dirname(x.path) != path]  # noqa: PTH120
            else:
                self._keep_content(path)
                self._changes = [
                    x for x in self._changes if not (x.kind == "create" and x.path == path)
                ]
            above = f"{path}/"
            self._changes = [
                x
                for x in self._changes
                if not (x.kind == "mkdir" and above.startswith(f"{x.path}/"))
            ]

    def syncs_all(self) -> None:
        """All is being synced."""
        with self._guard, self.end.unobserved():
            self._changes.clear()
            for path in Path(self.end.root).rglob("*"):
                if path.is_file() and not path.name.endswith(_SQLITE):
                    self._keep_content(str(path))

    def lose_power(self) -> None:
        """Stop the processes that this one started, and leave on the disk what is durable."""
        with self._guard, self.end.unobserved():
            for worker in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    worker.kill()
            self._find_created()
            self._lose_contents()
            for change in reversed(self._changes):
                self._undo(change)

    def _find_created(self) -> None:
        """Note the files that are there by now of those that were about to be made."""
        for path in list(self._created):
            with suppress(FileNotFoundError):
                self._opened.add(os.stat(path).st_ino)  # noqa: PTH116
                self._created.remove(path)

    def _keep(self, path: str) -> Path | None:
        """Give a file a second name, under which it can come back."""
        if not os.path.isfile(path):  # noqa: PTH113
            return None
        self._number += 1
        kept = self.shadow / f"name-{self._number}"
        os.link(path, kept)
        return kept

    def _keep_content(self, path: str) -> None:
        node = os.stat(path).st_ino  # noqa: PTH116
        shutil.copyfile(path, self.shadow / f"content-{node}")
        self._synced.add(node)
        self._opened.add(node)

    def _lose_contents(self) -> None:
        for path in (*Path(self.end.root).rglob("*"), *self.shadow.glob("name-*")):
            if not path.is_file() or path.name.endswith(_SQLITE):
                continue
            node = path.stat().st_ino
            if node in self._synced:
                content = (self.shadow / f"content-{node}").read_bytes()
                if path.read_bytes() != content:
                    path.write_bytes(content)
            elif node in self._opened:
                os.truncate(path, 0)

    def _undo(self, change: _Change) -> None:
        path = Path(change.path)
        if change.kind == "mkdir":
            with suppress(OSError):
                path.rmdir()  # what another process put there keeps it
            return
        if change.kind == "rename" and path.exists() and not os.path.lexists(change.source):
            Path(change.source).parent.mkdir(parents=True, exist_ok=True)
            path.replace(change.source)
        elif change.kind == "create":
            path.unlink(missing_ok=True)
        if change.kept is not None and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(change.kept, path)
