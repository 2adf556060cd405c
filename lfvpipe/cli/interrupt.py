"""Ctrl-C, SIGTERM and a terminal that goes away: the first asks the run to end cleanly."""

from __future__ import annotations

import os
import signal
import stat
import sys
from contextlib import contextmanager, suppress
from threading import Event, current_thread, main_thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

INTERRUPTED = 130
_HANGUP = getattr(signal, "SIGHUP", None)


class Interruption(Event):
    """Set once the user asks to stop.

    Attributes:
        by: The signals that asked, in their order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by: list[int] = []

    def withdraw(self) -> None:
        """Go on as if nobody had asked: the next signal is the first again."""
        self.by.clear()
        self.clear()


@contextmanager
def cancelling() -> Iterator[Interruption]:
    """Yield an event that is set by Ctrl-C, SIGTERM or SIGHUP, and restore the old handlers after.

    A second Ctrl-C or SIGTERM ends the process at once: everything durable survives a kill, and
    the next run resumes. SIGHUP is never that second: the terminal and the shell both send it when
    a connection drops, and a model would stay hosted. One that is ignored (nohup) stays so.
    """
    cancelled = Interruption()
    if current_thread() is not main_thread():
        yield cancelled
        return

    def ask(number: int, _frame: FrameType | None) -> None:
        if number == _HANGUP:
            _let_go_of_terminal()
        elif any(each != _HANGUP for each in cancelled.by):
            os._exit(INTERRUPTED)
        cancelled.by.append(number)
        cancelled.set()
        with suppress(OSError):
            os.write(2, b"\nstopping cleanly; once more to stop at once\n")

    before = {each: signal.signal(each, ask) for each in _signals()}
    try:
        yield cancelled
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def raising() -> Iterator[None]:
    """Have Ctrl-C raise KeyboardInterrupt for a while, as where a question is to be left."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _let_go_of_terminal() -> None:
    """Have what is said from here on go nowhere: a terminal that is gone refuses it."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (1, 2):
        with suppress(OSError):
            # Whether a terminal is one cannot be asked any more: it is a device in any case.
            if stat.S_ISCHR(os.fstat(stream).st_mode):
                os.dup2(nothing, stream)
    os.close(nothing)


def _signals() -> tuple[signal.Signals, ...]:
    if sys.platform == "win32":
        return (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return (signal.SIGINT, signal.SIGTERM)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
