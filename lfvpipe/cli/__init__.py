"""The command line: one module a command, a plain function that returns an exit code."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.cli import crash, private_state
else:
    __getattr__ = lazy.face(__name__, {"crash": [], "private_state": []})

__all__ = ["crash", "private_state"]
