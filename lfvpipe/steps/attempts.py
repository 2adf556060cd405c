"""What an attempt leaves for the next one: saved facts, and client tokens that hold over a kill."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from lfvpipe.engine.facts import StepFacts

if TYPE_CHECKING:
    from lfvpipe.engine.step import Work


@dataclass(frozen=True)
class SavedFacts(StepFacts):
    """The base of what a step saves on the way, for the next attempt should it not get done.

    Every field has a default: what nobody saved yet. Several such classes may save in one attempt,
    since each leaves alone what is not among its fields.
    """

    @classmethod
    def of(cls, work: Work) -> Self:
        """Return what this attempt and those before it saved; raises `FactsError`."""
        return cls.from_json(work.saved)

    def save(self, work: Work) -> None:
        """Write all fields to the ledger now."""
        work.save(**self.as_json())


@dataclass(frozen=True)
class AttemptSaved(SavedFacts):
    """The random part of an attempt's tokens."""

    nonce: str | None = None


def attempt_token(work: Work, *parts: str) -> str:
    """Return a client token that an attempt keeps when it is killed and no later attempt has.

    A service answers a known token with its first answer for 8 hours. The ledger's own token
    comes back after `destroy` made it forget the attempts, and would then get the answer about
    what was destroyed; so a random part is saved before the first use.
    """
    nonce = AttemptSaved.of(work).nonce
    if nonce is None:
        nonce = os.urandom(16).hex()
        AttemptSaved(nonce).save(work)
    return work.token(*parts, nonce)
