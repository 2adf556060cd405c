"""One module a command: what it reads, and a function ``run(options) -> int``, the exit code."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.cli.commands import plan
else:
    __getattr__ = lazy.face(__name__, {"plan": []})

__all__ = ["plan"]
