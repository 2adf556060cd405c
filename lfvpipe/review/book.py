"""The labels file, open for writing: every decision is on the disk before it is acknowledged."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lfvpipe import atomic
from lfvpipe.damage import parse_json
from lfvpipe.dataset.labels import Decision, LabelsError, Standing, read_decisions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from lfvpipe.dataset.labels import Key


def now() -> str:
    """Return the present time, UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class _Step:
    """What one decision of this session changed: what the same person had said before."""

    made: Decision
    before: Decision | None


class Book:
    """The decisions in a labels file, and those that are added; safe to use from threads.

    Args:
        file: The labels file; made with the first decision.
        clock: Returns the time that decisions get.

    Raises:
        LabelsError: The file, where it exists, is no labels file.
    """

    def __init__(self, file: Path, clock: Callable[[], str] = now) -> None:
        self.file = file
        self._clock = clock
        self._guard = threading.RLock()
        self._seen: tuple[int, int] | None = None
        self._number = 0
        self._standings: dict[Key, Standing] = {}
        self._done: list[_Step] = []
        self._reload()

    def of(self, key: Key) -> Standing:
        """Return what stands about an image; lines that leave its source open count as well."""
        return self.of_all([key])[0]

    def of_all(self, keys: Iterable[Key]) -> list[Standing]:
        """Return what stands about each of many images, after one look at the file."""
        with self._guard:
            self._reload()
            return [self._standing(key) for key in keys]

    def _standing(self, key: Key) -> Standing:
        """Merge the lines that name the image's source with those that leave it open, in order."""
        exact, loose = self._standings.get(key), self._standings.get((None, key[1]))
        if loose is None:
            return exact or Standing()
        merged = Standing()
        for standing in sorted(filter(None, (exact, loose)), key=lambda each: each.number):
            for decision in standing.latest.values():
                merged.add(standing.number, decision)
        return merged

    def add(self, decision: Decision) -> Decision:
        """Append a decision, on the disk when this returns.

        Raises:
            LabelsError: It cannot be written.
        """
        with self._guard:
            before = self.of(decision.key).latest.get(decision.who)
            made = replace(decision, when=self._clock())
            self._append(made)
            self._done.append(_Step(made, before))
            return made

    def undo(self) -> Decision | None:
        """Take back the last decision of this session that is not taken back yet.

        The file keeps both: what the person said before is said again, or nothing is said.

        Returns:
            The decision that was taken back; None if there is none.
        """
        with self._guard:
            if not self._done:
                return None
            step = self._done[-1]  # dropped when the file has it: what fails can be tried again
            nothing = Decision(step.made.name, None, step.made.source, who=step.made.who)
            self._append(replace(step.before or nothing, when=self._clock()))
            self._done.pop()
            return step.made

    @property
    def can_undo(self) -> bool:
        """Whether there is a decision of this session to take back."""
        return bool(self._done)

    def _append(self, decision: Decision) -> None:
        line = decision.as_line().encode() + b"\n"
        try:
            is_new = not self.file.exists()
            atomic.make_folder(self.file.parent)
            with atomic.appending(self.file) as stream:
                _mend(stream.fileno(), self.file)
                stream.write(line)
                stream.flush()
                atomic.sync_file(stream.fileno())
            if is_new:
                atomic.sync_folder(self.file.parent)
        except OSError as error:
            hint = "The decision was not saved. Make room or give write access, then decide again."
            message = f"{self.file}: cannot be written ({error.strerror})."
            raise LabelsError(message, hint=hint) from error
        self._reload()

    def _reload(self) -> None:
        """Read the file again if it changed: an editor or another reviewer may have it open."""
        try:
            status = self.file.stat()
        except OSError:
            stamp = None
        else:
            stamp = status.st_mtime_ns, status.st_size
        if stamp == self._seen and self._number:
            return
        self._standings = {}
        self._number = 0
        for decision in read_decisions(self.file):
            self._standings.setdefault(decision.key, Standing()).add(self._number, decision)
            self._number += 1
        self._seen = stamp


def _mend(descriptor: int, file: Path) -> None:
    """Let the file end with a line's end: a kill may have cut its last line short."""
    data = file.read_bytes()
    if not data or data.endswith(b"\n"):
        return
    whole = data.rfind(b"\n") + 1
    try:
        parse_json(data[whole:])
    except ValueError:
        os.ftruncate(descriptor, whole)  # it was never acknowledged
    else:
        os.write(descriptor, b"\n")
