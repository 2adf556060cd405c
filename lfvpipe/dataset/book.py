"""The labels file, open for writing: every decision is on the disk before it is acknowledged."""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lfvpipe import atomic
from lfvpipe.damage import parse_json
from lfvpipe.dataset.labels import (
    Decision,
    LabelsError,
    Standing,
    images_folder,
    read_decisions,
)
from lfvpipe.dataset.local_files import display_name
from lfvpipe.dataset.selection import FILES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
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
        self._names: dict[tuple[str, str], str] = {}
        self._done: list[list[_Step]] = []
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

    def add(self, *decisions: Decision) -> None:
        """Append what was decided at once, on the disk when this returns.

        Raises:
            LabelsError: It cannot be written.
        """
        with self._guard:
            when = self._clock()
            befores = [standing.latest for standing in self.of_all(each.key for each in decisions)]
            steps = [
                _Step(replace(each, when=when), before.get(each.who))
                for each, before in zip(decisions, befores, strict=True)
            ]
            self._append([step.made for step in steps])
            self._done.append(steps)

    def undo(self) -> Sequence[Decision]:
        """Take back what this session decided last, and has not taken back yet.

        The file keeps both: what the person said before is said again, or nothing is said.

        Returns:
            What was taken back; nothing if there is none.
        """
        with self._guard:
            if not self._done:
                return ()
            steps = self._done[-1]  # dropped when the file has it: what fails can be tried again
            when = self._clock()
            said = [
                step.before or Decision(step.made.name, None, step.made.source, who=step.made.who)
                for step in steps
            ]
            self._append([replace(each, when=when) for each in said])
            self._done.pop()
            return [step.made for step in steps]

    def name_of(self, sha256: str, source: str) -> str | None:
        """Return what the file calls an image of this digest in a source; None if it does not."""
        return self._names.get((source, sha256))

    def name_of_copy(self, called: str, sha256: str, suffix: str, folder: Path | None) -> str:
        """Return what the file calls, or is to call, an image that it adds to the sources.

        That is the name of the copy beside the file: other decisions about the image use it, too.

        Args:
            called: The name of the image where it comes from.
            sha256: The digest of its file.
            suffix: Of the copy, such as ``.png``.
            folder: What names are relative to, the pipeline's; None where that is not known.
        """
        if before := self.name_of(sha256, FILES):
            return before
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", called.rpartition(".")[0] or called)[-60:]
        copy = images_folder(self.file) / f"{stem.strip('.-') or 'image'}-{sha256[:16]}{suffix}"
        return str(copy.absolute()) if folder is None else display_name(copy, folder)

    @property
    def can_undo(self) -> bool:
        """Whether there is a decision of this session to take back."""
        return bool(self._done)

    def _append(self, decisions: Sequence[Decision]) -> None:
        lines = b"".join(each.as_line().encode() + b"\n" for each in decisions)
        try:
            is_new = not self.file.exists()
            atomic.make_folder(self.file.parent)
            with atomic.appending(self.file) as stream:
                _mend(stream.fileno(), self.file)
                stream.write(lines)
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
        self._names = {}
        self._number = 0
        for decision in read_decisions(self.file):
            if decision.source and decision.sha256:
                self._names.setdefault((decision.source, decision.sha256), decision.name)
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
