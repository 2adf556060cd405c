"""Archives of images, opened as if they were hostile: zip, tar and folders behind one face."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.archives.errors import (
        ArchiveBomb,
        ArchiveError,
        DamagedArchive,
        DamagedMember,
        ForeignFile,
        MemberTooLarge,
        NoSuchMember,
        SpecialMember,
        UnreadableArchive,
        UnsafeMember,
    )
    from lfvpipe.archives.folders import STATE_FOLDER
    from lfvpipe.archives.members import (
        JUNK_KINDS,
        Archive,
        Limits,
        Member,
        heat_map_name,
        kind_of_junk,
    )
    from lfvpipe.archives.opening import open_archive, zip_spans
else:
    __getattr__ = lazy.face(
        __name__,
        {
            "errors": [
                "ArchiveBomb",
                "ArchiveError",
                "DamagedArchive",
                "DamagedMember",
                "ForeignFile",
                "MemberTooLarge",
                "NoSuchMember",
                "SpecialMember",
                "UnreadableArchive",
                "UnsafeMember",
            ],
            "folders": ["STATE_FOLDER"],
            "members": [
                "JUNK_KINDS",
                "Archive",
                "Limits",
                "Member",
                "heat_map_name",
                "kind_of_junk",
            ],
            "opening": ["open_archive", "zip_spans"],
        },
    )

__all__ = [
    "JUNK_KINDS",
    "STATE_FOLDER",
    "Archive",
    "ArchiveBomb",
    "ArchiveError",
    "DamagedArchive",
    "DamagedMember",
    "ForeignFile",
    "Limits",
    "Member",
    "MemberTooLarge",
    "NoSuchMember",
    "SpecialMember",
    "UnreadableArchive",
    "UnsafeMember",
    "heat_map_name",
    "kind_of_junk",
    "open_archive",
    "zip_spans",
]
