"""A pipeline's configuration, flat, for people to read and compare: dotted keys, no secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from lfvpipe.config.spec import Pipeline
    from lfvpipe.engine.outcome import Json


def flattened(pipeline: Pipeline) -> dict[str, Json]:
    """Return the configuration by dotted key; addresses lose credentials and query strings."""
    hidden = {"file", "matrix", "mlflow"}  # where a run is told of changes nothing about it
    found = sorted(_walk("", pipeline))
    return {key: value for key, value in found if key.partition(".")[0] not in hidden}


def _walk(prefix: str, value: object) -> Iterator[tuple[str, Json]]:
    members = _members(value)
    if members is None:
        yield from () if value is None else ((prefix, _plain(value)),)
        return
    for name, member in members.items():
        yield from _walk(_joined(prefix, name), member)


def _members(value: object) -> dict[str, object] | None:
    """Return what is inside `value` by name; None for a scalar and for a list of scalars."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(name): member for name, member in value.items()}
    if isinstance(value, tuple) and any(is_dataclass(member) for member in value):
        return {str(number): member for number, member in enumerate(value)}
    return None


def _joined(prefix: str, name: str) -> str:
    """Return the dotted key; ``labels`` and ``shares`` are the spec's own, not in the file."""
    if name in {"labels", "shares"}:
        return prefix
    if name == "reviewed":
        name = "labels"  # as the file says it; the spec's own `labels` are the archives
    return f"{prefix}.{name}" if prefix else name


def _plain(value: object) -> Json:
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, tuple):
        return [_plain(member) for member in value]
    return without_secrets(value.as_posix() if isinstance(value, Path) else str(value))


def without_secrets(address: str) -> str:
    """Return an address without user, password, query and fragment; other text as it is."""
    if "://" not in address:
        return address
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
