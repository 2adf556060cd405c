"""Files that are whole or not there: a temporary file, fsync, rename, fsync of the folder.

The rename alone would do for a kill; the two syncs are for a power cut. Without the first the new
name could come to hold nothing, without the second the rename itself could be undone. Some file
systems refuse one or both (SMB and FUSE, of folders above all): they sync by themselves or not at
all, so that nothing is to be had by giving up, and only a power cut is not defended against there.

What a kill leaves is told from what is being written by a lock on the temporary file, which the
operating system frees when the writer dies, however it dies and on whichever machine.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# EIO and ENOSPC are no refusals: then the data is not on the disk.
_REFUSES_SYNC = frozenset(
    getattr(errno, name, errno.EINVAL)
    for name in ("EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EISDIR")
)
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")
_HAS_LOCKS = os.name != "nt"
CAN_SYNC_ALL = hasattr(os, "sync")
"""Whether `sync_all` does anything: Windows syncs one file at a time."""
_SURELY_DEAD = 3600.0  # seconds since a file was written, where no lock tells

# While `private` runs: its folder, and the umask that was before.
_private: str | None = None
_mask: int | None = None


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
    with staging(path, secret=secret) as staged:
        yield staged.file


@dataclass
class Staged:
    """A file that is being written under another name.

    Attributes:
        file: Where to write.
        path: What it will be called, until the block ends.
    """

    file: IO[bytes]
    path: Path


@contextmanager
def staging(
    path: Path, *, secret: bool = False, synced: bool = True, temporary: str = ""
) -> Iterator[Staged]:
    """Yield a file that takes the place of its `path` when the block ends without an error.

    Args:
        path: What it will be called, unless the block says otherwise, in the same folder.
        secret: See `replacing`.
        synced: It is on the disk, too, when the block ends; else whoever writes many files syncs
            all of them at once.
        temporary: What it is called meanwhile, where that is not `temporary_name`.

    Raises:
        OSError: See `replacing`.
    """
    # Not tempfile's, which are for their owner alone: others may share the folder.
    place: Path | None = None
    try:
        descriptor, place = _open_new(path, temporary, 0o600 if secret else 0o666)
        with os.fdopen(descriptor, "w+b") as file:
            staged = Staged(file, path)
            yield staged
            file.flush()
            if synced:
                sync_file(file.fileno())
            if _HAS_LOCKS:  # while it is locked; Windows renames no open file
                place.replace(staged.path)
        if not _HAS_LOCKS:
            place.replace(staged.path)
    except BaseException as error:
        if place is not None:
            with suppress(OSError):  # on a disk that fails this would hide what failed first
                place.unlink(missing_ok=True)
        if isinstance(error, OSError) and _is_of_staging(error, temporary):
            error.filename, error.filename2 = os.fspath(path), None
        raise
    if synced:
        sync_folder(path.parent)


def _is_of_staging(error: OSError, temporary: str) -> bool:
    if not isinstance(error.filename, str | bytes):
        return error.filename is None
    name = os.path.basename(os.fsdecode(error.filename))  # noqa: PTH119  (bytes, too)
    return name == temporary or is_temporary(name)


def _open_new(path: Path, temporary: str, mode: int) -> tuple[int, Path]:
    """Return a new file that is locked, and where it lies; its folder is made if need be."""
    while True:
        place = path.with_name(temporary or temporary_name(path.name))
        try:
            descriptor = os.open(place, _NEW, mode)
        except FileNotFoundError:  # its folder; asked of no other
            make_folder(path.parent)
            descriptor = os.open(place, _NEW, mode)
        if _lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
            if (mask := _mask_elsewhere(path)) is not None:
                os.fchmod(descriptor, mode & ~mask)
            return descriptor, place
        os.close(descriptor)  # it was taken for abandoned in the moment before it was locked


def temporary_name(name: str) -> str:
    """Return what a file that will be called `name` is called until it is whole."""
    return f".{name}.{os.urandom(8).hex()}.tmp"


def is_temporary(name: str) -> bool:
    """Tell whether a file called `name` is one that was or is being written."""
    return _TEMPORARY.fullmatch(name) is not None


def abandoned_files(
    folder: Path, is_one: Callable[[str], bool] = is_temporary, *, deep: bool = True
) -> Iterator[Path]:
    """Yield the temporary files below `folder` whose writers were killed.

    Args:
        folder: Where to look.
        is_one: Tells a temporary file by its name.
        deep: Look into its folders, too.
    """
    for above, folders, names in os.walk(folder):
        if not deep:
            folders.clear()
        for name in filter(is_one, names):
            if _is_abandoned(file := Path(above, name)):
                yield file


def _is_abandoned(file: Path) -> bool:
    try:
        if not _HAS_LOCKS:
            return file.stat().st_mtime + _SURELY_DEAD < time.time()
        descriptor = os.open(file, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return _lock(descriptor) is True
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool | None:
    """Lock a file until it is closed; return whether it is ours, None where no lock can be had."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


