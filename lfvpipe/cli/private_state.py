"""The state is its user's alone: folders 0700, files 0600, whichever command comes first.

It holds photographs of products, addresses and, in a server's, the key. A folder that a group is
to share has the setgid bit (`chmod g+s`), without which sharing would not work: then the umask
decides, as it does elsewhere.
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lfvpipe import atomic
from lfvpipe.cli.options import STATE_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OF_ALL = frozenset(
    {"buckets", "cache", "kept", "service", "known-valid.json", "credentials", "credentials.lock"}
)
_OF_A_PIPELINE = ("ledger.json", "lock", "selection")


@contextmanager
def private_state(root: Path) -> Iterator[None]:
    """Make what is written to the state its user's alone, and what others may see there already.

    Args:
        root: The folder of all state, which need not be there.
    """
    if os.name == "nt" or _is_shared(root):
        yield
        return
    _tighten(root)
    with atomic.private(root):
        yield


def _is_shared(root: Path) -> bool:
    with suppress(OSError):
        mode = root.stat().st_mode
        return bool(mode & stat.S_ISGID and mode & stat.S_IRWXG)
    return False


def _tighten(root: Path) -> None:
    """Close what earlier versions, or an umask, left open to others; say so."""
    with suppress(OSError):  # another's, a read-only disk: it stays as its owner has it
        entries = list(root.iterdir())
        # `--state-dir` may name a folder that holds other things, which are not ours to close.
        is_ours = root.name == STATE_FOLDER or all(map(_is_of_state, entries))
        for folder in [root] if is_ours else filter(_is_of_state, entries):
            if _is_open(folder):
                _close(folder)
                note = "others could look into it, and no longer can; `chmod g+s` shares it"
                print(f"note: {folder}: {note}", file=sys.stderr)


def _is_of_state(path: Path) -> bool:
    if path.name in _OF_ALL or path.name.startswith("lfvpipe-crash-"):
        return True
    return any((path / name).exists() for name in _OF_A_PIPELINE)


def _is_open(path: Path) -> bool:
    status = path.lstat()
    is_passing = status.st_mode & stat.S_ISVTX  # /tmp is everybody's
    is_mine = status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode)
    return bool(is_mine and not is_passing and status.st_mode & 0o077)


def _close(top: Path) -> None:
    """Close all below `top`, and `top` last: whoever is killed meanwhile begins again."""
    for above, _, names in os.walk(top):
        for path in [*(os.path.join(above, name) for name in names), above]:  # noqa: PTH118
            if path != os.fspath(top):
                _close_one(path)
    _close_one(os.fspath(top))


def _close_one(path: str) -> None:
    status = os.lstat(path)
    if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
        with suppress(PermissionError):
            os.chmod(path, stat.S_IMODE(status.st_mode) & ~0o077)  # noqa: PTH101
