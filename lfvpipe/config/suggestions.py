"""What the user may have meant by a key or a word that is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.config import schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def unknown(where: Sequence[str | int]) -> tuple[str, str]:
    """Return a message and a hint for the way `where`, a part of which the schema does not know."""
    if len(where) > 1 and where[0] == "matrix":
        where = str(where[1]).split(".")
    depth = next(depth for depth in range(1, len(where) + 1) if schema.at(where[:depth]) is None)
    key, above = str(where[depth - 1]), where[: depth - 1]
    section = ".".join(map(str, above))
    place = f" in {section}" if section else ""
    return f'unknown key "{key}"{place}', _hint(key, above)


def _hint(key: str, above: Sequence[str | int]) -> str:
    """Suggest a near miss here, then the same word elsewhere, and only then a far miss here."""
    siblings = tuple(schema.properties(schema.at(above) or {}))
    near = close(key, siblings, 0.75)
    elsewhere = [".".join(where) for where in schema.all_keys() if where[-1] == key][:4]
    if near:
        return f"Did you mean {alternatives(near)}?"
    if elsewhere:
        return f"It belongs elsewhere: {alternatives(elsewhere)}."
    near = close(key, siblings, 0.55)
    if near:
        return f"Did you mean {alternatives(near)}?"
    return f"Known here: {alternatives(siblings)}." if siblings else "There are no keys here."


def close(word: str, known: Iterable[str], cutoff: float = 0.6) -> tuple[str, ...]:
    """Return the words of `known` that `word` may be a misspelling of, the nearest first."""
    from difflib import get_close_matches

    lower = {name.lower(): name for name in known}
    return tuple(lower[near] for near in get_close_matches(word.lower(), lower, 2, cutoff))


def alternatives(names: Iterable[str]) -> str:
    """Return `names` quoted, as a sentence lists them."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"
