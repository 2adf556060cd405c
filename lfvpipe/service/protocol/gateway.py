"""From an HTTP request to a response: route, parse, validate, call, serialise."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from botocore.model import OperationModel, ServiceModel

from lfvpipe import disk
from lfvpipe.service.log import service_log
from lfvpipe.service.protocol.faults import Fault
from lfvpipe.service.protocol.parser import parse
from lfvpipe.service.protocol.router import Router, split_target
from lfvpipe.service.protocol.serializer import Response, serialize, serialize_fault
from lfvpipe.service.protocol.validator import validate

Invoke = Callable[[OperationModel, dict[str, Any]], Mapping[str, Any]]


class Gateway:
    """Serves a service model over HTTP, free of any framework; safe to call from many threads.

    Args:
        model: The service model.
        invoke: Carries out an operation with validated parameters; raises Fault.
    """

    def __init__(self, model: ServiceModel, invoke: Invoke) -> None:
        self._model = model
        self._invoke = invoke
        self._router = Router(model)

    def handle(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Answer one request.

        Args:
            method: The HTTP method.
            url: The address, or the raw path with its query; percent-encoding untouched.
            headers: The request's headers, in any case.
            body: The whole body.

        Returns:
            The status, the headers and the body.
        """
        request_id = str(uuid.uuid4())
        try:
            return self._answer(method, url, headers, body, request_id)
        except Fault as fault:
            return serialize_fault(self._model, fault, request_id)
        except Exception as error:  # the boundary: a bug must not reach the wire
            return self._broken(method, url, request_id, error)

    def _answer(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, request_id: str
    ) -> Response:
        path, query = split_target(url)
        operation, labels = self._router.find(method.upper(), path)
        lowered = {name.lower(): value for name, value in headers.items()}
        parameters = parse(operation, labels, query, lowered, body)
        validate(operation.input_shape, parameters)
        return serialize(operation, self._invoke(operation, parameters), request_id)

    def _broken(self, method: str, url: str, request_id: str, error: Exception) -> Response:
        facts = {"method": method, "path": split_target(url)[0], "request_id": request_id}
        refused = disk.refusal(error, "the service's folder")
        if refused is None:
            service_log().exception("request failed", **facts)
            told = f"the service failed; its log has the details under request id {request_id}"
        else:  # the disk's matter, and no bug: a line for each request, which may be many
            service_log().error("request failed", **facts, reason=refused.message)
            told = f"the service failed: {refused}"
        fault = Fault("InternalServerException", " ".join(told.split()))
        return serialize_fault(self._model, fault, request_id)
