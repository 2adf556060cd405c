"""A live line per running step on a terminal; finished steps stay above."""

from __future__ import annotations

import sys
from threading import Lock
from typing import TYPE_CHECKING

from lfvpipe.cli import formatting
from lfvpipe.cli.reporters.lines import NAME_WIDTH, line
from lfvpipe.engine import events
from lfvpipe.report.durations import duration
from lfvpipe.wrapping import fit, plain_stream

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn, Task, TaskID

    from lfvpipe.cli.reporters.lines import Describe

BAR, SPINNER, WIDE = 20, 3, 70  # characters
GAP = "  "


class Live:
    """A reporter on rich's progress display, which obeys NO_COLOR and is made on first use."""

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self._lock = Lock()
        self._display: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: events.Event) -> None:
        """Take one event; from any thread."""
        with self._lock:
            self._show(event)
            permanent = line(event, self._describe)
            if permanent:
                self._print(*permanent)

    def close(self) -> None:
        """Take the live lines away and leave the cursor as it was."""
        with self._lock:
            if self._display:
                self._display.stop()
                self._display = None

    def _show(self, event: events.Event) -> None:
        match event:
            case events.StepStarted(step=step):
                self._tasks[step] = self._progress().add_task(
                    step, total=None, said="", counted=False
                )
            case events.StepProgress(step=step, done=done, total=total):
                if step in self._tasks:
                    amount = formatting.amount(done, total, event.unit) if event.unit else ""
                    said = ", ".join(part for part in (amount, event.detail) if part)
                    task = self._tasks[step]
                    # What has no unit is no count, and says itself how long it takes.
                    counted = bool(event.unit)
                    self._progress().update(
                        task, completed=done, total=total, said=said, counted=counted
                    )
            case (
                events.StepFinished(step=step)
                | events.StepFailed(step=step)
                | events.StepInterrupted(step=step)
            ):
                if step in self._tasks:
                    self._progress().remove_task(self._tasks.pop(step))
            case _:
                pass

    def _print(self, text: str, style: str) -> None:
        from rich.text import Text

        console = self._progress().console
        lines = fit(text, console.width)
        console.print(Text(lines, style=style), soft_wrap=True)

    def _progress(self) -> Progress:
        if self._display is None:
            self._display = _display()
            self._display.start()
        return self._display


def live_line(width: int, name: str, said: str, times: str, part: float | None) -> str:
    """Return what is shown of a running step: no longer than `width`, in whole words.

    Args:
        width: In characters.
        name: Of the step.
        said: What it is at; words at its end are left out where there is no room for them.
        times: How long it took, and will take.
        part: How much of it is done, 0 to 1; None where that is not known.
    """
    name = f"{name:<{NAME_WIDTH}}" if width >= WIDE else name
    room = width - len(name) - len(times) - 2 * len(GAP)
    done = "" if part is None else "━" * round(part * BAR)
    bar = f"{done:<{BAR}}" if room >= len(said) + BAR + len(GAP) else ""
    kept = said.split(" ")
    while kept and len(" ".join(kept)) > room:
        kept.pop()
    return GAP.join(filter(None, (name, bar, " ".join(kept).rstrip(","), times)))


def _display() -> Progress:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn

    stream = plain_stream(sys.stderr)
    console = Console(file=stream, highlight=False)
    columns = (SpinnerColumn(), _step_column(console))
    return Progress(*columns, console=console, transient=True, refresh_per_second=8)


def _step_column(console: Console) -> ProgressColumn:
    """Return the column that shows a step; one alone, since several are squeezed at their ends."""
    from rich.progress import ProgressColumn
    from rich.text import Text

    class StepColumn(ProgressColumn):
        def render(self, task: Task) -> Text:
            times = duration(task.elapsed or 0.0)
            left = task.time_remaining
            if left is not None and not task.finished and task.fields["counted"]:
                times += f", {duration(left)} left"
            part = task.completed / task.total if task.total else None
            said = str(task.fields["said"])
            line = live_line(console.width - SPINNER, task.description, said, times, part)
            return Text(line, no_wrap=True, overflow="crop")

    return StepColumn()
