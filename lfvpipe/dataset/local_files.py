"""Files that a pipeline names on this machine: images of `evaluate.images`, lists and masks."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe.dataset.globs import has_wildcard, is_image_name
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from lfvpipe.config.spec import Pipeline


def matching_files(pattern: str, folder: Path) -> list[Path]:
    """Return the images that a path or glob, relative to `folder`, names."""
    if has_wildcard(pattern) and not (folder / pattern).is_file():
        root = Path(pattern).anchor
        base = Path(root) if root else folder
        # ``**`` beside other signs is ``*``, as `globs` has it; Python before 3.13 refuses it.
        parts = pattern.removeprefix(root).split("/")
        parts = [part if part == "**" else re.sub(r"\*+", "*", part) for part in parts]
        paths = sorted(base.glob("/".join(parts)))
    else:
        paths = [folder / pattern]
    return [path for path in paths if path.is_file() and is_image_name(path.name)]


def display_name(path: Path, folder: Path) -> str:
    """Return what a file is called: relative to `folder` where it lies in it."""
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def file_stamp(path: Path) -> tuple[str, int]:
    """Return what tells that a file changed: its time of modification, and its size in bytes."""
    status = path.stat()
    return f"m{status.st_mtime_ns:x}", status.st_size


def read_named_file(what: str, path: Path, *, hint: str) -> bytes:
    """Return the content of a file that the pipeline names, which messages call `what`.

    Raises:
        UserError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{what} cannot be read ({error.strerror}).", hint=hint) from error


def pattern_digests(pipeline: Pipeline, index: Path) -> dict[str, str]:
    """Return a digest of the files that each pattern of `evaluate.images` names.

    It is over names and contents, so that neither a touch nor another time stamp after a checkout
    counts. A pattern that names no file, as it names members of the sources, is left out.

    Args:
        pipeline: Gives the patterns, and the folder that they are relative to.
        index: The file that remembers digests by stat: only what differs is read.

    Raises:
        StorageError: A file cannot be read.
    """
    named = {
        pattern: paths
        for pattern in pipeline.evaluate.images
        if (paths := matching_files(pattern, pipeline.folder))
    }
    if not named:
        return {}
    from lfvpipe.storage import translating
    from lfvpipe.storage.digests import file_digests

    with translating(str(pipeline.folder)):
        known = file_digests({path for paths in named.values() for path in paths}, index)
    digests = {}
    for pattern, paths in named.items():
        lines = [f"{known[path]}  {display_name(path, pipeline.folder)}\n" for path in paths]
        text = "".join(lines).encode("utf-8", "surrogateescape")
        digests[pattern] = hashlib.sha256(text).hexdigest()
    return digests
