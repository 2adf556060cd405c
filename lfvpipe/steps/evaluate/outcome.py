"""What the evaluate step's outcome says, for the step and for those that read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lfvpipe.engine.outcome import Outcome


def verdict_path(outcome: Outcome, name: str) -> str:
    """Return where one of the outcome's files lies, relative to the state folder."""
    facts = outcome.facts.get(name)
    return str(facts["path"]) if isinstance(facts, Mapping) else ""
