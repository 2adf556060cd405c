"""The permanent line that an event leaves behind, for the live and the plain reporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.engine import events
from lfvpipe.report.durations import duration
from lfvpipe.visible import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfvpipe.cli.output import Style
    from lfvpipe.engine.outcome import Outcome

    # Says what of a step's outcome is worth showing: its name, and the outcome.
    Describe = Callable[[str, Outcome], str]

NAME_WIDTH = 21
NO_TIME = 0.001  # seconds: the step did not act at all


def line(event: events.Event, describe: Describe) -> tuple[str, Style] | None:
    """Return what stays on the screen for `event`, and in which style; None for nothing."""
    found = _line(event, describe)
    return (visible(found[0]), found[1]) if found else None


def _line(event: events.Event, describe: Describe) -> tuple[str, Style] | None:
    match event:
        case events.StepFinished(word="unchanged", seconds=seconds) if seconds < NO_TIME:
            return None
        case events.StepFinished(step=step, outcome=outcome, word=word, seconds=seconds):
            facts = describe(step, outcome) if outcome else ""
            text = f"✓ {step:<{NAME_WIDTH}} {word:<9} {duration(seconds):>9}"
            return f"{text}  {facts}".rstrip(), "green"
        case events.StepFailed(step=step, error=error, seconds=seconds):
            first = (str(error).splitlines() or [""])[0]
            return (
                f"✗ {step:<{NAME_WIDTH}} failed    {duration(seconds):>9}  {first}",
                "red",
            )
        case events.StepInterrupted(step=step, message=message, seconds=seconds, is_left=True):
            text = f"→ {step:<{NAME_WIDTH}} goes on   {duration(seconds):>9}  {message}"
            return text.rstrip(), "cyan"
        case events.StepInterrupted(step=step, message=message, seconds=seconds):
            text = f"✗ {step:<{NAME_WIDTH}} stopped   {duration(seconds):>9}  {message}"
            return text.rstrip(), "yellow"
        case events.StepSkipped(step=step, because=because):
            return f"- {step:<{NAME_WIDTH}} skipped, as {because} failed", "dim"
        case events.StepWarning(step=step, message=message):
            return f"! {step:<{NAME_WIDTH}} {message}", "yellow"
        case _:
            return None
