"""SHA-256 of files and folders, remembered by their stat so that only what changed is read."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lfvpipe.atomic import write_text
from lfvpipe.damage import parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterator

_FORMAT = 1
_SAVE_EVERY = 10_000  # files hashed between two saves: a kill loses no more than that

# How far the clock of a file system may stand still; see `_is_settled`.
_TICK_NS = 50_000_000
_COARSE_TICK_NS = 2_000_000_000  # FAT; and any file system that stores whole seconds


class Entry(NamedTuple):
    """What is remembered of a file; a tuple, since JSON keeps a hundred thousand of them."""

    size: int
    mtime_ns: int
    ctime_ns: int
    hashed_ns: int
    sha256: str


@dataclass(frozen=True)
class Digest:
    """What a file or folder holds: `size` in bytes, in all; `files` counts a folder's files."""

    sha256: str
    size: int
    files: int = 1


@dataclass
class _Index:
    """The digests known so far, by name; only a cache: whatever is wrong with it, hash again."""

    file: Path
    known: dict[str, Entry] = field(default_factory=dict)
    unsaved: int = 0

    @classmethod
    def load(cls, file: Path) -> _Index:
        try:
            stored = parse_json(file.read_bytes())
            if stored["format"] != _FORMAT:
                return cls(file)
            return cls(file, {name: Entry(*entry) for name, entry in stored["files"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls(file)

    def save(self) -> None:
        text = json.dumps({"format": _FORMAT, "files": self.known}, separators=(",", ":"))
        try:
            write_text(self.file, text)
        except OSError:
            return  # `plan` in a read-only folder works, only slower
        self.unsaved = 0

    def sha256(self, name: str, status: os.stat_result) -> str | None:
        """Return the digest of the file that has this `status`, None where it has to be read."""
        entry = self.known.get(name)
        now = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if entry is None or entry[:3] != now or not _is_settled(status, entry.hashed_ns):
            return None
        return entry.sha256

    def remember(self, name: str, entry: Entry) -> None:
        self.known[name] = entry
        self.unsaved += 1
        if self.unsaved >= _SAVE_EVERY:
            self.save()


def file_digest(path: Path, index: Path) -> Digest:
    """Return the digest of the file `path`, remembered in the file `index`.

    Raises:
        OSError: The file cannot be read.
    """
    known = _Index.load(index)
    status = path.stat()
    sha256 = known.sha256(path.name, status)
    if sha256 is None:
        entry = _hash(path)
        known.remember(path.name, entry)
        known.save()
        return Digest(entry.sha256, entry.size)
    return Digest(sha256, status.st_size)


def file_digests(paths: Collection[Path], index: Path) -> dict[Path, str]:
    """Return the SHA-256 of each of `paths`, all remembered in the one file `index`.

    Raises:
        OSError: A file cannot be read.
    """
    known = _Index.load(index)
    digests = {path: known.sha256(str(path), path.stat()) for path in paths}
    stale = [str(path) for path, found in digests.items() if found is None]
    for name, entry in _hash_all(Path(), stale):
        digests[Path(name)] = entry.sha256
        known.remember(name, entry)
    if stale or len(known.known) != len(digests):
        kept = {str(path) for path in digests}
        known.known = {name: entry for name, entry in known.known.items() if name in kept}
        known.save()
    return {path: found for path, found in digests.items() if found is not None}


def folder_digest(folder: Path, index: Path, *, skip: Callable[[str], bool]) -> Digest:
    """Return the digest over names and contents of the files below `folder`.

    One scandir pass; linked folders are entered, as where the folder is listed as an archive. What
    was touched but not changed keeps the folder's digest.

    Args:
        folder: Where to look.
        index: The file that remembers the digests.
        skip: Tells of a file's or folder's relative name whether it does not count.

    Raises:
        OSError: A folder or file cannot be read.
    """
    known = _Index.load(index)
    seen = dict(_scan(str(folder), "", skip, known.known))
    digests = {name: known.sha256(name, status) for name, status in seen.items()}
    stale = [name for name, found in digests.items() if found is None]
    for name, entry in _hash_all(folder, stale):
        digests[name] = entry.sha256
        known.remember(name, entry)
    if stale or len(known.known) != len(seen):
        known.known = {name: known.known[name] for name in seen if name in known.known}
        known.save()
    lines = "".join(f"{digests[name]}  {name}\n" for name in sorted(seen))
    total = sum(status.st_size for status in seen.values())
    sha256 = hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()
    return Digest(sha256, total, len(seen))


def _scan(
    folder: str,
    prefix: str,
    skip: Callable[[str], bool],
    known: Container[str],
    above: tuple[tuple[int, int], ...] = (),
) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the relative name and the stat of each file; `above` are the folders it lies in."""
    status = os.stat(folder)  # noqa: PTH116  (a hot loop)
    here = (status.st_dev, status.st_ino)
    if here in above:  # a linked folder that holds itself
        return
    folders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            if entry.is_dir():
                folders.append((entry.path, name + "/"))
            # What is known was not skipped before: `skip`, which is slower than the stat, need not
            # be asked about the same name again.
            elif (name in known or not skip(name)) and entry.is_file():
                if os.name == "nt":  # its folder's record of a file may be behind, and lacks ctime
                    yield name, os.stat(entry.path)  # noqa: PTH116  (a hot loop)
                else:
                    yield name, entry.stat()
    for path, name in folders:
        if not skip(name):
            yield from _scan(path, name, skip, known, (*above, here))


def _hash_all(folder: Path, names: list[str]) -> Iterator[tuple[str, Entry]]:
    if len(names) < 2:  # the usual case need not import the pool
        yield from ((name, _hash(folder / name)) for name in names)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(names), 1000):  # bounds the futures that wait
            part = names[start : start + 1000]
            paths = [folder / name for name in part]
            yield from zip(part, pool.map(_hash, paths), strict=True)


def _hash(path: Path) -> Entry:
    started = time.time_ns()
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return Entry(status.st_size, status.st_mtime_ns, status.st_ctime_ns, started, sha256)


def _is_settled(status: os.stat_result, hashed_ns: int) -> bool:
    """Whether a change after the hashing would show in the stat.

    A file written and hashed within one tick of its file system's clock can be written again in
    that very tick, with the same size and times ("racy git"); it is read once more.
    """
    changed = status.st_mtime_ns if os.name == "nt" else status.st_ctime_ns
    coarse = changed % 1_000_000_000 == 0
    return changed + (_COARSE_TICK_NS if coarse else _TICK_NS) <= hashed_ns
