"""Archives of images, opened as if they were hostile: zip, tar and folders behind one face."""

from lfvpipe.archives.members import Archive, ArchiveError, Limits, Member
from lfvpipe.archives.opening import open_archive

__all__ = ["Archive", "ArchiveError", "Limits", "Member", "open_archive"]
