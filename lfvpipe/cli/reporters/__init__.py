"""Who watches a run: live lines on a terminal, plain lines elsewhere, JSON lines for machines."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.cli.reporters import live, plain, structured
    from lfvpipe.cli.reporters.reporter import reporting
else:
    __getattr__ = lazy.face(
        __name__, {"live": [], "plain": [], "reporter": ["reporting"], "structured": []}
    )

__all__ = ["live", "plain", "reporting", "structured"]
