"""What the ledger knows of a step at one fingerprint."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, cast

from lfvpipe.engine.outcome import Facts, Outcome, Word

if TYPE_CHECKING:
    from collections.abc import Mapping

State = Literal["running", "done", "failed"]


@dataclass(frozen=True)
class Record:
    """What is known of a step at one fingerprint.

    Attributes:
        fingerprint: The digest of `inputs`.
        state: ``running`` from before the body until it ends, so a kill leaves it so.
        inputs: The flat mapping that it was made of: inputs, ``step:<need>``, ``version``.
        outcome: The last outcome; None until there is one.
        attempts: The number of the last attempt, from 1.
        saved: What the attempts saved for the next one, until one is done.
        superseded: The outcomes that `outcome` took the place of, the oldest first.
        started: When the attempt started, UTC, ISO 8601.
        finished: When it ended; None while it runs.
        error: Why it failed.
        hint: What the user can do about it.
    """

    fingerprint: str
    state: State
    inputs: Facts
    outcome: Outcome | None
    attempts: int
    saved: Facts
    superseded: tuple[Outcome, ...]
    started: str
    finished: str | None
    error: str | None
    hint: str | None

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """All outcomes that there ever were, the latest first."""
        latest = () if self.outcome is None else (self.outcome,)
        return (*latest, *reversed(self.superseded))

    @property
    def version(self) -> int:
        """The version of the step's code."""
        return cast("int", self.inputs["version"])


def read_record(fingerprint: str, raw: Mapping[str, Any]) -> Record:
    """Return the record that the ledger file has as `raw`."""
    error = raw["error"] or {}
    return Record(
        fingerprint=fingerprint,
        state=raw["state"],
        inputs=MappingProxyType(raw["inputs"]),
        outcome=_outcome(raw["outcome"]),
        attempts=raw["attempts"],
        saved=dict(raw["saved"]),
        superseded=tuple(filter(None, map(_outcome, raw.get("superseded", ())))),
        started=raw["started"],
        finished=raw["finished"],
        error=error.get("message"),
        hint=error.get("hint"),
    )


def _outcome(raw: Mapping[str, Any] | None) -> Outcome | None:
    return (
        None if raw is None else Outcome(cast("Word", raw["word"]), raw["facts"], raw["identity"])
    )


def raw_outcome(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome as the ledger file has it."""
    identity = None if outcome.identity is None else plain(outcome.identity)
    return {"word": outcome.word, "facts": plain(outcome.facts), "identity": identity}


def plain(facts: Facts) -> dict[str, Any]:
    """Return a copy as JSON has it, or raise before anything is changed by what JSON has not."""
    return cast("dict[str, Any]", json.loads(json.dumps(dict(facts), allow_nan=False)))
