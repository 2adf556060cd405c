"""Files of the state that are none: what cannot even be read, and JSON that is no JSON.

Where a file belongs there may stand a folder, a link to nothing or to itself, a pipe, a socket or
a device. Nothing of the kind is opened, which could wait for ever: it is told by its status.
"""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ASIDE = ".damaged-"
# A folder called like this is a mistake, and so is a link to nothing. A link called otherwise may
# lead to a disk that is not mounted now.
_SUFFIXES = frozenset(
    {".json", ".jsonl", ".bak", ".db", ".db-wal", ".db-shm", ".lfv", ".html", ".manifest"}
    | {".keys", ".lock", ".log", ".png", ".jpg", ".jpeg", ".tif", ".tiff"}
)
_NAMES = frozenset({"lock", "region"})
# There users' own names are, which may be `a.png` for a folder.
_OF_USERS = frozenset({"buckets", "images"})
_OTHERS_TELL = frozenset({"ledger.json"})


class NoFile(UserError):
    """Something else stands where a file of the state belongs."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} is damaged: {kind_of(path)} is where a file belongs.",
            hint="`lfvpipe doctor --repair` sets it aside; a run makes another, or says what does.",
        )


def parse_json(data: str | bytes, *, constant: Callable[[str], object] | None = None) -> Any:
    """Return what JSON says.

    Args:
        data: Its text.
        constant: Told of NaN and the like.

    Raises:
        ValueError: It is no JSON, no UTF-8, or nested deeper than anything of ours.
    """
    try:
        return json.loads(data, parse_constant=constant)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def kind_of(path: Path) -> str:
    """Return what stands there in place of a file, with its article; empty for a file."""
    try:
        mode = path.stat().st_mode
    except PermissionError:
        return ""
    except OSError:
        return "a link to nothing" if path.is_symlink() else ""
    kinds = {
        stat.S_IFREG: "",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
    }
    return kinds.get(stat.S_IFMT(mode), "a device")


def misfits(root: Path) -> Iterator[Path]:
    """Yield what stands in place of a file of the state; the ledger's is told by its reader."""
    yield from _misfits(root, of_users=False)


def _misfits(folder: Path, *, of_users: bool, top: bool = True) -> Iterator[Path]:
    try:
        with os.scandir(folder) as found:  # of which nearly all are files, maybe many thousands
            entries = [each for each in found if not each.is_file(follow_symlinks=False)]
    except OSError:  # whoever needs it says so
        return
    for entry in sorted(entries, key=lambda each: each.name):
        if ASIDE in entry.name:
            continue
        path = Path(entry.path)
        kind = kind_of(path)
        like_file = entry.name in _NAMES or path.suffix.lower() in _SUFFIXES
        if kind in ("a folder", "a link to nothing"):
            is_one = like_file and entry.name not in _OTHERS_TELL
            if is_one and kind == "a folder" and (of_users or top):
                is_one = not any(each.is_file() for each in path.rglob("*"))
        else:
            is_one = bool(kind) and entry.name not in _OTHERS_TELL
        if is_one:
            yield path
        elif entry.is_dir(follow_symlinks=False):
            yield from _misfits(path, of_users=of_users or entry.name in _OF_USERS, top=False)


def set_aside(path: Path) -> Path:
    """Rename a file so that nothing takes it for what it was; return what it is called now."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}{ASIDE}{stamp}")
    while os.path.lexists(aside):
        aside = aside.with_name(f"{aside.name}-")
    return path.replace(aside)
