"""What a step did and what it leaves for the steps after it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
Facts: TypeAlias = Mapping[str, Json]
# `found` was there and is used as it is; `adopted` was another pipeline's and is taken over.
Word = Literal["unchanged", "found", "adopted", "created", "updated", "replaced"]


def digest(value: Json) -> str:
    """Return the SHA-256 of `value` as canonical JSON, hexadecimal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What a step did.

    Attributes:
        word: What it did to the world.
        facts: What is worth knowing afterwards; small, JSON, no secrets.
        identity: The part of the facts that later steps depend on: when it stays the same,
            they stay fresh. None stands for all facts.
    """

    word: Word
    facts: Facts
    identity: Facts | None = None

    @property
    def digest(self) -> str:
        """The digest of the identity, which enters the fingerprints of dependent steps."""
        return digest(self.facts if self.identity is None else self.identity)
