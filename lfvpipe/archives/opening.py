"""Opens an archive by what it holds, not by what it is called."""

import zipfile
from collections.abc import Collection
from pathlib import Path

from lfvpipe.archives.errors import ForeignFile, UnreadableArchive
from lfvpipe.archives.folders import FolderArchive
from lfvpipe.archives.members import Archive, Limits
from lfvpipe.archives.nested import NestedArchive
from lfvpipe.archives.tars import TarArchive
from lfvpipe.archives.zips import ZipArchive

_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_TAR_PACKINGS = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"(\xb5/\xfd": "zst"}
_FOREIGN = {
    b"7z\xbc\xaf'\x1c": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"\x89PNG": "a PNG image, not an archive",
    b"\xff\xd8\xff": "a JPEG image, not an archive",
    b"%PDF": "a PDF document",
}
_HEAD = 1024


def open_archive(
    path: Path, *, limits: Limits | None = None, encoding: str | None = None
) -> Archive:
    """Open the zip, tar (plain, gz, bz2, xz; zst from Python 3.14) or folder at `path`.

    What archives in it hold, one level deep, belongs to it.

    Args:
        path: Where it lies.
        limits: What is too much.
        encoding: What names are written in where nothing in the archive tells.

    Raises:
        UnreadableArchive: It is not there, or may not be read.
        ForeignFile: It is none of these.
        DamagedArchive: What it says of itself cannot be read.
    """
    bounds = limits or Limits()
    return NestedArchive(
        _open_one(path, bounds, encoding), lambda inner: _open_one(inner, bounds, encoding)
    )


def zip_spans(
    path: Path, names: Collection[str], *, encoding: str | None = None
) -> list[tuple[int, int]]:
    """Return which bytes of the zip at `path` hold these members: starts and ends, sorted.

    Raises:
        ArchiveError: Its directory cannot be read.
    """
    with ZipArchive(path, Limits(), encoding) as archive:
        return archive.spans(names)


def _open_one(path: Path, bounds: Limits, encoding: str | None) -> Archive:
    if path.is_dir():
        return FolderArchive(path, bounds)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise UnreadableArchive(path, error.strerror) from error
    if head.startswith(_ZIP):
        return ZipArchive(path, bounds, encoding)
    packing = next((name for magic, name in _TAR_PACKINGS.items() if head.startswith(magic)), "")
    if packing or head[257:262] == b"ustar" or _is_old_tar(head):
        return TarArchive(path, bounds, packing, encoding)
    if zipfile.is_zipfile(path):  # a self-extracting archive
        return ZipArchive(path, bounds, encoding)
    raise _foreign_file(path, head)


def _is_old_tar(head: bytes) -> bool:
    """Tell a tar from before the mark `ustar` (the seventh Unix's): its first header adds up."""
    said = head[148:156].strip(b" \0")
    if len(head) < 512 or not said.isdigit():
        return False
    total = sum(head[:148]) + 8 * ord(" ") + sum(head[156:512])
    return said.decode() == f"{total:o}".rjust(len(said), "0")


def _foreign_file(path: Path, head: bytes) -> ForeignFile:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:200].lower()
    if not head:
        return ForeignFile(path, "is empty", hint="Fetch it again.")
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        return ForeignFile(
            path,
            "is a web page, not an archive",
            hint="The address leads to a login, error or download page: use the file's own.",
        )
    kind = next((name for magic, name in _FOREIGN.items() if head.startswith(magic)), "")
    return ForeignFile(
        path,
        f"is {kind or 'neither a zip nor a tar archive'}",
        hint="Use a zip, a tar (gz, bz2, xz) or a folder.",
    )
