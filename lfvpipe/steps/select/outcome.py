"""What the select step leaves, for itself and for those that read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from lfvpipe.dataset.checks.findings import Finding
from lfvpipe.dataset.selection import LabelCounts
from lfvpipe.engine.facts import ABSENT_IF_NONE, StepOutcome
from lfvpipe.engine.outcome import Json, digest


@dataclass(frozen=True)
class SelectOutcome(StepOutcome):
    """The selection.

    Attributes:
        selection: Its file, relative to the state directory.
        digest: SHA-256 of the file.
        counts: By label; a label without an image in the sources or in train and test is left out.
        findings: What the sources hold that was left out or had to be decided; said already, and
            kept for the report. None where there is nothing.
        judged: How many images are only judged, whatever is known of them; None in a ledger from
            before that was counted.
        left_out: A file of the images that decisions took away, each as it would have been,
            relative to the state directory; None where there are none, and in a ledger from
            before that was noted.
    """

    step: ClassVar[str] = "select"

    selection: str
    digest: str
    counts: Mapping[str, LabelCounts]
    findings: tuple[Finding, ...] | None = field(default=None, metadata=ABSENT_IF_NONE)
    judged: int | None = field(default=None, metadata=ABSENT_IF_NONE)
    left_out: str | None = field(default=None, metadata=ABSENT_IF_NONE)

    @property
    def files(self) -> list[str]:
        """The selection and what goes with it, relative to the state directory."""
        return [self.selection, *filter(None, [self.left_out])]

    def findings_identity(self) -> dict[str, Json]:
        """Return what changes when the findings do; empty where there are none."""
        if not self.findings:
            return {}
        return {"findings": digest([finding.as_json() for finding in self.findings])}
