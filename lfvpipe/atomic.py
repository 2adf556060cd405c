"""Files that are whole or not there: a temporary file, fsync, rename, fsync of the folder.

The rename alone would do for a kill; the two syncs are for a power cut. Without the first the new
name could come to hold nothing, without the second the rename itself could be undone. Some file
systems refuse one or both (SMB and FUSE, of folders above all): they sync by themselves or not at
all, so that nothing is to be had by giving up, and only a power cut is not defended against there.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

# EIO and ENOSPC are no refusals: then the data is not on the disk.
_REFUSES_SYNC = frozenset(
    getattr(errno, name, errno.EINVAL)
    for name in ("EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EISDIR")
)
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
            What a write says of no file is said of `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}.tmp")
    try:
        # Not tempfile's, which are for their owner alone: others may share the folder.
        descriptor = os.open(temporary, _NEW, 0o600 if secret else 0o666)
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            sync_file(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):  # on a disk that fails this would hide what failed first
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, os.fspath(temporary)):
            error.filename, error.filename2 = os.fspath(path), None
        raise
    sync_folder(path.parent)


def sync_file(descriptor: int) -> None:
    """Make what was written to a file durable, as far as its file system lets us.

    Raises:
        OSError: The disk is full or fails.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _REFUSES_SYNC:
            raise


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable, as far as its file system lets us (Windows does not).

    Raises:
        OSError: The disk fails.
    """
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that may be written, and not be listed
        return
    try:
        sync_file(descriptor)
    except OSError as error:
        error.filename = os.fspath(folder)
        raise
    finally:
        os.close(descriptor)


def sync_all() -> None:
    """Make durable whatever was written so far, by any process, where the platform can.

    For many files at once: to sync each by itself takes longer than to write it.
    """
    sync = getattr(os, "sync", None)  # not on Windows
    if sync is not None:
        sync()
