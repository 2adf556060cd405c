"""Ctrl-C and SIGTERM: the first asks the run to end cleanly, the second ends it at once."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from threading import Event, current_thread, main_thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

INTERRUPTED = 130


@contextmanager
def cancelling() -> Iterator[Event]:
    """Yield an event that is set by Ctrl-C or SIGTERM, and restore the old handlers after.

    The second signal ends the process at once: everything durable survives a kill, and the
    next run resumes.
    """
    cancelled = Event()
    if current_thread() is not main_thread():
        yield cancelled
        return

    def ask(_number: int, _frame: FrameType | None) -> None:
        if cancelled.is_set():
            os._exit(INTERRUPTED)
        cancelled.set()
        os.write(2, b"\nstopping cleanly; once more to stop at once\n")

    before = {each: signal.signal(each, ask) for each in _signals()}
    try:
        yield cancelled
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _signals() -> tuple[signal.Signals, ...]:
    if sys.platform == "win32":
        return (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
    return (signal.SIGINT, signal.SIGTERM)
