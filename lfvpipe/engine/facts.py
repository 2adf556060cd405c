"""What a step hands on, typed: frozen dataclasses, to and from the JSON that the ledger keeps.

A step's module declares one class for its outcome, and one for what it saves on the way if it
saves anything (ruff is told of the base class, so that the types of fields stay importable):

    @dataclass(frozen=True)
    class Uploaded(StepFacts):
        objects: int
        example: str = ""

``Outcome(word, Uploaded(60).as_json())`` writes it, ``Uploaded.from_json(outcome.facts)`` reads it
back. What other steps read is a `StepOutcome`, which knows its step: ``SelectOutcome.of(needs)``.
Fields may be text, numbers, truth values, None, other such classes, and mappings by text and
tuples of these; whatever is only passed on is `Json`.
"""

from __future__ import annotations

import sys
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from lfvpipe.engine.errors import EngineError

if TYPE_CHECKING:
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.outcome import Facts, Json, Outcome

D = TypeVar("D")  # a dataclass


# For a field that stands in the ledger only where it is known: `field(default=None,
# metadata=ABSENT_IF_NONE)`.
ABSENT_IF_NONE: Mapping[str, bool] = types.MappingProxyType({"absent_if_none": True})


class FactsError(EngineError):
    """The ledger holds something else than the step of that name writes.

    Attributes:
        step: The step, or the class of facts where it belongs to no step alone.
        fault: Which field, and what is wrong with it.
    """

    def __init__(self, step: str, fault: str) -> None:
        super().__init__(
            f"What the ledger has of {step} cannot be read: {fault}.",
            hint="The ledger may be damaged: the step can make it anew.",
        )
        self.step = step
        self.fault = fault


class _Unreadable(ValueError):
    """A field that is absent or of another type; the message says which."""


@dataclass(frozen=True)
class StepFacts:
    """The base of what steps hand on; see the module."""

    def as_json(self) -> dict[str, Json]:
        """Return the fields by name, in their order, as the ledger keeps them."""
        return {
            field.name: _as_json(value)
            for field in fields(self)
            if (value := getattr(self, field.name)) is not None
            or "absent_if_none" not in field.metadata
        }

    @classmethod
    def from_json(cls, facts: Facts) -> Self:
        """Return what `facts` say; what an older version did not write has the field's default.

        Raises:
            FactsError: A field is missing or of another type.
        """
        try:
            return _read_class(cls, facts, "")
        except _Unreadable as error:
            step = getattr(cls, "step", None) or cls.__name__
            raise FactsError(step, str(error)) from None


@dataclass(frozen=True)
class StepOutcome(StepFacts):
    """The base of the facts that a step's outcome holds.

    Attributes:
        step: The name of the step whose outcome it is.
    """

    step: ClassVar[str]

    @classmethod
    def of(cls, upstream: Mapping[str, Outcome]) -> Self:
        """Return what the step left, from the outcomes of the steps that another one needs.

        Raises:
            FactsError: See `from_json`.
        """
        return cls.from_json(upstream[cls.step].facts)

    @classmethod
    def standing(cls, ledger: Ledger, variant: str) -> Self | None:
        """Return what the step left at which `variant` stands; None where it left nothing.

        Raises:
            FactsError: See `from_json`.
        """
        record = ledger.standing_record(variant, cls.step)
        return cls.from_json(record.outcome.facts) if record and record.outcome else None


def read_as(kind: type[D], value: Json) -> D:
    """Return what a file keeps of a dataclass whose fields are of the types that facts may have.

    Raises:
        ValueError: A field is absent or of another type; the message says which.
    """
    return _read_class(kind, value, "")


def _as_json(value: Any) -> Json:
    if isinstance(value, StepFacts):
        return value.as_json()
    if isinstance(value, Mapping):
        return {str(key): _as_json(member) for key, member in value.items()}
    if isinstance(value, (tuple, list)):
        return [_as_json(member) for member in value]
    return typing.cast("Json", value)


@cache
def _kinds_of(cls: type) -> Mapping[str, Any]:
    """Return the types of a class's fields; annotations are texts until asked for."""
    return typing.get_type_hints(cls)


def _read_class(cls: type[D], facts: Json, where: str) -> D:
    if not isinstance(facts, Mapping):
        raise _Unreadable(f"{where.rstrip('.') or 'it'} is no mapping")
    given = {}
    kinds = _kinds_of(typing.cast("type", cls))
    for field in fields(cls):  # type: ignore[arg-type]  # a dataclass, as its callers see to
        if field.name in facts:
            given[field.name] = _read(kinds[field.name], facts[field.name], where + field.name)
        elif field.default is MISSING and field.default_factory is MISSING:
            raise _Unreadable(f"{where}{field.name} is not there")
    return cls(**given)


def _read(kind: Any, value: Json, where: str) -> Any:
    """Return `value` as the type `kind`; JSON knows no tuples and no dataclasses."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        members = [member for member in arguments if member is not type(None)]
        # Several types besides None are `Json`: only passed on, so nothing is asked of it.
        if len(members) > 1 or (value is None and type(None) in arguments):
            return value
        return _read(members[0], value, where)
    if isinstance(kind, type) and is_dataclass(kind):
        return _read_class(kind, value, f"{where}.")
    if origin in (tuple, Sequence) and isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_read(arguments[0], member, where) for member in value)
    if origin is Mapping and isinstance(value, Mapping):
        return {key: _read(arguments[1], member, where) for key, member in value.items()}
    if (
        kind is float and isinstance(value, (int, float)) and not isinstance(value, bool)
    ):  # JSON has one kind of number
        if not abs(value) <= sys.float_info.max:  # nor has it others than these
            raise _Unreadable(f"{where} is {value!r:.60}")
        return float(value)
    if kind is Any:
        return value
    # The very type, not `isinstance`: True is no count.
    if type(value) is kind or (origin is typing.Literal and value in arguments):
        return value
    raise _Unreadable(f"{where} is {value!r:.60}")
