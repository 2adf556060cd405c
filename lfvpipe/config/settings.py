"""A validated configuration's values by dotted key, the schema's defaults where it is silent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lfvpipe.config import schema
from lfvpipe.config.tree import Node, Where, find, plain, without_nulls

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Settings:
    """The values of one configuration; a key that is null counts as left out."""

    tree: Node

    def explicit(self, dotted: str) -> Any:
        """Return what the configuration itself says at `dotted`, or None."""
        found = self.node(dotted)
        return None if found is None else without_nulls(plain(found))

    def get(self, dotted: str) -> Any:
        """Return what the configuration says at `dotted`, or the schema's default."""
        value = self.explicit(dotted)
        return schema.default(dotted) if value is None else value

    def node(self, dotted: str) -> Node | None:
        """Return the node at `dotted`; None where there is none."""
        return find(self.tree, way(dotted))

    def has(self, dotted: str) -> bool:
        """Return whether the configuration itself says something at `dotted`."""
        found = self.node(dotted)
        return found is not None and found.value is not None

    def matrix(self) -> Mapping[str, tuple[object, ...]]:
        """Return the matrix: dotted keys to their values."""
        found = plain(node) if (node := self.node("matrix")) else None
        given = found if isinstance(found, dict) else {}
        return {key: tuple(values) for key, values in given.items() if values is not None}


def way(dotted: str) -> Where:
    """Return the parts of a dotted key."""
    return tuple(dotted.split("."))
