"""The JSON Schemas, and finding one's way in the one of pipeline files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeAlias

Schema: TypeAlias = Mapping[str, Any]
Name = Literal["pipeline", "ledger", "run"]

_PACKAGE = Path(__file__).parents[1]


def schema_file(name: Name) -> Path:
    """Return the schema's file: in the installed package, or at the top of the source tree."""
    # Not importlib.resources: it takes longer to import than a whole configuration to load.
    installed = _PACKAGE / "_schemas"
    folder = installed if installed.is_dir() else _PACKAGE.parent / "schemas"
    return folder / f"{name}.schema.json"


@cache
def load_schema(name: Name) -> dict[str, Any]:
    """Return the JSON Schema `name`; shared, so not to be changed."""
    loaded: dict[str, Any] = json.loads(schema_file(name).read_bytes())
    return loaded


@cache
def schema_digest(name: Name) -> str:
    """Return the SHA-256 of the JSON Schema `name`, hexadecimal."""
    return hashlib.sha256(schema_file(name).read_bytes()).hexdigest()


def resolve(schema: Schema) -> Schema:
    """Return a part of the pipeline schema with its reference, if it has one, written out."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    target = load_schema("pipeline")["$defs"][reference.removeprefix("#/$defs/")]
    return {**target, **schema}


def at(where: Sequence[str | int]) -> Schema | None:
    """Return the pipeline schema of what stands at `where`; None when no such key is known."""
    schema: Schema | None = load_schema("pipeline")
    for index, part in enumerate(where):
        if schema is None:
            return None
        below: Schema | None
        if index == 1 and where[0] == "matrix":
            # A key of the matrix is a dotted key of the file; its values are a list of such.
            varied = at(str(part).split(".")) if not str(part).startswith("matrix") else None
            below = None if varied is None else {"type": "array", "items": varied}
        elif isinstance(part, int):
            below = schema.get("items")
        else:
            below = schema.get("properties", {}).get(part)
        schema = resolve(below) if isinstance(below, Mapping) else None
    return schema


def types(schema: Schema) -> tuple[str, ...]:
    """Return the JSON types that `schema` allows; empty when it does not say."""
    said = schema.get("type", ())
    return (said,) if isinstance(said, str) else tuple(said)


def properties(schema: Schema) -> dict[str, Schema]:
    """Return the keys of the mapping that `schema` describes, references written out."""
    return {key: resolve(value) for key, value in schema.get("properties", {}).items()}


def all_keys(
    schema: Schema | None = None, above: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """Yield every key of a pipeline file as the way to it, in the schema's order."""
    for key, value in properties(schema or load_schema("pipeline")).items():
        yield (*above, key)
        yield from all_keys(value, (*above, key)) if "properties" in value else ()


def default(dotted: str) -> Any:
    """Return the default of the key `dotted`, which the schema knows."""
    schema = at(dotted.split("."))
    if schema is None:
        raise KeyError(dotted)
    return schema["default"]
