"""A live line per running step on a terminal; finished steps stay above."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any

from lfvpipe.cli import formatting
from lfvpipe.cli.reporters.lines import NAME_WIDTH, line
from lfvpipe.engine import events
from lfvpipe.report.durations import duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from lfvpipe.cli.reporters.lines import Describe


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
                self._tasks[step] = self._progress().add_task(step, total=None, said="")
            case events.StepProgress(step=step, done=done, total=total):
                if step in self._tasks:
                    amount = formatting.amount(done, total, event.unit) if event.unit else ""
                    said = ", ".join(part for part in (amount, event.detail) if part)
                    task = self._tasks[step]
                    self._progress().update(task, completed=done, total=total, said=said)
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

        self._progress().console.print(Text(text, style=style), soft_wrap=True)

    def _progress(self) -> Progress:
        if self._display is None:
            self._display = _display()
            self._display.start()
        return self._display


def _display() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns: tuple[Any, ...] = (
        SpinnerColumn(),
        TextColumn("{task.description:<" + str(NAME_WIDTH) + "}", markup=False),
        BarColumn(bar_width=20),
        TextColumn("{task.fields[said]}", markup=False),
        *_times(),
    )
    console = Console(stderr=True, highlight=False)
    return Progress(*columns, console=console, transient=True, refresh_per_second=8)


def _times() -> tuple[Any, ...]:
    """Return the columns of time spent and, where the total is known, time left."""
    from rich.progress import ProgressColumn, Task
    from rich.text import Text

    class Times(ProgressColumn):
        """Seconds spent, and an estimate of the seconds left."""

        def render(self, task: Task) -> Text:
            """Return the times of one step."""
            said = duration(task.elapsed or 0.0)
            left = task.time_remaining
            if left is not None and not task.finished:
                said += f", {duration(left)} left"
            return Text(said, style="dim")

    return (Times(),)
