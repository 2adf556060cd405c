"""What a disk refuses, told as a matter of its user: it is full, read-only, failing or forbidden.

Whoever writes a file lets an OSError pass; at the few boundaries where errors end (a step's
attempt, the command line, a job and a request of the service) this tells it from a bug.
"""

import errno
import os

from lfvpipe.errors import UserError

_FULL = "Free some space"
_FORBIDDEN = "Give this user the right to read and write there"
_READ_ONLY = "Make it writable, or use another folder"
_FAILING = "The disk or its connection fails: check it (the system's log says more)"
_TOO_MANY = "Let this process open more files (`ulimit -n`)"
_HINTS = {
    errno.ENOSPC: _FULL,
    getattr(errno, "EDQUOT", errno.ENOSPC): _FULL,
    errno.EFBIG: _FULL,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EROFS: _READ_ONLY,
    errno.EIO: _FAILING,
    errno.ENXIO: _FAILING,
    errno.ENODEV: _FAILING,
    getattr(errno, "ESTALE", errno.EIO): _FAILING,
    getattr(errno, "EREMOTEIO", errno.EIO): _FAILING,
    errno.EMFILE: _TOO_MANY,
    errno.ENFILE: _TOO_MANY,
    errno.EISDIR: "A folder is where a file belongs: move it away",
    errno.ENOTDIR: "A file is where a folder belongs: move it away",
    errno.EEXIST: "A file is where a folder belongs: move it away",
    getattr(errno, "EUCLEAN", 117): "It is damaged: restore it from a copy, or move it away",
    errno.ENAMETOOLONG: "Its name is longer than a file system takes: give it a shorter one",
    errno.ELOOP: "Links lead in a circle there: take one away",
    errno.ENOLCK: "Its file system gives no locks, which keep two runs apart: mount it with locks",
}
# SQLite's primary result codes, which are the same in all its versions.
_SQLITE = {
    3: errno.EACCES,  # SQLITE_PERM
    8: errno.EROFS,  # SQLITE_READONLY
    10: errno.EIO,  # SQLITE_IOERR
    11: getattr(errno, "EUCLEAN", 117),  # SQLITE_CORRUPT
    13: errno.ENOSPC,  # SQLITE_FULL
    14: errno.EACCES,  # SQLITE_CANTOPEN
    26: getattr(errno, "EUCLEAN", 117),  # SQLITE_NOTADB
}


class DiskError(UserError):
    """The disk, or the rights to it, did not let a file be read or written.

    Attributes:
        cause: What it said, such as ``No space left on device``.
        where: The file or folder; empty where it is not known.
        advice: What to do, without a full stop.
    """

    def __init__(self, cause: str, where: str, advice: str) -> None:
        self.cause = cause
        self.where = where
        self.advice = advice
        super().__init__(
            f"{where or 'A file'} cannot be read or written: {cause}.",
            hint=f"{advice}, then try again.",
        )


def is_full(error: BaseException) -> bool:
    """Say whether the disk has no room, which passes, rather than something wrong with it."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return _SQLITE.get(code & 0xFF) == errno.ENOSPC
    return isinstance(error, OSError) and _HINTS.get(error.errno or 0) == _FULL


def advice(error: OSError, otherwise: str) -> str:
    """Return what to do about a refusal of the disk, as a sentence; else `otherwise`."""
    refused = refusal(error)
    return otherwise if refused is None else f"{refused.advice}."


def refusal(error: BaseException, folder: object = "") -> DiskError | None:
    """Return `error` as what its user can put right; None where it is nothing of a disk's.

    Args:
        error: What was raised.
        folder: Where the file is, in words, should the error not tell it.
    """
    if isinstance(error, DiskError):
        return error
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        number = _SQLITE.get(code & 0xFF)
        cause, where = str(error), ""
    elif isinstance(error, OSError):
        number = error.errno
        cause = error.strerror or str(error)
        where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    else:
        return None
    if number not in _HINTS:
        return None
    return DiskError(cause, where or str(folder), _HINTS[number])