def _wait_for_lock(descriptor: int) -> None:
    if sys.platform != "win32":
        import fcntl

        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)


@contextmanager
def private(folder: Path) -> Iterator[None]:
    """Make all that is made in `folder` meanwhile its owner's alone, the folder itself, too.

    What is made elsewhere by `staging` and `make_folder` is as the umask has it. Processes that
    are started inside the block inherit an umask under which all is their owner's.
    """
    global _private, _mask
    if os.name == "nt":
        yield
        return
    before = _private, _mask
    mask = os.umask(0o077)
    _private, _mask = os.fspath(folder.absolute()), mask if _mask is None else _mask
    try:
        yield
    finally:
        os.umask(mask)
        _private, _mask = before


@contextmanager
def appending(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file to read and to append to, made where it is not there.

    Meanwhile no other process appends to it, as far as its file system has locks.

    Raises:
        OSError: It cannot be opened or written.
    """
    is_new = not path.exists()
    with path.open("a+b") as file:
        _wait_for_lock(file.fileno())
        if is_new and (mask := _mask_elsewhere(path)) is not None:
            os.fchmod(file.fileno(), 0o666 & ~mask)
        yield file


@contextmanager
def as_usual() -> Iterator[None]:
    """Start processes that are no part of ours, a browser, with the umask that we came with."""
    if _mask is None:
        yield
        return
    ours = os.umask(_mask)
    try:
        yield
    finally:
        os.umask(ours)


def make_folder(folder: Path) -> None:
    """Make a folder, with those above it, unless it is there.

    Raises:
        OSError: It cannot be made.
    """
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir()
        if (mask := _mask_elsewhere(folder)) is not None:
            folder.chmod(0o777 & ~mask)
    if not folder.is_dir():  # a file, which mkdir tells so that the error names it
        folder.mkdir()


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it; of a link to one, what is in there, and the link.

    Where the state, or a part of it, was moved to another disk, the folder there is its user's.

    Raises:
        OSError: Something in it cannot be removed.
    """
    import shutil

    if not folder.is_symlink():
        shutil.rmtree(folder)
        return
    for each in list(folder.iterdir()):
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink()
    folder.unlink()


def link(file: Path, path: Path) -> bool:
    """Give a file a second name, which takes no room; its folder is synced by the caller.

    For files that are only ever replaced as a whole: what is written into one is in both.

    Returns:
        Whether it has the name now. It has not where the name is taken, the file is itself a link,
        or is somebody else's, or its disk is another one or has no such names.
    """
    try:
        if not stat.S_ISREG(os.lstat(file).st_mode):  # it may lead to what a user edits
            return False
        os.link(file, path)
    except OSError:
        return False
    return True


def _mask_elsewhere(path: Path) -> int | None:
    """Return the umask that is meant for `path`; None where that is the process's."""
    if _mask is None or _private is None:
        return None
    place = os.fspath(path.absolute())
    return None if place == _private or place.startswith(_private + os.sep) else _mask


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
    if CAN_SYNC_ALL:
        os.sync()
