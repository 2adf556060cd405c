"""A configuration as nodes that know where they were written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

Part: TypeAlias = str | int
Where: TypeAlias = tuple[Part, ...]
Scalar: TypeAlias = bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was written.

    Attributes:
        file: The file as the user named it, or the ``--set`` argument.
        line: Counted from 1; 0 where there are no lines.
        column: Counted from 1; 0 where there are none.
        folder: What relative paths written here are relative to; absolute.
    """

    file: str
    line: int
    column: int
    folder: Path


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it was written.

    Attributes:
        value: A scalar, or nodes by key, or a tuple of nodes.
        place: Where the value begins.
        key: Where the key that leads to it begins; the value's own place where there is none.
        text: The source text, where the schema may decide between text and number.
    """

    value: Scalar | Mapping[str, Node] | tuple[Node, ...]
    place: Place
    key: Place
    text: str | None = None


def plain(node: Node) -> object:
    """Return the value of `node` as dictionaries, lists and scalars."""
    if isinstance(node.value, Mapping):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, tuple):
        return [plain(child) for child in node.value]
    return node.value


def without_nulls(value: object) -> object:
    """Return plain `value` without the keys that are null: they are as if left out."""
    if isinstance(value, dict):
        return {key: without_nulls(child) for key, child in value.items() if child is not None}
    return [without_nulls(child) for child in value] if isinstance(value, list) else value


def child(node: Node, part: Part) -> Node | None:
    """Return what `part`, a key or an index, leads to in `node`; None when there is nothing."""
    if isinstance(node.value, Mapping):
        return node.value.get(part) if isinstance(part, str) else None
    if isinstance(node.value, tuple) and isinstance(part, int) and part < len(node.value):
        return node.value[part]
    return None


def find(node: Node, where: Where) -> Node | None:
    """Return the node at `where`, counted from `node`; None when there is nothing."""
    found: Node | None = node
    for part in where:
        found = child(found, part) if found else None
    return found


def nearest(node: Node, where: Where) -> Node:
    """Return the node at `where`, or the last one on the way to it."""
    for part in where:
        following = child(node, part)
        if following is None:
            return node
        node = following
    return node


def walk(node: Node, where: Where = ()) -> Iterator[tuple[Where, Node]]:
    """Yield `node` and everything beneath it, each with the way to it."""
    yield where, node
    if isinstance(node.value, Mapping):
        for key, below in node.value.items():
            yield from walk(below, (*where, key))
    elif isinstance(node.value, tuple):
        for index, below in enumerate(node.value):
            yield from walk(below, (*where, index))


def merge(base: Node, over: Node) -> Node:
    """Return `over` laid over `base`: mappings key by key, anything else replaced.

    An empty mapping below the top takes away what it is laid over, as an empty value does: merged,
    it would say nothing.
    """
    if not (isinstance(base.value, Mapping) and isinstance(over.value, Mapping)):
        return over
    merged = dict(base.value)
    for key, node in over.value.items():
        merged[key] = merge(merged[key], node) if key in merged and node.value else node
    return replace(over, value=merged)


def put(node: Node, where: tuple[str, ...], value: Node) -> Node:
    """Return `node` with `value` in the place of whatever was at `where`."""
    if not where:
        return value
    below = dict(node.value) if isinstance(node.value, Mapping) else {}
    inner = below.get(where[0], Node({}, value.place, value.key))
    below[where[0]] = put(inner, where[1:], value)
    return replace(node, value=below)


def lay(where: tuple[str, ...], value: Node) -> Node:
    """Return a tree that holds nothing but `value` at `where`."""
    for key in reversed(where):
        value = Node({key: value}, value.place, value.key)
    return value
