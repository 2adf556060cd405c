"""The verdicts that are kept of detected images, for `lfvpipe review --of detect`.

Each project has a folder of its own: ``verdicts.jsonl``, a line a verdict, and ``images``, which
holds photographs that nobody else keeps, as those that came over the wire, each under its digest.

There are bounds, and what is beyond them goes at once, the oldest verdict first: of several about
one photograph only the newest is kept, with whatever model it was made; then those beyond the
number of verdicts; then those whose photographs are beyond the bytes, the photographs with them.
A photograph on the user's own disk is not ours: it is named, and never removed.

All of it is its user's alone, unless a group shares the state (`chmod g+s`).
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from lfvpipe import atomic
from lfvpipe.damage import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

FOLDER = "kept"  # in that of all state
MOST_VERDICTS = 10_000
_LOOK = 1 << 16  # bytes of lines after which the bound is looked at again, as that takes a while
_ROOM = 0.9  # of the bytes, which is left of them when they were too many, for the same reason


@dataclass(frozen=True)
class KeptVerdict:
    """A verdict on a photograph, and where that lies.

    Attributes:
        sha256: The digest of the photograph's file.
        name: What the user called it; made of the digest where it came over the wire.
        path: Where its file lies, absolute; None where the store itself has it.
        width: Of the image as it was judged, pixels.
        height: Of the image as it was judged, pixels.
        is_anomalous: The verdict.
        confidence: In the verdict, 0 to 1.
        model: The project's model version.
        when: UTC, ISO 8601.
        anomalies: Types of anomaly with the part of the image (0 to 1) that each covers.
        unlikeness: How far an image that is not like the training images lies from them, in
            thresholds; None where it is like them.
        threshold: The score, or probability of an anomaly, from which an image counted as one.
    """

    sha256: str
    name: str
    path: str | None
    width: int
    height: int
    is_anomalous: bool
    confidence: float
    model: str
    when: str
    anomalies: tuple[tuple[str, float], ...] = ()
    unlikeness: float | None = None
    threshold: float = 0.5


@dataclass(frozen=True)
class Bounds:
    """How much is kept.

    Attributes:
        verdicts: The number of verdicts.
        bytes: The size of the photographs in the store.
    """

    verdicts: int = MOST_VERDICTS
    bytes: int = 1 << 30


@dataclass(frozen=True)
class Store:
    """The kept verdicts of one project; safe to use from threads and processes.

    Args:
        folder: The project's.
        bounds: What is beyond them is removed.
    """

    folder: Path
    bounds: Bounds = field(default_factory=Bounds)

    @property
    def _is_private(self) -> bool:
        mode = self.folder.parents[2].stat().st_mode  # of the folder of all state
        return not (mode & stat.S_ISGID and mode & stat.S_IRWXG)

    @property
    def _file(self) -> Path:
        return self.folder / "verdicts.jsonl"

    def image(self, verdict: KeptVerdict) -> Path:
        """Return where a verdict's photograph lies, or lay."""
        if verdict.path is not None:
            return Path(verdict.path)
        return self.folder / "images" / verdict.sha256

    def read(self) -> list[KeptVerdict]:
        """Return the kept verdicts, oldest first, the newest of each photograph.

        A line that cannot be read, as a kill may have cut it short, says nothing.
        """
        found = _newest(self._lines())
        return found[max(0, len(found) - self.bounds.verdicts) :]

    def beyond(self) -> int:
        """Return how many bytes the lines have that `trim` takes out for the number of verdicts."""
        size = self._file.stat().st_size if self._file.is_file() else 0
        return max(0, size - sum(len(_line(each)) for each in self.read()))

    def keep(self, verdict: KeptVerdict, image: bytes | None = None) -> None:
        """Add a verdict; and the photograph's bytes, where nobody else has them.

        Raises:
            OSError: It cannot be written.
        """
        self.keep_all([verdict], {} if image is None else {verdict.sha256: image})

    def keep_all(
        self, verdicts: Sequence[KeptVerdict], images: dict[str, bytes] | None = None
    ) -> None:
        """Add verdicts at once, as `keep` does.

        Raises:
            OSError: They cannot be written.
        """
        if not verdicts:
            return
        with self._locked():
            for digest, data in (images or {}).items():
                place = self.folder / "images" / digest
                if not place.is_file():  # a power cut may cost it: it would cost requests more
                    secret = self._is_private
                    with atomic.staging(place, secret=secret, synced=False) as staged:
                        staged.file.write(data)
            grew = self._append(verdicts)
            if grew or (images and sum(self._sizes().values()) > self.bounds.bytes):
                self._remove_what_is_beyond()

    def trim(self) -> None:
        """Remove what is beyond the bounds.

        Raises:
            OSError: It cannot be written.
        """
        with self._locked():
            self._remove_what_is_beyond()

    def _append(self, verdicts: Sequence[KeptVerdict]) -> bool:
        """Append lines; return whether it is time to look at the bounds."""
        is_new = not self._file.exists()
        with self._file.open("ab") as stream:
            if is_new and self._is_private:
                self._file.chmod(0o600)
            before = stream.tell()
            # A kill may have cut the last line short: what follows stands on one of its own.
            start = b"" if is_new or _ends_whole(self._file) else b"\n"
            stream.write(start + b"".join(map(_line, verdicts)))
            return before // _LOOK != stream.tell() // _LOOK

    @contextmanager
    def _locked(self) -> Iterator[None]:
        atomic.make_folder(self.folder.parents[2])
        is_private = self._is_private
        above = (self.folder.parent.parent, self.folder.parent, self.folder)
        for folder in (*above, self.folder / "images"):
            if not folder.is_dir():
                atomic.make_folder(folder)
                if is_private:
                    folder.chmod(0o700)
        with FileLock(self.folder / "lock", mode=0o600 if is_private else 0o660):
            yield

    def _lines(self) -> list[KeptVerdict]:
        try:
            data = self._file.read_bytes()
        except FileNotFoundError:
            return []
        return [found for line in data.splitlines() if (found := _verdict(line))]

    def _remove_what_is_beyond(self) -> None:
        sizes = self._sizes()
        is_full = sum(sizes.values()) > self.bounds.bytes
        room = self.bounds.bytes * (_ROOM if is_full else 1)
        kept: list[KeptVerdict] = []
        for each in reversed(self.read()):
            if each.path is None:
                room -= sizes.get(each.sha256, 0)
            if each.path is not None or room >= 0:  # once it is used up, it stays so
                kept.append(each)
        self._write(kept[::-1])

    def _sizes(self) -> dict[str, int]:
        with os.scandir(self.folder / "images") as entries:
            return {entry.name: entry.stat().st_size for entry in entries}

    def _write(self, verdicts: Sequence[KeptVerdict]) -> None:
        """Write the verdicts, then remove the photographs of others: a kill leaves only more."""
        atomic.write_bytes(self._file, b"".join(map(_line, verdicts)), secret=self._is_private)
        needed = {each.sha256 for each in verdicts if each.path is None}
        for name in self._sizes().keys() - needed:
            with suppress(FileNotFoundError):
                (self.folder / "images" / name).unlink()


