"""Turns results and faults into responses, by the service model's shapes."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from botocore.model import OperationModel, ServiceModel

from lfvpipe.service.protocol.faults import Fault

Response = tuple[int, dict[str, str], bytes]
OWN_HEADERS = "own-headers"  # of a result: ours, which no member of the service model stands for


def serialize(operation: OperationModel, result: Mapping[str, Any], request_id: str) -> Response:
    """Return the response of a successful call; members that are None are left out.

    The result may also have `OWN_HEADERS`.
    """
    status = int(operation.http.get("responseCode", 200))
    shape = operation.output_shape
    body = {} if shape is None else _value(shape, result)
    return status, {**_headers(request_id), **result.get(OWN_HEADERS, {})}, _json(body)


def serialize_fault(model: ServiceModel, fault: Fault, request_id: str) -> Response:
    """Return the response of a failed call, with the status and members of its error shape."""
    code: Any = fault.code  # botocore's stubs take a code for a number
    shape: Any = model.shape_for_error_code(code)
    headers = {**_headers(request_id), "x-amzn-ErrorType": fault.code}
    if shape is None:
        return fault.status, headers, _json({"Message": fault.message})
    members = {"Message": fault.message, **fault.members}
    for name, member in shape.members.items():
        if member.serialization.get("location") == "header" and name in members:
            headers[str(member.serialization["name"])] = str(members[name])
    return int(shape.metadata["error"]["httpStatusCode"]), headers, _json(_value(shape, members))


def _headers(request_id: str) -> dict[str, str]:
    return {"Content-Type": "application/json", "x-amzn-RequestId": request_id}


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _value(shape: Any, value: Any) -> Any:
    if shape.type_name == "structure":
        return _structure(shape, value)
    if shape.type_name == "list":
        return [_value(shape.member, item) for item in value]
    write = _SCALARS.get(shape.type_name)
    return value if write is None else write(value)


def _structure(shape: Any, value: Mapping[str, Any]) -> dict[str, Any]:
    return {
        str(member.serialization.get("name", name)): _value(member, value[name])
        for name, member in shape.members.items()
        if value.get(name) is not None and member.serialization.get("location") is None
    }


def _timestamp(value: datetime | float) -> float:
    return round(value.timestamp() if isinstance(value, datetime) else value, 3)


def _blob(value: bytes) -> str:
    return base64.b64encode(value).decode()


_SCALARS: Mapping[str, Callable[[Any], Any]] = {"timestamp": _timestamp, "blob": _blob}
