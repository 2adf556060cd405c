"""What the data check finds: errors that stop the run, warnings that go to the report."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from lfvpipe import atomic
from lfvpipe.engine.facts import StepFacts
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SHOWN = 10  # images in a ledger and a report
NAMED = 3  # images at the terminal


@dataclass(frozen=True)
class Finding(StepFacts):
    """One thing that is wrong or doubtful.

    Attributes:
        code: Short and stable, for machines.
        message: What is the case, with numbers, and what to change.
        images: Ids of the images concerned; of a finding that is kept, at most ten.
    """

    level: Literal["error", "warning"]
    code: str
    message: str
    images: tuple[str, ...] = ()

    def shortened(self) -> Finding:
        """Return the finding as it is kept, with at most ten images."""
        return replace(self, images=self.images[:SHOWN])

    def told(self, place: str = "") -> str:
        """Return what to say of it, with the first images.

        Args:
            place: Where all of the images are named, if they are.
        """
        names = self.images if self.names_all else self.images[:NAMED]
        if not names or any(name in self.message for name in names):
            return self.message  # which has an example of its own
        more = len(self.images) - len(names)
        rest = f" and {more:,} more" + (f" in {place}" if place else "") if more else ""
        stop = "." if self.message.endswith(".") else ""
        return f"{self.message.removesuffix('.')} ({', '.join(names)}{rest}){stop}"

    @property
    def names_all(self) -> bool:
        """Whether `told` names each of the images by itself."""
        return len(self.images) <= NAMED + 1


def write_names(folder: Path, findings: Iterable[Finding]) -> str:
    """Write the images of findings that name some of them alone, and return where; "" for none.

    The file is called by its content, as variants share the folder.
    """
    parts = [
        "\n".join([finding.message, *(f"  {name}" for name in finding.images), ""])
        for finding in findings
        if not finding.names_all
    ]
    if not parts:
        return ""
    text = "\n".join(parts)
    digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()
    file = folder / f"findings-{digest[:8]}.txt"
    atomic.write_bytes(file, text.encode(errors="backslashreplace"))
    return str(file)


def error(code: str, message: str, images: Iterable[str] = ()) -> Finding:
    """Return a finding that stops the run."""
    return Finding("error", code, message, tuple(images))


def warning(code: str, message: str, images: Iterable[str] = ()) -> Finding:
    """Return a finding that does not stop the run."""
    return Finding("warning", code, message, tuple(images))


class CheckFailed(UserError):
    """The data break the service's rules; nothing was created.

    Attributes:
        findings: Everything that was found, warnings too.
    """

    def __init__(self, findings: Sequence[Finding], place: str = "") -> None:
        self.findings = tuple(findings)
        errors = [finding for finding in findings if finding.level == "error"]
        what = "1 problem" if len(errors) == 1 else f"{len(errors)} problems"
        lines = [f"- {finding.told(place)}" for finding in errors]
        super().__init__(
            "\n  ".join([f"The images cannot be used: {what}.", *lines]),
            hint="Nothing was created in the bucket or the service.",
        )
