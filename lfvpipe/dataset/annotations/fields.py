"""Hostile JSON and XML, read with the place of each value: what is wrong is named where it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from lfvpipe.dataset.annotations.regions import AnnotationError

if TYPE_CHECKING:
    from collections.abc import Iterator

_AGAIN = "Export the annotations again."
_LARGEST = 1e9  # of coordinates: far beyond any image, and safe to compute with


@dataclass(frozen=True)
class Node:
    """A value in the JSON file `file`, and where it stands in there: ``images[3].width``."""

    value: Any
    file: str
    path: str = ""

    @property
    def where(self) -> str:
        """File and path, for messages."""
        return f"{self.file}: {self.path}" if self.path else self.file

    def has(self, key: str) -> bool:
        """Tell whether this is a mapping with something under `key`."""
        return isinstance(self.value, dict) and self.value.get(key) is not None

    def at(self, key: str) -> Node:
        """Return what stands under `key`; raises AnnotationError where there is nothing."""
        if not self.has(key):
            raise AnnotationError(f"{self.where}: has no {key}.", hint=_AGAIN)
        return Node(self.value[key], self.file, f"{self.path}.{key}" if self.path else key)

    def items(self, key: str = "") -> Iterator[Node]:
        """Yield the members of the list under `key`, or of this list."""
        node = self.at(key) if key else self
        if not isinstance(node.value, list):
            raise AnnotationError(f"{node.where}: is not a list.", hint=_AGAIN)
        for number, value in enumerate(node.value):
            yield Node(value, self.file, f"{node.path}[{number}]")

    def text(self, key: str = "") -> str:
        """Return the text under `key`, or this text."""
        node = self.at(key) if key else self
        if not isinstance(node.value, str):
            raise AnnotationError(f"{node.where}: is not a text.", hint=_AGAIN)
        return node.value

    def number(self, key: str = "") -> float:
        """Return the number under `key`, or this number; finite and within reason."""
        node = self.at(key) if key else self
        return check_number(node.value, node.where)

    def integer(self, key: str) -> int:
        """Return the whole number under `key`."""
        number = self.number(key)
        if number != int(number):
            raise AnnotationError(f"{self.at(key).where}: is not a whole number.", hint=_AGAIN)
        return int(number)

    def identifier(self, key: str) -> str:
        """Return what tells one thing from another under `key`: a text, or a whole number."""
        node = self.at(key)
        return node.value if isinstance(node.value, str) else str(self.integer(key))

    def numbers(self, key: str = "", count: int | None = None) -> list[float]:
        """Return the numbers in the list under `key`, or in this list: `count` of them."""
        found = [member.number() for member in self.items(key)]
        if count is not None and len(found) != count:
            where = self.at(key).where if key else self.where
            raise AnnotationError(f"{where}: has {len(found)} numbers, not {count}.", hint=_AGAIN)
        return found


def parse_json(name: str, data: bytes) -> Node:
    """Return the JSON document `data`, which messages call `name`.

    Raises:
        AnnotationError: It is none.
    """
    try:
        return Node(json.loads(data), name)
    except (ValueError, RecursionError) as error:
        where = name
        if isinstance(error, json.JSONDecodeError):
            where = f"{name}:{error.lineno}:{error.colno}"
        elif isinstance(error, UnicodeDecodeError):
            where = f"{name}:{data[: error.start].count(10) + 1}"
        raise AnnotationError(f"{where}: this is not JSON.", hint=_AGAIN) from error


def parse_xml(name: str, data: bytes) -> ElementTree.Element:
    """Return the root of the XML document `data`, which messages call `name`.

    Raises:
        AnnotationError: It is none, or declares a document type: no annotation tool writes one,
            and entities in it could be made to fill the memory.
    """
    plain = data.replace(b"\0", b"")  # in UTF-16, too
    if b"<!DOCTYPE" in plain or b"<!ENTITY" in plain:
        raise AnnotationError(f"{name}: has a document type, which annotations have not.")
    try:
        return ElementTree.fromstring(data)  # noqa: S314  (no document type, so no entities)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        line, column = getattr(error, "position", (1, 0))
        raise AnnotationError(
            f"{name}:{line}:{column + 1}: this is not XML ({error}).", hint=_AGAIN
        ) from error


def parse_number(text: str | None, where: str) -> float:
    """Return the number that an XML attribute or element holds.

    Raises:
        AnnotationError: It holds none, or one beyond reason.
    """
    try:
        value: object = float(text or "")
    except ValueError:
        value = text
    return check_number(value, where)


def check_number(value: object, where: str) -> float:
    """Return `value` if it is a number that coordinates may be.

    Raises:
        AnnotationError: It is something else.
    """
    # NaN is in no interval, so it is refused, too.
    if (
        isinstance(value, (int, float))
        and type(value) is not bool
        and -_LARGEST <= value <= _LARGEST
    ):
        return float(value)
    raise AnnotationError(f"{where}: {value!r:.40} is not a number of pixels.", hint=_AGAIN)
