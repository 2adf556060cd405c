"""What the data check finds: errors that stop the run, warnings that go to the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lfvpipe.engine.facts import StepFacts
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SHOWN = 10


@dataclass(frozen=True)
class Finding(StepFacts):
    """One thing that is wrong or doubtful.

    Attributes:
        code: Short and stable, for machines.
        message: What is the case, with numbers, and what to change.
        images: Ids of the images concerned, at most ten.
    """

    level: Literal["error", "warning"]
    code: str
    message: str
    images: tuple[str, ...] = ()


def error(code: str, message: str, images: Iterable[str] = ()) -> Finding:
    """Return a finding that stops the run."""
    return Finding("error", code, message, tuple(images)[:SHOWN])


def warning(code: str, message: str, images: Iterable[str] = ()) -> Finding:
    """Return a finding that does not stop the run."""
    return Finding("warning", code, message, tuple(images)[:SHOWN])


class CheckFailed(UserError):
    """The data break the service's rules; nothing was created.

    Attributes:
        findings: Everything that was found, warnings too.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        errors = [finding for finding in findings if finding.level == "error"]
        what = "1 problem" if len(errors) == 1 else f"{len(errors)} problems"
        lines = []
        for finding in errors:
            examples = f" ({', '.join(finding.images)})" if finding.images else ""
            lines.append(f"- {finding.message}{examples}")
        super().__init__(
            "\n  ".join([f"The images cannot be used: {what}.", *lines]),
            hint="Nothing was created in the bucket or the service.",
        )
