"""The permanent line that an event leaves behind, for the live and the plain reporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.cli import wording
from lfvpipe.engine import events

if TYPE_CHECKING:
    from lfvpipe.cli.output import Style

NAME_WIDTH = 16


def line(event: events.Event) -> tuple[str, Style] | None:
    """Return what stays on the screen for `event`, and in which style; None for nothing."""
    match event:
        case events.StepFinished(step=step, outcome=outcome, word=word, seconds=seconds):
            facts = wording.facts(dict(outcome.facts)) if outcome else ""
            text = f"✓ {step:<{NAME_WIDTH}} {word:<9} {wording.duration(seconds):>9}"
            return f"{text}  {facts}".rstrip(), "green"
        case events.StepFailed(step=step, error=error, seconds=seconds):
            first = (str(error).splitlines() or [""])[0]
            return f"✗ {step:<{NAME_WIDTH}} failed    {wording.duration(seconds):>9}  {first}", "red"
        case events.StepSkipped(step=step, because=because):
            return f"- {step:<{NAME_WIDTH}} skipped    {because}", "dim"
        case events.StepWarning(step=step, message=message):
            return f"! {step:<{NAME_WIDTH}} {message}", "yellow"
        case _:
            return None
