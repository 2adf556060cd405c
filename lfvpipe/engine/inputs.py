"""What a step depends on besides the steps that it needs: typed, and flat as the ledger has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lfvpipe.engine.outcome import Facts, Json


@dataclass(frozen=True)
class Setting:
    """A key of the configuration, dotted as the user writes it, and its value.

    Attributes:
        key: The key.
        value: Its value, or what matters of it to the step.
        recorded_as: What ledgers know the key by where that is something else, since it enters
            fingerprints and so cannot change with the spelling.
    """

    key: str
    value: Json
    recorded_as: str = ""

    @property
    def ledger_key(self) -> str:
        """The key itself; the colon is what the ledger tells other kinds of input by."""
        key = self.recorded_as or self.key
        if ":" in key or key == "version":
            raise ValueError(f"{key!r} is no key of the configuration")
        return key


@dataclass(frozen=True)
class InputFile:
    """A file or folder on this machine, and the digest of what it holds; None if it is gone."""

    name: str
    digest: str | None

    @property
    def ledger_key(self) -> str:
        """``file:`` and the name."""
        return f"file:{self.name}"

    @property
    def value(self) -> Json:
        """The digest."""
        return self.digest


@dataclass(frozen=True)
class CodeVersion:
    """The version of code that shapes an outcome and may be shared by several steps.

    Attributes:
        name: What the code does.
        version: Grows when the same input would give another outcome.
        unrecorded: The version that a ledger without an entry was made with. While `version` is
            still that one nothing is written, so fingerprints from before it was recorded hold.
    """

    name: str
    version: int
    unrecorded: int | None = None

    @property
    def ledger_key(self) -> str:
        """``code:`` and the name."""
        return f"code:{self.name}"

    @property
    def value(self) -> Json:
        """The version."""
        return self.version


Input: TypeAlias = Setting | InputFile | CodeVersion


def settings(values: Facts) -> list[Setting]:
    """Return a setting for each entry of `values`."""
    return [Setting(key, value) for key, value in values.items()]


def flatten(inputs: Iterable[Input]) -> Facts:
    """Return the inputs by their ledger keys, in their order.

    Raises:
        ValueError: Two inputs have the same key, or a setting's key is reserved: a bug in a step.
    """
    flat: dict[str, Json] = {}
    for each in inputs:
        if isinstance(each, CodeVersion) and each.version == each.unrecorded:
            continue
        if each.ledger_key in flat:
            raise ValueError(f"{each.ledger_key} is among the inputs twice")
        flat[each.ledger_key] = each.value
    return flat


def written_keys(inputs: Iterable[Input]) -> dict[str, str]:
    """Return, by the ledger's key of a setting, the user's own where it is another."""
    return {
        each.ledger_key: each.key
        for each in inputs
        if isinstance(each, Setting) and each.ledger_key != each.key
    }
