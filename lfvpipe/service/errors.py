"""What keeps the service from opening its folder; what a request did wrong is a Fault."""

from pathlib import Path

from lfvpipe import disk
from lfvpipe.errors import UserError


class FolderUnusable(UserError):
    """The service's folder cannot be made or written.

    Attributes:
        folder: The folder.
    """

    def __init__(self, folder: Path, error: OSError) -> None:
        self.folder = folder
        super().__init__(
            f"The service's folder {folder} cannot be written: {error.strerror or error}.",
            hint=disk.advice(error, "Free some space or make it writable."),
        )


class StateUnreadable(UserError):
    """The state's file cannot be opened."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(
            f"The service's state in {file} cannot be opened: {reason}.",
            hint="Make room on the disk and give write access to the folder.",
        )


class StateBroken(StateUnreadable):
    """The state's file is no database, or a damaged one.

    Attributes:
        file: The file.
    """

    def __init__(self, file: Path, reason: str) -> None:
        self.file = file
        UserError.__init__(
            self,
            f"The service's state in {file} is damaged: {reason}.",
            hint="Restore it from a copy, or move it away: then projects, data sets and models have"
            " to be made again.",
        )


class ModelTooNew(UserError):
    """A model's file was written by a later version.

    Args:
        file: The file.
        found: Its format.
        known: The latest format that this version reads.
    """

    def __init__(self, file: Path, found: int, known: int) -> None:
        super().__init__(
            f"The model file {file} was written by a newer lfvpipe (format {found}).",
            hint=f"This version reads formats up to {known}. Update it, or train the model again.",
        )


class StateTooNew(UserError):
    """The state's file was written by a later version.

    Args:
        file: The file.
        found: Its format.
        known: The latest format that this version reads.
    """

    def __init__(self, file: Path, found: int, known: int) -> None:
        super().__init__(
            f"The service's state in {file} comes from a newer lfvpipe (format {found}).",
            hint=f"This version reads formats up to {known}. Update it, or use another folder.",
        )
