"""What became of a run."""

from collections.abc import Mapping
from dataclasses import dataclass

from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.planning import Action
from lfvpipe.engine.reasons import Reason


@dataclass(frozen=True)
class StepResult:
    """What became of a step.

    Attributes:
        step: The step's name.
        action: ``run`` whether it went well or not, ``reuse``, ``unchanged``; ``skip`` when it was
            left out, had no turn before the user stopped, or another step failed.
        outcome: Its outcome; None when it failed or had no turn.
        seconds: How long it took.
        error: Why it failed, or `Cancelled` when it was interrupted.
        because: The failed step because of which it was skipped.
        reasons: Why it ran.
        warnings: What it warned of.
    """

    step: str
    action: Action
    outcome: Outcome | None = None
    seconds: float = 0.0
    error: Exception | None = None
    because: str = ""
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunResult:
    """What became of a run.

    Attributes:
        rows: A result for each step, in order.
        cancelled: The user stopped the run before it was done.
        seconds: How long the run took.
    """

    rows: tuple[StepResult, ...]
    cancelled: bool
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every selected step is up to date."""
        return not self.cancelled and not any(row.error or row.because for row in self.rows)

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """The outcomes of all steps that are up to date, by name."""
        return {row.step: row.outcome for row in self.rows if row.outcome is not None}
