"""Holds parameters against the service model: required, min, max, pattern, enum.

botocore checks only required members, types and minima before it sends a request.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from botocore.model import Shape

from lfvpipe.service.protocol.faults import invalid

_FOLDED = {"L": "a", "N": "0", "Z": " "}  # an ASCII stand-in for each Unicode category


def validate(shape: Shape | None, parameters: Mapping[str, Any]) -> None:
    """Check `parameters` against the structure `shape`.

    Raises:
        Fault: ValidationException, naming every constraint that is not met.
    """
    problems = [] if shape is None else list(_structure(shape, parameters, ""))
    if problems:
        plural = "" if len(problems) == 1 else "s"
        raise invalid(
            f"{len(problems)} validation error{plural} detected: {'; '.join(problems[:20])}"
        )


def _structure(shape: Any, value: Mapping[str, Any], path: str) -> Iterator[str]:
    for name in shape.required_members:
        if name not in value:
            yield _problem(None, _below(path, name), "Member must not be null")
    for name, member in shape.members.items():
        if name in value:
            yield from _value(member, value[name], _below(path, name))


def _value(shape: Any, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure":
        yield from _structure(shape, value, path)
    elif shape.type_name == "list":
        yield from _bounds(shape, value, len(value), "length", path)
        for index, item in enumerate(value):
            yield from _value(shape.member, item, f"{path}.{index + 1}.member")
    elif shape.type_name in {"string", "blob"}:
        yield from _bounds(shape, value, len(value), "length", path)
        yield from _text(shape, value, path)
    elif shape.type_name in {"integer", "long", "float", "double"}:
        yield from _bounds(shape, value, value, "value", path)


def _bounds(shape: Shape, value: Any, size: float, what: str, path: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        rule = f"Member must have {what} greater than or equal to {least}"
        yield _problem(value, path, rule)
    if most is not None and size > most:
        yield _problem(value, path, f"Member must have {what} less than or equal to {most}")


def _text(shape: Shape, value: str | bytes, path: str) -> Iterator[str]:
    if not isinstance(value, str):
        return
    pattern: str | None = shape.metadata.get("pattern")
    if pattern is not None and not _matches(pattern, value):
        rule = f"Member must satisfy regular expression pattern: {pattern}"
        yield _problem(value, path, rule)
    allowed: Sequence[str] = shape.metadata.get("enum", ())
    if allowed and value not in allowed:
        yield _problem(value, path, f"Member must satisfy enum value set: [{', '.join(allowed)}]")


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


def _problem(value: Any, path: str, rule: str) -> str:
    shown = "null" if value is None else f"'{_shown(value)}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {rule}"


def _shown(value: Any) -> str:
    text = f"{len(value)} bytes" if isinstance(value, bytes) else str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _below(path: str, name: str) -> str:
    lowered = name[:1].lower() + name[1:]
    return f"{path}.{lowered}" if path else lowered
