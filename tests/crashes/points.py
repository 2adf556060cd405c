"""Where a process can die: before and after each durable write, commit, call and launch.

All of it is hung in from outside, into a process that was forked for it: Python's audit hooks tell
of opens, renames, links, folders, removals and processes; syncs, commits, locks and calls of the
service are told by what is put around them. The code that runs is that which users run.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import sqlite3
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crashes.power import UnsyncedWrites

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANCE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8,}|\d+")
# How often somebody who waits asks, and looks at a lock, is a matter of time.
_WAITING = re.compile(r"api (?:Describe|List)|service/locks|scratch|os.mkdir")
MOST_WAITING = 2
# A kill loses nothing that was written, so that before and after these all is the same.
POWER_ALONE = ("fsynced", "synced")


@dataclass(frozen=True)
class Point:
    """The `number`-th time, from 1, that a process comes to what `label` says."""

    label: str
    number: int


@dataclass
class Executioner:
    """Notes the points that a process passes, and kills it at one of them.

    Attributes:
        root: Only what lies below it is a point.
        log: Gets a line for each point.
        doomed: Where to die; None for nowhere.
        disk: Told of what is written; has the last word, should the power fail.
        most_waiting: How many points count of those whose number is a matter of time.
    """

    root: str
    log: Path
    doomed: Point | None = None
    disk: UnsyncedWrites | None = None
    most_waiting: int = MOST_WAITING
    _passed: Counter[str] = field(default_factory=Counter)
    _guard: Any = field(default_factory=threading.Lock)
    _own: Any = field(default_factory=threading.local)

    def reach(self, what: str, where: str = "") -> None:
        """Pass a point, or die there."""
        label = f"{what} {_CHANCE.sub('#', where)}".strip()
        with self._guard:
            self._passed[label] += 1
            point = Point(label, self._passed[label])
            if _WAITING.search(label) and point.number > self.most_waiting:
                return
            if self.doomed is None:
                self._note(f"{point.number} {label}")
            elif point == self.doomed:
                self._note("died")
                if self.disk is not None:
                    self.disk.lose_power()
                os.kill(os.getpid(), signal.SIGKILL)
                threading.Event().wait()

    def _note(self, line: str) -> None:
        with self.unobserved():
            descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.write(descriptor, f"{line}\n".encode())
            os.close(descriptor)

    def unobserved(self) -> _Unobserved:
        """Return a context in which this thread's own writes are nobody's business."""
        return _Unobserved(self._own)

    def below(self, path: Any, folder: Any = -1) -> str | None:
        """Return an absolute path where it lies below the root; None elsewhere."""
        if not isinstance(path, str | bytes | os.PathLike) or getattr(self._own, "busy", 0) > 0:
            return None
        name = os.fsdecode(path)
        if isinstance(folder, int) and folder >= 0 and not name.startswith("/"):
            name = f"{_path_of(folder)}/{name}"
        name = os.path.abspath(name)  # noqa: PTH100  (a link is not followed)
        return name if f"{name}/".startswith(f"{self.root}/") else None

    def relative(self, path: str) -> str:
        """Return a path as labels have it."""
        return path[len(self.root) + 1 :] or "."


class _Unobserved:
    def __init__(self, own: Any) -> None:
        self._own = own

    def __enter__(self) -> None:
        self._own.busy = getattr(self._own, "busy", 0) + 1

    def __exit__(self, *_: object) -> None:
        self._own.busy -= 1


def install(end: Executioner) -> None:
    """Hang `end` into this process; for good."""
    sys.addaudithook(lambda event, arguments: _audit(end, event, arguments))
    _around_syncs(end)
    _around_commits(end)
    _around_calls(end)


def _audit(end: Executioner, event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        if arguments[2] & _WRITING and (name := end.below(arguments[0])):
            _open(end, name)
    elif event in ("os.rename", "os.link"):
        source, target, source_folder, target_folder = arguments
        name, to = end.below(source, source_folder), end.below(target, target_folder)
        if name and to:
            end.reach(event, end.relative(to))
            if end.disk is not None:
                (end.disk.renames if event == "os.rename" else end.disk.links)(name, to)
    elif event in ("os.mkdir", "os.remove", "os.rmdir"):
        if name := end.below(arguments[0], arguments[-1]):
            _make_or_remove(end, event, name)
    elif event == "subprocess.Popen":
        end.reach("launch")


def _open(end: Executioner, name: str) -> None:
    if not Path(name).parent.is_dir():  # it cannot be made: its writer will first make the folder
        return
    end.reach("open", end.relative(name))
    if end.disk is not None:
        end.disk.opens(name)


def _make_or_remove(end: Executioner, event: str, name: str) -> None:
    if event == "os.mkdir" and Path(name).exists():
        return
    end.reach(event, end.relative(name))
    if end.disk is not None and event == "os.mkdir":
        end.disk.makes(name)
    elif end.disk is not None and event == "os.remove":
        end.disk.removes(name)


def _path_of(file: Any) -> str:
    """Return what an open file, or its number, is called."""
    number = file if isinstance(file, int) else file.fileno()
    return str(Path(f"/proc/self/fd/{number}").readlink())


def _around_syncs(end: Executioner) -> None:
    def sync(descriptor: Any) -> None:  # a kill loses nothing that was written, synced or not
        if name := end.below(_path_of(descriptor)):
            end.reach("fsync", end.relative(name))
            if end.disk is not None:
                end.disk.syncs(name)
            end.reach("fsynced", end.relative(name))

    def sync_all() -> None:
        end.reach("sync")
        if end.disk is not None:
            end.disk.syncs_all()
        end.reach("synced")

    flock = fcntl.flock

    def lock(descriptor: Any, operation: int) -> None:
        if name := end.below(_path_of(descriptor)):
            end.reach("flock", end.relative(name))
        flock(descriptor, operation)

    os.fsync, os.sync, fcntl.flock = sync, sync_all, lock  # type: ignore[assignment]


def _around_commits(end: Executioner) -> None:
    class Connection(sqlite3.Connection):
        writes = False

        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            if statement.startswith("BEGIN"):
                self.writes = statement.startswith("BEGIN IMMEDIATE")
            if statement != "COMMIT" or not self.writes:
                return super().execute(statement, *values)
            end.reach("commit")
            cursor = super().execute(statement, *values)
            end.reach("committed")
            return cursor

    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def observed(file: Any, *more: Any, **settings: Any) -> sqlite3.Connection:
        if end.below(file) is not None:
            settings.setdefault("factory", Connection)
        return connect(file, *more, **settings)

    sqlite3.connect = observed  # type: ignore[assignment]


def _around_calls(end: Executioner) -> None:
    from botocore.client import BaseClient

    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def observed(client: Any, operation: str, parameters: Any) -> Any:
        end.reach("before api", operation)
        answer = call(client, operation, parameters)
        end.reach("after api", operation)
        return answer

    BaseClient._make_api_call = observed  # type: ignore[attr-defined]
