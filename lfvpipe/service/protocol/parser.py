"""Turns a request into the operation's parameters, by each member's location."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from botocore.model import OperationModel, Shape, StructureShape

from lfvpipe.service.protocol.faults import Fault, invalid

Query = Mapping[str, list[str]]


def parse(
    operation: OperationModel,
    labels: Mapping[str, str],
    query: str,
    headers: Mapping[str, str],
    body: bytes,
) -> dict[str, Any]:
    """Return the parameters that the request gives, by member name.

    Args:
        operation: The operation that the request was routed to.
        labels: The path's decoded labels.
        query: The raw query string.
        headers: The headers, by lower-case name.
        body: The whole body.

    Raises:
        Fault: A value has the wrong type, or the body is no JSON object.
    """
    shape = operation.input_shape
    if not isinstance(shape, StructureShape):
        return {}
    queries = _queries(query)
    payload = _payload(shape, body)
    found = {
        name: _member(name, member, shape, labels, queries, headers, payload)
        for name, member in shape.members.items()
    }
    return {name: value for name, value in found.items() if value is not None}


def _queries(query: str) -> Query:
    values: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        values.setdefault(name, []).append(value)
    return values


def _payload(shape: StructureShape, body: bytes) -> Any:
    if shape.serialization.get("payload"):
        return body
    if not body.strip():
        return {}
    try:
        parsed = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Fault("SerializationException", f"the request body is no JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise Fault("SerializationException", "the request body must be a JSON object")
    return parsed


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _member(
    name: str,
    member: Shape,
    shape: StructureShape,
    labels: Mapping[str, str],
    queries: Query,
    headers: Mapping[str, str],
    payload: Any,
) -> Any:
    wire = str(member.serialization.get("name", name))
    location = member.serialization.get("location")
    if location == "uri":
        return _text(name, member, labels.get(wire))
    if location == "querystring":
        return _query(name, member, queries.get(wire))
    if location == "header":
        return _text(name, member, headers.get(wire.lower()))
    if shape.serialization.get("payload") == name:
        return payload
    return None if payload_is_raw(shape) else _json(name, member, payload.get(wire))


def payload_is_raw(shape: StructureShape) -> bool:
    """Say whether the body is one member as it is, not JSON."""
    return bool(shape.serialization.get("payload"))


def _query(name: str, member: Shape, values: list[str] | None) -> Any:
    if values is None:
        return None
    if member.type_name == "list":
        return values
    return _text(name, member, values[-1])


def _text(name: str, member: Shape, text: str | None) -> Any:
    """Read a value that came as text, in the path, the query or a header."""
    if text is None:
        return None
    read = _FROM_TEXT.get(member.type_name)
    return text if read is None else _or_fault(name, member, read, text)


def _or_fault(name: str, member: Shape, read: Callable[[Any], Any], value: Any) -> Any:
    try:
        return read(value)
    except (ValueError, TypeError, OverflowError, OSError, binascii.Error) as error:
        shown = str(value)[:100]
        raise invalid(f"{name} must be of type {member.type_name}, not {shown!r}") from error


def _boolean(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(text)
    return text == "true"


def _timestamp(value: str | float) -> datetime:
    if isinstance(value, (int, float)):
        return datetime.fromtimestamp(value, UTC)
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_FROM_TEXT: Mapping[str, Callable[[Any], Any]] = {
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "boolean": _boolean,
    "timestamp": _timestamp,
}


def _json(name: str, shape: Any, value: Any) -> Any:
    """Read a value that came as JSON; null stands for absent."""
    if value is None:
        return None
    if shape.type_name == "structure":
        return _structure(name, shape, value)
    if shape.type_name == "list":
        return _list(name, shape, value)
    if type(value) not in _JSON_TYPES[shape.type_name]:
        raise invalid(f"{name} must be of type {shape.type_name}")
    read = {"blob": _blob, "timestamp": _timestamp}.get(shape.type_name)
    return value if read is None else _or_fault(name, shape, read, value)


def _structure(name: str, shape: Any, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(f"{name} must be an object")
    members = (
        (key, _json(key, member, value.get(member.serialization.get("name", key))))
        for key, member in shape.members.items()
    )
    return {key: found for key, found in members if found is not None}


def _list(name: str, shape: Any, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise invalid(f"{name} must be a list")
    if None in value:  # which is absent only where there is a name for what is
        raise invalid(f"{name}.{value.index(None) + 1} must be of type {shape.member.type_name}")
    return [_json(f"{name}.{i}", shape.member, item) for i, item in enumerate(value, 1)]


def _blob(value: str) -> bytes:
    return base64.b64decode(value, validate=True)


_JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "blob": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "boolean": (bool,),
    "timestamp": (int, float, str),
}
