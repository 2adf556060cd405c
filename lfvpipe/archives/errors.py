"""What can be wrong with an archive or one of its members: what, and in which archive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST_SHOWN = 100  # characters of a member's name


class ArchiveError(UserError):
    """An archive, or one of its members, that cannot or must not be read.

    Attributes:
        path: The archive.
        member: The member's name; None if it is about the whole archive.
    """

    def __init__(self, path: Path, what: str, *, member: str | None = None, hint: str = "") -> None:
        self.path = path
        self.member = member
        subject = f"{path}"
        if member is not None:
            cut = member if len(member) <= _LONGEST_SHOWN else f"{member[: _LONGEST_SHOWN - 3]}..."
            # A folder's names need not be UTF-8: what else is in them shows as ?.
            shown = cut.encode("utf-8", "replace").decode()
            subject = f"In {path}, the member {shown!r}"
        super().__init__(f"{subject} {what}.", hint=hint)


class UnreadableArchive(ArchiveError):
    """The archive's file or folder cannot be opened."""

    def __init__(self, path: Path, cause: object) -> None:
        super().__init__(
            path, f"cannot be read ({cause})", hint="Check the path and its permissions."
        )


class ForeignFile(ArchiveError):
    """The file is no archive that can be read."""


class DamagedArchive(ArchiveError):
    """The archive is truncated or damaged."""

    def __init__(self, path: Path, cause: object, *, hint: str) -> None:
        super().__init__(path, f"is truncated or damaged ({cause})", hint=hint)


class ArchiveBomb(ArchiveError):
    """The archive declares more than an honest one holds."""

    def __init__(self, path: Path, amount: str) -> None:
        super().__init__(
            path,
            f"holds {amount}, like an archive bomb",
            hint="The archive was not used. If it is genuine, unpack it and name the folder.",
        )


class UnsafeMember(ArchiveError):
    """A member that could do harm, or of which it cannot be known what is meant."""

    def __init__(self, path: Path, member: str, fault: str, *, hint: str) -> None:
        super().__init__(path, fault, member=member, hint=hint)


class SpecialMember(UnsafeMember):
    """A link or a device."""

    def __init__(self, path: Path, member: str, kind: str) -> None:
        hint = "Links and devices are never followed. Pack the images themselves."
        super().__init__(path, member, f"is a {kind}, not a file", hint=hint)


class NoSuchMember(ArchiveError):
    """The member is not, or no longer, in the archive."""

    def __init__(self, path: Path, member: str) -> None:
        hint = "The archive changed since it was read."
        super().__init__(path, "does not exist", member=member, hint=hint)


class MemberTooLarge(ArchiveError):
    """The member has more bytes than the caller takes.

    Attributes:
        limit: Bytes that the caller takes.
    """

    def __init__(self, path: Path, member: str, limit: int) -> None:
        self.limit = limit
        hint = "That is no image the service takes. Leave it out."
        super().__init__(path, f"has more than {limit:,} bytes", member=member, hint=hint)


class DamagedMember(ArchiveError):
    """The member's content cannot be read."""

    def __init__(self, path: Path, member: str, cause: object) -> None:
        hint = "Fetch or pack the archive again."
        super().__init__(path, f"is damaged ({cause})", member=member, hint=hint)
