"""What a command opened, and what its end closes, however it ends.

Left to the collection of garbage, a connection of one command could write its log into a database
that was replaced after it.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_opened = ExitStack()


def at_end(action: Callable[[], None]) -> None:
    """Call `action` when the command ends."""
    _opened.callback(action)


def end() -> None:
    """Close what the command opened, the latest first."""
    _opened.close()
