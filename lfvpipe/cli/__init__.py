"""The command line: one module a command, a plain function that returns an exit code."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.cli import crash, endings, private_state
else:
    __getattr__ = lazy.face(__name__, {"crash": [], "endings": [], "private_state": []})

__all__ = ["crash", "endings", "private_state"]
