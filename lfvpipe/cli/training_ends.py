"""What is said of a training that was to be cancelled, whether or not it still could be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe import steps

if TYPE_CHECKING:
    from lfvpipe.steps import Training


def told(training: Training, ending: steps.Ending) -> str:
    """Say what became of a training, as a line."""
    match ending:
        case steps.Ending.CANCELLED:
            return (
                f"cancelled {training}: the parts that it had finished are kept, and the next run"
                " goes on from them; what it was in the midst of begins anew"
            )
        case steps.Ending.TRAINED:
            return (
                f"{training} had ended before it could be cancelled: version {training.version} is"
                " trained and kept, and the next run goes on with it"
            )
        case steps.Ending.FAILED:
            return f"{training} had failed before it could be cancelled"
        case steps.Ending.GONE:
            return f"{training} was cancelled already, by another command"
