"""What a command hands to the steps' code where no step runs: `detect` hosts a model by it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from lfvpipe.engine.step import Cancelled
from lfvpipe.visible import visible

if TYPE_CHECKING:
    from collections.abc import Mapping
    from threading import Event

    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.outcome import Facts, Json, Outcome


@dataclass
class CommandWork:
    """A `Work` outside any step: what it holds is in the ledger, what it saves dies with it."""

    ledger: Ledger
    cancelled: Event
    lineage: str = ""
    fingerprint: str = ""
    attempt: int = 1
    previous: Outcome | None = None
    saved: Facts = field(default_factory=dict)
    upstream: Mapping[str, Outcome] = field(default_factory=dict)

    def token(self, *parts: str) -> str:
        """Return a token that is never the same again: nothing here is worth resuming."""
        return "-".join((*parts, uuid4().hex))

    def progress(self, done: int, total: int | None, unit: str, detail: str = "") -> None:
        """Show nothing, but end the work when the user asks to stop."""
        del done, total, unit, detail
        if self.cancelled.is_set():
            raise Cancelled("stopped")

    def warn(self, message: str) -> None:
        """Tell the user."""
        print(f"warning: {visible(message)}", file=sys.stderr)

    def save(self, **facts: Json) -> None:
        """Keep facts for as long as this command runs."""
        self.saved = {**self.saved, **facts}

    def hold(self, key: str, facts: Facts) -> None:
        """Record in the ledger what has to be released again."""
        self.ledger.hold(key, facts)

    def holds(self, key: str) -> bool:
        """Tell whether the ledger holds something under `key`."""
        return key in self.ledger.held

    def release(self, key: str) -> None:
        """Record that it is released."""
        self.ledger.release(key)
