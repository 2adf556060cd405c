"""What the members of a zip are called: zips do not say reliably how their names are written.

Writers since 2006 mark UTF-8 with a flag, or give a Unicode name beside the other one (Info-ZIP's
extra field 0x7075); many mark nothing, and write what their system did: the code page of a DOS box
or of Windows, Shift-JIS, GBK. One archive is written by one writer, so all its names count at once.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.archives.encodings import decode_name, guess_encoding

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Sequence

    from lfvpipe.archives.encodings import Guess

_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075
_STANDARD = "cp437"
# Systems (APPNOTE 4.4.2.2) on whose disks no name can hold a backslash: FAT, NTFS, VFAT.
_WITHOUT_BACKSLASHES = frozenset({0, 10, 14})


@dataclass(frozen=True)
class Names:
    """The members' names, and how they were told.

    Attributes:
        names: In the order of the directory.
        encoding: What those were read as that were written in an encoding that nothing tells; ""
            where there are none.
        guess: What they were read as where neither the user nor the standard says it.
    """

    names: tuple[str, ...]
    encoding: str = ""
    guess: Guess | None = None


def read_names(infos: Sequence[zipfile.ZipInfo], encoding: str | None) -> Names:
    """Return what the members of one zip are called.

    Args:
        infos: The directory, as zipfile read it: names without a flag as cp437.
        encoding: What names without any mark are written in, where the user said so.
    """
    known = [_marked_name(info) for info in infos]
    unmarked = [_raw_name(info) for info, name in zip(infos, known, strict=True) if name is None]
    guess = guess_encoding(unmarked) if unmarked and encoding is None else None
    used = encoding or (guess.encoding if guess else "")
    decoded = iter([decode_name(raw, used) for raw in unmarked])
    names = [next(decoded) if name is None else name for name in known]
    if _has_windows_separators(infos, names):
        names = [name.replace("\\", "/") for name in names]
    return Names(tuple(names), used if unmarked else "", None if used == _STANDARD else guess)


def _marked_name(info: zipfile.ZipInfo) -> str | None:
    """Return the name where its encoding is certain; None where the writer did not say."""
    unicode_name = _unicode_path(info)
    if unicode_name is not None:
        return unicode_name
    if info.flag_bits & _UTF8_FLAG or info.orig_filename.isascii():
        return info.orig_filename
    try:  # some write UTF-8 without the flag that says so; nothing else looks like it by chance
        return _raw_name(info).decode("utf-8")
    except UnicodeDecodeError:
        return None


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("cp437")  # undoes what zipfile does without the flag


def _unicode_path(info: zipfile.ZipInfo) -> str | None:
    """Return the name in Info-ZIP's Unicode field, if it is there and about this very name."""
    extra = info.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        body, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind != _UNICODE_PATH or len(body) < 5 or body[0] != 1:
            continue
        is_flagged = info.flag_bits & _UTF8_FLAG
        raw = info.orig_filename.encode("utf-8") if is_flagged else _raw_name(info)
        if struct.unpack_from("<I", body, 1)[0] == zlib.crc32(raw):
            try:
                return body[5:].decode("utf-8")
            except UnicodeDecodeError:
                return None
    return None


def _has_windows_separators(infos: Sequence[zipfile.ZipInfo], names: Sequence[str]) -> bool:
    """Tell whether backslashes in these names can only stand between folders.

    PowerShell 5.1 and older .NET wrote them, against the standard: with none of its own slashes
    between, or on a file system that knows no backslash in a name.
    """
    with_backslash = [info for info, name in zip(infos, names, strict=True) if "\\" in name]
    if not with_backslash:
        return False
    of_windows = all(info.create_system in _WITHOUT_BACKSLASHES for info in with_backslash)
    return of_windows or not any("/" in name for name in names)