def store_of(state_root: Path, region: str, project: str, bounds: Bounds | None = None) -> Store:
    """Return the store of a project's verdicts.

    Args:
        state_root: The folder of all state.
        region: The project's.
        project: Its name; by the API's rules it names a folder.
        bounds: Those that are not the usual ones.
    """
    return Store(state_root / FOLDER / region / project, bounds or Bounds())


def digest_of(data: bytes) -> str:
    """Return the digest by which a photograph is known."""
    return hashlib.sha256(data).hexdigest()


def _newest(verdicts: Iterable[KeptVerdict]) -> list[KeptVerdict]:
    found: dict[str, KeptVerdict] = {}
    for each in verdicts:
        before = found.pop(each.sha256, None)
        if before is not None and before.path is not None and each.path is None:
            found[each.sha256] = replace(each, path=before.path, name=before.name)
        else:
            found[each.sha256] = each
    return list(found.values())


def _line(verdict: KeptVerdict) -> bytes:
    # A name of bytes that are no text comes to be one.
    text = json.dumps(vars(verdict), ensure_ascii=True, separators=(",", ":"))
    return text.encode() + b"\n"


def _verdict(line: bytes) -> KeptVerdict | None:
    """Return what a line says; None where it is none of ours, or of a later version's."""
    try:
        found = KeptVerdict(**_checked(parse_json(line)))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return found


def _checked(line: Any) -> dict[str, Any]:
    digest = line["sha256"]
    if not isinstance(digest, str) or len(digest) != 64 or not set(digest) <= _HEX:
        raise ValueError("no digest")
    texts = (line["name"], line["model"], line["when"], line["path"] or "")
    numbers = (line["width"], line["height"], line["confidence"])
    if not all(isinstance(each, str) for each in texts):
        raise ValueError("no text")
    if not all(isinstance(each, int | float) for each in numbers):
        raise ValueError("no number")
    anomalies = tuple((str(name), float(part)) for name, part in line["anomalies"])
    return {**line, "anomalies": anomalies, "is_anomalous": bool(line["is_anomalous"])}


_HEX = frozenset("0123456789abcdef")


def _ends_whole(file: Path) -> bool:
    with file.open("rb") as stream:
        if not stream.seek(0, os.SEEK_END):
            return True
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"
