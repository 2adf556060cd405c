"""The cache of fetched files: a folder for each address, its content whole or absent.

A transfer grows ``.part``; when all of it is there, `keep` writes ``.done.json`` and renames the
part. `find` believes the record only beside a file of the recorded size.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lfvpipe.atomic import sync_file, sync_folder, write_text
from lfvpipe.damage import parse_json
from lfvpipe.storage.errors import Damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_RECORD = ".done.json"


@dataclass(frozen=True)
class CachedFile:
    """A whole file in the cache; `etag` and `modified` are the server's, empty if it told none."""

    path: Path
    size: int
    sha256: str
    etag: str = ""
    modified: str = ""


def folder_for(cache: Path, address: str) -> Path:
    """Return the folder of `address` in the cache."""
    return cache / hashlib.sha256(address.encode()).hexdigest()[:32]


def partial_file(folder: Path) -> Path:
    """Return the file that a transfer into `folder` grows."""
    return folder / ".part"


def notes_of(folder: Path) -> Path:
    """Return the file that says of which version the partial file is."""
    return folder / ".part.json"


def receive(
    folder: Path,
    etag: str,
    size: int,
    stream: Callable[[int], Iterable[bytes]],
    on_bytes: Callable[[int], object],
) -> Path:
    """Grow the folder's partial file until it is whole, and return it.

    What an earlier attempt left of the same version is gone on with. A kill at any time leaves a
    part beside the entity tag that it is of, or none.

    Args:
        folder: The folder of the address.
        etag: The entity tag of the version that `stream` gives.
        size: The bytes that it has.
        stream: Returns the bytes from an offset on.
        on_bytes: Told the bytes so far; what it raises ends the transfer, and the part is kept.

    Raises:
        Damaged: What came is not what was sent; the part is thrown away.
    """
    part, notes = partial_file(folder), notes_of(folder)
    try:
        is_same = bool(etag) and parse_json(notes.read_bytes()).get("etag") == etag
    except (OSError, ValueError, AttributeError):
        is_same = False
    if not is_same or (part.is_file() and part.stat().st_size > size):
        part.unlink(missing_ok=True)
        write_text(notes, json.dumps({"etag": etag}))
    with part.open("ab") as file:
        done = file.tell()
        try:
            for chunk in stream(done) if done < size else ():
                done += file.write(chunk)
                on_bytes(done)
        except Damaged:
            file.truncate(0)
            raise
        file.flush()
        sync_file(file.fileno())
    return part


def find(folder: Path) -> CachedFile | None:
    """Return what `folder` holds, if all of it is there."""
    try:
        record = parse_json((folder / _RECORD).read_bytes())
        name = record.pop("name")
        found = CachedFile(path=folder / name, **record)
        return found if found.path.stat().st_size == found.size else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # it is only a cache: fetch again


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def keep(
    folder: Path, address: str, sha256: str, *, etag: str = "", modified: str = ""
) -> CachedFile:
    """Make the folder's partial file its content.

    The record is written between the old file's removal and the new one's arrival, so that a
    kill leaves a record without its file, and the partial file whole.
    """
    part, name = partial_file(folder), file_name(address)
    entry = CachedFile(folder / name, part.stat().st_size, sha256, etag, modified)
    entry.path.unlink(missing_ok=True)
    record = asdict(entry) | {"name": name}
    del record["path"]
    write_text(folder / _RECORD, json.dumps(record))
    part.replace(entry.path)
    notes_of(folder).unlink(missing_ok=True)
    sync_folder(folder)
    return entry


def file_name(address: str) -> str:
    """Return the address's last part as a file name: archives are known by their endings, too."""
    last = unquote(urlsplit(address).path).rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._-]", "_", last)[-80:].lstrip(".") or "download"
