"""Archives of images, opened as if they were hostile: zip, tar and folders behind one face."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.archives.members import Archive, ArchiveError, Limits, Member
    from lfvpipe.archives.opening import open_archive
else:
    __getattr__ = lazy.face(
        __name__,
        {"members": ["Archive", "ArchiveError", "Limits", "Member"], "opening": ["open_archive"]},
    )

__all__ = ["Archive", "ArchiveError", "Limits", "Member", "open_archive"]
