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

from lfvpipe.atomic import sync_folder, write_text

if TYPE_CHECKING:
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


def find(folder: Path) -> CachedFile | None:
    """Return what `folder` holds, if all of it is there."""
    try:
        record = json.loads((folder / _RECORD).read_bytes())
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
    part, name = partial_file(folder), _file_name(address)
    entry = CachedFile(folder / name, part.stat().st_size, sha256, etag, modified)
    entry.path.unlink(missing_ok=True)
    record = asdict(entry) | {"name": name}
    del record["path"]
    write_text(folder / _RECORD, json.dumps(record))
    part.replace(entry.path)
    sync_folder(folder)
    return entry


def _file_name(address: str) -> str:
    """Return the address's last part as a file name: archives are known by their endings, too."""
    last = unquote(urlsplit(address).path).rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9._-]", "_", last)[-80:].lstrip(".") or "download"
