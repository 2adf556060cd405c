"""The root of what the engine raises; it names steps and files, and knows of no command."""

from lfvpipe.errors import UserError


class EngineError(UserError):
    """A run, a plan or the ledger of one cannot go on as it was asked to."""
