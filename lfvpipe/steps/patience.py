"""Pauses between two looks at something that takes its time to go away."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from threading import Event

from lfvpipe.engine.step import Cancelled
from lfvpipe.errors import UserError

LONGEST = 600.0  # seconds; deletions are documented to take moments

Pause = Callable[[Event | None], None]


def pauses(limit: float = LONGEST) -> Iterator[Pause]:
    """Yield functions that wait a little, longer each time, up to `limit` seconds in all.

    Raises:
        UserError: The time is up.
        Cancelled: (from the pause) the event that it was handed was set.
    """
    seconds, started = 0.02, time.monotonic()
    while time.monotonic() - started < limit:
        yield partial(_pause, seconds)
        seconds = min(seconds * 1.4, 5.0)
    raise UserError(f"the service is not done after {limit:.0f} seconds", hint="run again later")


def _pause(seconds: float, cancelled: Event | None) -> None:
    if (cancelled or Event()).wait(seconds):
        raise Cancelled("stopped waiting; run again to resume")
