"""Outcomes of steps that a test does not run, as the ledger would have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.engine.outcome import Outcome
from lfvpipe.steps.check import CheckOutcome
from lfvpipe.steps.extract.outcome import ExtractOutcome
from lfvpipe.steps.fetch import FetchOutcome

if TYPE_CHECKING:
    from pathlib import Path

    from lfvpipe.dataset.checks.findings import Finding


def fetch_outcome(path: Path, sha256: str = "0" * 64) -> Outcome:
    """Return the outcome of a fetch step that found the file where it lies."""
    facts = FetchOutcome(str(path), path.stat().st_size, sha256, "file")
    return Outcome("adopted", facts.as_json(), {"sha256": sha256})


def extract_outcome(index: str, digest: str = "0" * 64, notes: str = "index/none") -> Outcome:
    """Return the outcome of an extract step that wrote this index."""
    facts = ExtractOutcome(
        index=index, digest=digest, notes=notes, images=0, new=0, bytes=0, unreadable=0, counts={}
    )
    return Outcome("created", facts.as_json())


def check_outcome(*findings: Finding) -> Outcome:
    """Return the outcome of a check step."""
    return Outcome("created", CheckOutcome(findings, {}).as_json())
