"""What a run tells whoever shows it; the engine itself never prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from lfvpipe.engine.outcome import Outcome
    from lfvpipe.engine.reasons import Reason
    from lfvpipe.engine.result import RunResult


@dataclass(frozen=True)
class RunStarted:
    """A run begins with the steps that may run, in order."""

    variant: str
    steps: tuple[str, ...]


@dataclass(frozen=True)
class StepStarted:
    """A step begins to act, for these reasons."""

    step: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class StepProgress:
    """How far a step is: `done` of `total` (None when nobody knows) in `unit`."""

    step: str
    done: int
    total: int | None
    unit: str
    detail: str = ""


@dataclass(frozen=True)
class StepWarning:
    """Something worth knowing that does not stop the run."""

    step: str
    message: str


@dataclass(frozen=True)
class StepFinished:
    """A step is up to date; `word` is its outcome's where it acted, else unchanged or reused."""

    step: str
    outcome: Outcome
    word: str
    seconds: float


@dataclass(frozen=True)
class StepFailed:
    """A step failed: a `UserError`, or a bug that `run` raises in the end."""

    step: str
    error: Exception
    seconds: float


@dataclass(frozen=True)
class StepInterrupted:
    """A step stopped because the user asked; the next run resumes it.

    Attributes:
        is_left: What it waited for goes on by itself, as the user asked beforehand.
    """

    step: str
    message: str
    seconds: float
    is_left: bool = False


@dataclass(frozen=True)
class StepSkipped:
    """A step cannot run, as the step `because` failed."""

    step: str
    because: str


@dataclass(frozen=True)
class RunFinished:
    """The run is over."""

    result: RunResult


Event: TypeAlias = (
    RunStarted
    | StepStarted
    | StepProgress
    | StepWarning
    | StepFinished
    | StepFailed
    | StepInterrupted
    | StepSkipped
    | RunFinished
)
Reporter: TypeAlias = Callable[[Event], None]


def silent(event: Event) -> None:
    """Tell nobody about `event`: a reporter for who only wants the result."""
