"""How a boto3 client calls: time-outs on silence, attempts by `lfvpipe.patience`, foreign answers.

botocore's own attempts end after a fixed number, within seconds, and heed no Retry-After. Its
events let others decide: what is registered here does so for all operations of a client.
"""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ProxyConnectionError,
    ReadTimeoutError,
    ResponseStreamingError,
    SSLError,
)

from lfvpipe.patience import Attempts, Trouble, seconds_asked_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from botocore.awsrequest import AWSPreparedRequest, AWSResponse
    from botocore.model import OperationModel

CONNECT_SECONDS = 10.0
SILENT_SECONDS = 60.0
"""After which a server that sends nothing is given up."""

_BUSY_STATUSES = frozenset({429, 500, 502, 503, 504})
# Some stores say them with a 400 or 403. From botocore's retries, "throttled" and "transient".
_BUSY_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "InternalError",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_AWAY = (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError)
_BROKEN = (ConnectionClosedError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError)
_ATTEMPTS = "lfvpipe_attempts"
_WHOLE = 64 * 1024  # bytes that a socket takes at once


class ForeignAnswer(BotoCoreError):
    """Something answered, with success, that is not the service."""

    fmt = "{said}"


@dataclass(frozen=True)
class Foreign:
    """Why an answer is not the service's, as part of a sentence, and what trouble that is."""

    trouble: Trouble
    said: str


def config(**more: Any) -> Config:
    """Return the settings of a client that `call_patiently` is for."""
    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=SILENT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 1},  # the attempts are ours
        **more,
    )


