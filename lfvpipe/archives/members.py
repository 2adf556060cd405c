"""What an archive offers, what may be in one, and which member names are safe."""

import unicodedata
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Protocol, Self

from lfvpipe.archives.errors import ArchiveBomb, ArchiveError, UnsafeMember

KIB, MIB, GIB = 1024, 1024**2, 1024**3

JUNK_NAMES = frozenset({"thumbs.db", "desktop.ini", "labels.txt", "icon\r"})
JUNK_FOLDERS = frozenset({"__macosx", "$recycle.bin", "system volume information"})
# What storage boxes make of photographs: small copies, and those that were thrown away.
COPY_FOLDERS = frozenset({"@eadir", "#recycle", "@recycle", "#snapshot", "@recently-snapshot"})
_HEAT_MAP = ".heat.png"  # behind the name of an image

# What `kind_of_junk` may say.
JUNK_KINDS = frozenset(
    {*(name.strip() for name in JUNK_NAMES), *(f"{name}/" for name in JUNK_FOLDERS), "hidden"}
)


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold before it counts as a bomb.

    Images hardly compress, so that honest archives unpack to about their own size; `ratio` leaves
    room for blank masks and drawings, which do, and what unpacks to less than `ratio_floor` does
    no harm whatever it is.

    Attributes:
        members: How many entries.
        total: Bytes of all members, unpacked.
        member: Bytes of one member that is read, unpacked.
        ratio: Unpacked bytes per packed byte, over the whole archive.
        ratio_floor: Unpacked bytes below which the ratio does not matter.
        name: Characters of a member's name.
        depth: Folders of a member's name.
    """

    members: int = 1_000_000
    total: int = 512 * GIB
    member: int = 256 * MIB
    ratio: int = 200
    ratio_floor: int = 64 * MIB
    name: int = 1_000
    depth: int = 32


@dataclass(frozen=True)
class Member:
    """A regular file in an archive.

    Attributes:
        name: The path in the archive: relative, ``/`` between folders, Unicode NFC.
        size: Bytes, unpacked, as the archive declares.
        crc: CRC-32 of the content; None for a folder, whose files are not read to list them.
        modified: Modification time in nanoseconds for a folder's file, else None.
    """

    name: str
    size: int
    crc: int | None
    modified: int | None = None

    @property
    def stamp(self) -> str:
        """A short text that changes with the content."""
        return f"{self.crc:08x}" if self.crc is not None else f"m{self.modified:x}"


class Closable(ABC):
    """What the archives share: leaving the `with` block closes them."""

    unread: Sequence[str] = ()

    @property
    def inner_folders(self) -> Collection[str]:
        """See `Archive`."""
        return ()

    @abstractmethod
    def close(self) -> None:
        """Close what is open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Archive(Protocol):
    """An open archive; a context manager.

    Attributes:
        path: Where it lies.
        skipped: How many entries the last listing left out, by kind: junk, links that lead to no
            member, devices.
        unread: The archives inside that the last listing did not read, damaged or too deep.
    """

    path: Path
    skipped: Counter[str]
    unread: Sequence[str]

    @property
    def inner_folders(self) -> Collection[str]:
        """The folders that stand for archives inside, as far as these were listed."""

    @property
    def guessed_encoding(self) -> str:
        """What names were read as by the last listing where nothing tells; else ""."""

    def members(self) -> Iterator[Member]:
        """Yield the members in the archive's order, junk left out.

        A link to another member is a member, too, with that one's content.

        Raises:
            ArchiveError: The archive is damaged, or a member is unsafe.
        """

    def read(self, name: str, limit: int) -> bytes:
        """Return the content of member `name`.

        Raises:
            ArchiveError: There is no such member, it is damaged, or has more than `limit` bytes.
        """

    def extract(
        self, names: Collection[str], limit: int
    ) -> Iterator[tuple[str, bytes | ArchiveError]]:
        """Yield the name and content of each member of `names` in one pass, one at a time.

        A member that cannot be read comes as the error; the others still follow.
        """

    def close(self) -> None:
        """Close the archive's file."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def safe_name(raw: str, archive: Path, limits: Limits) -> str:
    """Return the member name `raw` normalised: NFC, no ``.`` parts, no trailing slash.

    Raises:
        UnsafeMember: The name leads out of a folder, is absolute, or is not portable.
    """
    parts = raw.split("/")
    faults: Mapping[str, bool] = {
        "has a NUL byte in its name": "\0" in raw,
        "has backslashes in its name": "\\" in raw,
        # A carriage return ends the name of the icon that macOS keeps in a folder: junk.
        "has control characters in its name": any(ord(c) < 32 and c != "\r" for c in raw),
        "has a name that is not UTF-8": any("\ud800" <= c <= "\udfff" for c in raw),
        "has an absolute path": raw.startswith("/"),
        "has a drive letter": len(raw) > 1 and raw[1] == ":" and raw[0].isalpha(),
        "leads out of the archive's folder": ".." in parts,
        f"has a name of more than {limits.name} characters": len(raw) > limits.name,
        f"lies more than {limits.depth} folders deep": len(parts) > limits.depth,
    }
    for fault, is_so in faults.items():
        if is_so:
            hint = (
                "The folder was not used. Rename the file or folder, or move it elsewhere:"
                " `exclude` is asked only of names that can be used."
                if archive.is_dir()
                else "The archive was not used. Pack the images again with plain relative names in"
                " UTF-8."
            )
            raise UnsafeMember(archive, raw, fault, hint=hint)
    return unicodedata.normalize("NFC", str(PurePosixPath(raw)))


def kind_of_junk(name: str) -> str:
    """Return what kind of junk member `name` is, or an empty text when it is none."""
    parts = name.lower().split("/")
    # DAGM's Label/Labels.txt says which images are defective; ellipses elsewhere are not read.
    if parts[-1] in JUNK_NAMES and parts[-2:] != ["label", "labels.txt"]:
        return parts[-1].strip()
    folder = next((part for part in parts[:-1] if part in JUNK_FOLDERS | COPY_FOLDERS), "")
    if folder:
        return f"{folder}/"
    if parts[-1].endswith(_HEAT_MAP) and "." in parts[-1].removesuffix(_HEAT_MAP):
        return "heat map"
    return "hidden" if any(part.startswith(".") for part in parts) else ""


def heat_map_name(image: str) -> str:
    """Return what the heat map of an image is called, which is no photograph by `kind_of_junk`."""
    return f"{image}{_HEAT_MAP}"


class Census:
    """Counts what an archive declares while it is listed, and stops at a limit.

    Nothing is unpacked yet: a bomb declares its size, or its members' content is cut at the size
    that they declare when they are read.

    Args:
        archive: The archive, for messages.
        packed: Bytes of the archive file.
        limits: What is too much.
    """

    def __init__(self, archive: Path, packed: int, limits: Limits) -> None:
        self._archive = archive
        self._packed = max(packed, 1)
        self._limits = limits
        self._names: set[str] = set()
        self._entries = 0
        self._total = 0

    def count(self, size: int) -> None:
        """Count one entry of `size` unpacked bytes, junk and folders included.

        Raises:
            ArchiveBomb: There are too many, or they are too large.
        """
        self._entries += 1
        self._total += size
        limits = self._limits
        if self._entries > limits.members:
            raise ArchiveBomb(self._archive, f"more than {limits.members:,} entries")
        if self._total > limits.total:
            raise ArchiveBomb(self._archive, f"more than {limits.total:,} bytes when unpacked")
        if self._total > limits.ratio_floor and self._total > limits.ratio * self._packed:
            times = f"more than {limits.ratio} times its own size when unpacked"
            raise ArchiveBomb(self._archive, times)

    def insist_on_new(self, name: str) -> None:
        """Note a member's name.

        Raises:
            UnsafeMember: It was there before: readers of archives differ in which one they take.
        """
        if name in self._names:
            raise UnsafeMember(
                self._archive,
                name,
                "is there twice",
                hint="Which of the two is meant cannot be known. Pack the images again.",
            )
        self._names.add(name)
