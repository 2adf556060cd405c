"""Files that are whole or not there: a temporary file, fsync, rename, fsync of the folder.

The rename alone would do for a kill; the two syncs are for a power cut. Without the first the new
name could come to hold nothing, without the second the rename itself could be undone.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def write_bytes(path: Path, data: bytes, *, secret: bool = False) -> None:
    """Write `data` to `path` so that a reader, or a crash, finds the old file or the new one.

    A `secret` is for its owner only; who may read other files, the umask says.
    """
    with replacing(path, secret=secret) as file:
        file.write(data)


def write_text(path: Path, text: str, *, secret: bool = False) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all; a `secret` for its owner only."""
    write_bytes(path, text.encode(), secret=secret)


@contextmanager
def replacing(path: Path, *, secret: bool = False) -> Iterator[IO[bytes]]:
    """Yield a binary file that takes the place of `path` when the block ends without an error.

    A `secret` is for its owner only; who may read other files, the umask says.

    Raises:
        OSError: The folder cannot be made or written, or the disk is full; `path` is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
    # Not tempfile's, which are for their owner alone: others may share the folder.
    descriptor = os.open(temporary, _NEW, 0o600 if secret else 0o666)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable, where the platform can open a folder (not on Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