def call_patiently(
    client: Any, *, most: int | None = None, proof: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Have all calls of `client` tried again while that may help, and foreign answers refused.

    Args:
        client: A boto3 client with the settings of `config`.
        most: How many attempts there may be at most, whatever the patience; None for any number.
        proof: Members by operation: an answer without its member is not the service's.
    """
    _Calls(client.meta.endpoint_url, most, proof).listen(client)


@dataclass(frozen=True)
class _Calls:
    """What listens to a client's events; see `call_patiently`."""

    where: str
    most: int | None
    proof: Mapping[str, str]

    def listen(self, client: Any) -> None:
        service = client.meta.service_model.service_id.hyphenize()
        for event, listener in (
            ("before-call", self.begin),
            ("before-send", send_in_pieces),
            ("before-parse", _empty_what_cannot_be_parsed),
            ("needs-retry", self.decide),
            ("after-call", self.refuse_foreign),
        ):
            client.meta.events.register(f"{event}.{service}", listener)

    def begin(self, model: OperationModel, context: dict[str, Any], **_: object) -> None:
        """Begin to count the attempts of a call."""
        context[_ATTEMPTS] = Attempts(f"{self.where} ({model.name})", self.most)

    def decide(
        self,
        response: tuple[AWSResponse, dict[str, Any]] | None,
        caught_exception: Exception | None,
        request_dict: dict[str, Any],
        operation: OperationModel,
        **_: object,
    ) -> float | None:
        """Wait until the next attempt and return 0, or return None where there is none."""
        attempts: Attempts = request_dict["context"][_ATTEMPTS]
        if response is None:
            trouble, asked = trouble_of(caught_exception), 0.0
            why = reason_of(caught_exception) if caught_exception else ""
        else:
            http, parsed = response
            code = str(parsed.get("Error", {}).get("Code", ""))
            foreign = foreign_answer(http, parsed, operation, self.proof)
            is_busy = http.status_code in _BUSY_STATUSES or code in _BUSY_CODES
            trouble = Trouble.BUSY if is_busy else None
            why = f"it answers {http.status_code}" + (f" ({code})" if code else "")
            if foreign is not None:
                trouble, why = foreign.trouble, foreign.said
            asked = seconds_asked_for(http.headers.get("Retry-After"))
        if trouble is None:
            return None
        return 0.0 if attempts.pause(trouble, why, asked) else None

    def refuse_foreign(
        self, http_response: AWSResponse, parsed: dict[str, Any], model: OperationModel, **_: object
    ) -> None:
        """Raise `ForeignAnswer` for an answer that is not the service's."""
        if foreign := foreign_answer(http_response, parsed, model, self.proof):
            raise ForeignAnswer(said=foreign.said)


def send_in_pieces(request: AWSPreparedRequest, **_: object) -> None:
    """Make a large body one that is sent piece by piece.

    A socket's time-out is for one call of its `sendall`: given the whole body, it would be for all
    of it, however steadily the bytes flow.
    """
    body: Any = request.body
    if isinstance(body, (bytes, bytearray)) and len(body) > _WHOLE:
        request.body = BytesIO(body)


def _empty_what_cannot_be_parsed(
    response_dict: dict[str, Any], operation_model: OperationModel, **_: object
) -> None:
    """Keep botocore's parsers from raising what no attempt follows; `foreign_answer` refuses it."""
    body = response_dict["body"]
    protocol = operation_model.service_model.protocol
    if isinstance(body, bytes) and body and not _is_of(protocol, body):
        response_dict["body"] = b"" if protocol == "rest-xml" else b"{}"


def _is_of(protocol: str, body: bytes) -> bool:
    try:
        if protocol == "rest-xml":
            return not ElementTree.fromstring(body).tag.lower().endswith("html")  # noqa: S314  (as botocore does)
        return isinstance(json.loads(body), dict)
    except (ValueError, ElementTree.ParseError):
        return False


def trouble_of(error: Exception | None) -> Trouble | None:
    """Return what kind of trouble an error of botocore's transport is; None where it stays so."""
    if error is None or isinstance(error, SSLError):
        return None
    if isinstance(error, _AWAY):
        return Trouble.AWAY
    if isinstance(error, (*_BROKEN, HTTPClientError)):
        return Trouble.BROKEN
    return None


def reason_of(error: Exception) -> str:
    """Return what an error of botocore's transport says, in one line, without its last full stop.

    Where a name could not be resolved, that: botocore says only that it could not connect.
    """
    cause: Any = getattr(error, "kwargs", {}).get("error")
    if isinstance(cause, socket.gaierror) or isinstance(
        getattr(cause, "__cause__", None), socket.gaierror
    ):
        host = urlsplit(str(getattr(error, "kwargs", {}).get("endpoint_url", ""))).hostname
        return f"no host is called {host}, or names are not resolved at the moment"
    return str(error).strip().partition("\n")[0][:300].rstrip(".")


def foreign_answer(
    http: AWSResponse, parsed: dict[str, Any], model: OperationModel, proof: Mapping[str, str]
) -> Foreign | None:
    """Return what is wrong with an answer that says success but is not the service's, if it is not.

    The log-in page of a network and the error page of a proxy come with the status 200; a body that
    was cut short by a proxy comes with a length that fits.
    """
    if http.status_code >= 300:
        return None
    protocol, wanted = model.service_model.protocol, proof.get(model.name)
    kind = str(http.headers.get("Content-Type", "")).partition(";")[0].strip().lower()
    body = b"" if model.has_streaming_output else http.content
    shape: Any = model.output_shape
    length = str(http.headers.get("Content-Length") or "")
    if wanted:
        is_ours = wanted in parsed
    elif body and not _is_of(protocol, body):
        is_ours = False
    elif kind == "text/html" and not body and length not in ("", "0"):
        is_ours = False  # the head of a page
    else:  # what S3 answers may be empty; our own API has nothing that is
        members = set(shape.members) if shape is not None and protocol == "rest-json" else set()
        is_ours = not members or not members.isdisjoint(parsed)
    if is_ours:
        return None
    if length.isdigit() and len(body) < int(length) and not model.has_streaming_output:
        return Foreign(Trouble.BROKEN, f"the answer ends after {len(body)} of {length} bytes")
    text = " ".join(body[:80].decode("utf-8", "replace").split())
    is_page = "html" in kind or "<html" in text.lower() or "<!doctype" in text.lower()
    said = f"the answer is {'a web page' if is_page else 'something'} that does not come from it"
    trouble = Trouble.AWAY if is_page else Trouble.BROKEN
    return Foreign(trouble, said + (f" (“{text}”)" if text else ""))
