"""Holds parameters against the service model: required, min, max, pattern, enum.

botocore checks only required members, types and minima before it sends a request.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from botocore.model import Shape

from lfvpipe.service.protocol.faults import invalid

_MEASURED_BY_LENGTH = frozenset({"string", "blob", "list"})
_FOLDED = {"L": "a", "N": "0", "Z": " "}  # an ASCII stand-in for each Unicode category


Kind = Literal["null", "least", "most", "pattern", "enum"]


@dataclass(frozen=True)
class Problem:
    """A constraint that a value does not meet.

    Attributes:
        path: Where the value is, from the parameters on, as the API spells it.
        value: What was given; None for nothing.
        kind: Which constraint.
        shape: The model's, which has the constraint.
    """

    path: str
    value: Any
    kind: Kind
    shape: Shape

    def __str__(self) -> str:
        shown = "null" if self.value is None else f"'{_shown(self.value)}'"
        where = f"Value {shown} at '{self.path}' failed to satisfy constraint"
        return f"{where}: Member must {self._rule}"

    @property
    def _rule(self) -> str:
        told = self.shape.metadata
        measured = "length" if self.shape.type_name in _MEASURED_BY_LENGTH else "value"
        match self.kind:
            case "null":
                return "not be null"
            case "least":
                return f"have {measured} greater than or equal to {told['min']}"
            case "most":
                return f"have {measured} less than or equal to {told['max']}"
            case "pattern":
                return f"satisfy regular expression pattern: {told['pattern']}"
            case "enum":
                return f"satisfy enum value set: [{', '.join(told['enum'])}]"


def find_problems(shape: Shape | None, parameters: Mapping[str, Any]) -> list[Problem]:
    """Return every constraint of the structure `shape` that `parameters` do not meet."""
    return [] if shape is None else list(_structure(shape, parameters, ""))


def validate(shape: Shape | None, parameters: Mapping[str, Any]) -> None:
    """Check `parameters` against the structure `shape`.

    Raises:
        Fault: ValidationException, naming every constraint that is not met.
    """
    problems = find_problems(shape, parameters)
    if problems:
        plural = "" if len(problems) == 1 else "s"
        told = "; ".join(map(str, problems[:20]))
        raise invalid(f"{len(problems)} validation error{plural} detected: {told}")


def _structure(shape: Any, value: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for name in shape.required_members:
        if name not in value:
            yield Problem(_below(path, name), None, "null", shape.members[name])
    for name, member in shape.members.items():
        if name in value:
            yield from _value(member, value[name], _below(path, name))


def _value(shape: Any, value: Any, path: str) -> Iterator[Problem]:
    if shape.type_name == "structure":
        yield from _structure(shape, value, path)
    elif shape.type_name == "list":
        yield from _bounds(shape, value, len(value), path)
        for index, item in enumerate(value):
            yield from _value(shape.member, item, f"{path}.{index + 1}.member")
    elif shape.type_name in {"string", "blob"}:
        yield from _bounds(shape, value, len(value), path)
        if isinstance(value, str):
            yield from _text(shape, value, path)
    elif shape.type_name in {"integer", "long", "float", "double"}:
        yield from _bounds(shape, value, value, path)


def _bounds(shape: Shape, value: Any, size: float, path: str) -> Iterator[Problem]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield Problem(path, value, "least", shape)
    if most is not None and size > most:
        yield Problem(path, value, "most", shape)


def _text(shape: Shape, value: str, path: str) -> Iterator[Problem]:
    pattern: str | None = shape.metadata.get("pattern")
    if pattern is not None and not _matches(pattern, value):
        yield Problem(path, value, "pattern", shape)
    allowed: Sequence[str] = shape.metadata.get("enum", ())
    if allowed and value not in allowed:
        yield Problem(path, value, "enum", shape)


def _matches(pattern: str, value: str) -> bool:
    if r"\p{" in pattern:
        return _compiled(pattern).fullmatch("".join(map(_fold, value))) is not None
    return _compiled(pattern).fullmatch(value) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    for category, stand_in in {"L": "a-zA-Z", "N": "0-9", "Z": " "}.items():
        pattern = pattern.replace(rf"\p{{{category}}}", stand_in)
    return re.compile(pattern, re.ASCII)


def _fold(character: str) -> str:
    """Return an ASCII character of the same Unicode category, for a pattern that names one."""
    if character.isascii():
        return character
    return _FOLDED.get(unicodedata.category(character)[0], "\0")


def _shown(value: Any) -> str:
    text = f"{len(value)} bytes" if isinstance(value, bytes) else str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _below(path: str, name: str) -> str:
    lowered = name[:1].lower() + name[1:]
    return f"{path}.{lowered}" if path else lowered
