"""Where the references of an exported manifest lead: to members, objects or files."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.dataset.candidates import SelectionError
from lfvpipe.dataset.local_files import file_stamp
from lfvpipe.dataset.pairing import common_ending
from lfvpipe.dataset.selection import FILES, OBJECTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.archives import Member


@dataclass(frozen=True)
class Location:
    """Where an image or mask lies; fields as in `SelectedImage`."""

    source: str
    member: str
    stamp: str = ""
    size: int = 0


class ArchiveReferences:
    """Finds references in an archive that holds the images of a manifest.

    Args:
        source: The fetch step's member for the archive.
        address: What messages call the archive.
        members: What it holds.
    """

    def __init__(self, source: str, address: str, members: Sequence[Member]) -> None:
        self._source = source
        self._address = address
        self._by_base: dict[str, list[Member]] = defaultdict(list)
        for member in members:
            self._by_base[PurePosixPath(member.name).name].append(member)

    def resolve(self, reference: str) -> Location | None:
        """Return the member whose name has the longest ending in common; None for none.

        Raises:
            SelectionError: There are several.
        """
        parts = PurePosixPath(path_of(reference)).parts
        scored = [
            (common_ending(parts, PurePosixPath(member.name).parts), member)
            for member in self._by_base.get(parts[-1] if parts else "", [])
        ]
        best = max((score for score, _ in scored), default=0)
        found = [member for score, member in scored if score == best]
        if not found:
            return None
        if len(found) == 1:
            return Location(self._source, found[0].name, found[0].stamp, found[0].size)
        names = ", ".join(member.name for member in found[:3])
        raise SelectionError(
            f"sources.manifest.images: {reference} could be any of {names} in {self._address}.",
            hint="Lay the images out as the manifest's references name them.",
        )


class OwnReferences:
    """Follows the references of a manifest as they stand: addresses, or relative to it.

    Args:
        address: Where the manifest lies.
        folder: The pipeline's; files are named relative to it.
    """

    def __init__(self, address: str, folder: Path) -> None:
        self._address = address
        self._folder = folder

    def resolve(self, reference: str) -> Location | None:
        """Return where `reference` leads, or None for nowhere.

        Whether an object is there, only reading it tells.
        """
        if reference.startswith("s3://"):
            return Location(OBJECTS, reference)
        # A manifest from elsewhere may be hostile: it names nothing outside of its own folder.
        if "://" not in reference and reference[:1] != "/" and ".." not in reference.split("/"):
            if self._address.startswith("s3://"):
                return Location(OBJECTS, f"{self._address.rpartition('/')[0]}/{reference}")
            path = Path(self._address).parent / reference
            if "://" not in self._address and path.is_file():
                try:
                    member = Path(os.path.relpath(path, self._folder)).as_posix()
                except ValueError:  # another drive
                    member = path.as_posix()
                return Location(FILES, member, *file_stamp(path))
        return None


def path_of(reference: str) -> str:
    """Return a reference without scheme and bucket."""
    if reference.startswith("s3://"):
        return reference[5:].partition("/")[2]
    return reference.lstrip("/")
