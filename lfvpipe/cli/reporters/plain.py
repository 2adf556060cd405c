"""Plain lines where there is no terminal: one at a start, one at an end, one when it is quiet."""

from __future__ import annotations

import time
from threading import Event as Flag
from threading import Lock, Thread
from typing import IO, TYPE_CHECKING

from lfvpipe.cli import formatting
from lfvpipe.cli.reporters.lines import NAME_WIDTH, line
from lfvpipe.engine import events
from lfvpipe.report.durations import duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfvpipe.cli.reporters.lines import Describe

QUIET_SECONDS = 1.8


class Plain:
    """A reporter that is never silent for longer than two seconds while a step works.

    Args:
        stream: Where the lines go.
        describe: Says what of an outcome is worth showing.
        clock: Seconds that only grow; for tests.
    """

    def __init__(
        self,
        stream: IO[str],
        describe: Describe,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._describe = describe
        self._clock = clock
        self._lock = Lock()
        self._started: dict[str, float] = {}
        self._progress: dict[str, events.StepProgress] = {}
        self._spoke = clock()
        self._ended = Flag()
        self._ticker: Thread | None = None

    def __call__(self, event: events.Event) -> None:
        """Take one event; from any thread."""
        with self._lock:
            self._note(event)
            permanent = line(event, self._describe)
            if permanent:
                self._say(permanent[0])

    def close(self) -> None:
        """End the ticking."""
        self._ended.set()
        if self._ticker:
            self._ticker.join()

    def tick(self) -> None:
        """Say how each running step is doing, if nothing was said for a while."""
        with self._lock:
            if self._clock() - self._spoke >= QUIET_SECONDS:
                for step in self._started:
                    self._say(self._doing(step))

    def _note(self, event: events.Event) -> None:
        match event:
            case events.StepStarted(step=step):
                self._started[step] = self._clock()
                self._say(f"> {step}")
                self._watch()
            case events.StepProgress(step=step):
                self._progress[step] = event
            case (
                events.StepFinished(step=step)
                | events.StepFailed(step=step)
                | events.StepInterrupted(step=step)
            ):
                self._started.pop(step, None)
                self._progress.pop(step, None)
            case _:
                pass

    def _doing(self, step: str) -> str:
        spent = duration(self._clock() - self._started[step])
        known = self._progress.get(step)
        if known is None:
            return f"  {step:<{NAME_WIDTH}} working, {spent}"
        amount = formatting.amount(known.done, known.total, known.unit) if known.unit else ""
        said = ", ".join(part for part in (amount, known.detail, spent) if part)
        return f"  {step:<{NAME_WIDTH}} {said}"

    def _say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)
        self._spoke = self._clock()

    def _watch(self) -> None:
        if self._ticker is None:
            self._ticker = Thread(target=self._tick_until_closed, daemon=True)
            self._ticker.start()

    def _tick_until_closed(self) -> None:
        while not self._ended.wait(0.1):
            self.tick()
