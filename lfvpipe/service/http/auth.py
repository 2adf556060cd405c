"""Who may ask: AWS Signature Version 4, or whoever is on this machine.

The signature is recomputed with botocore's own signer over the request as it arrived
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html). It
stands in the Authorization header, or in the query of an address that was signed beforehand.

Repeats: as at AWS, a signature is good for 15 minutes on either side of its time, and a request
may come more than once meanwhile. Refusing repeats would break clients: two equal reads within a
second, or a retry, have equal signatures. What a repeat can do is bounded instead: every
``x-amz-*`` header and the client token have to be signed, so a repeated change meets its own
idempotency token, which is kept for hours, and gets the first answer. Who signs an address
beforehand says how long it is good, a week at most.
"""

import hmac
import ipaddress
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote, unquote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from lfvpipe.lookout.model_data import SERVICE
from lfvpipe.service.http.credentials import AccessKey
from lfvpipe.service.http.head import Head
from lfvpipe.service.protocol.faults import Fault
from lfvpipe.service.roles import Actor

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW = timedelta(minutes=15)
MAX_EXPIRY = timedelta(days=7)
_TIME = "%Y%m%dT%H%M%SZ"
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+))(?::[0-9]{0,5})?")
_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_UNSIGNED = "UNSIGNED-PAYLOAD"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MARK = "X-Amz-"
_TOKEN = "x-amzn-client-token"  # noqa: S105  (a header's name)


@dataclass(frozen=True)
class Admission:
    """A request that may go on to send its body.

    Attributes:
        actor: Who it claims to be from; without authentication, the folder's owner.
        check: Takes the body; raises Fault unless the signature is right.
    """

    actor: Actor
    check: Callable[[bytes], None]


class Authenticator(Protocol):
    """Decides which requests are let in."""

    def admit(self, head: Head) -> Admission:
        """Look at a request before its body is read; raises Fault."""


class NoAuth:
    """Lets in everybody on this machine, but no web page that a browser here has open.

    Args:
        origins: The origins of pages that may ask all the same.
    """

    def __init__(self, origins: Collection[str] = ()) -> None:
        self._origins = frozenset(origins)

    def admit(self, head: Head) -> Admission:
        """Admit requests that were made for a loopback address, and by no browser."""
        name = host_of(head.header("host") or "")
        origin = head.header("origin")
        if not is_loopback(name) or (origin is not None and origin not in self._origins):
            raise Fault(
                "AccessDeniedException",
                "without authentication, only programs on this machine are served, at a loopback"
                " address; a browser's pages are not",
            )
        return Admission(Actor(), lambda _body: None)


def host_of(header: str) -> str:
    """Return the name or the address that a Host header names; "" where it is anything else."""
    found = _HOST.fullmatch(header)
    return (found[1] or found[2]) if found else ""


def is_loopback(host: str) -> bool:
    """Say whether `host`, a name or an address, is this machine and nothing else."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class SigV4:
    """Lets in requests signed with one of `keys`, for any region.

    Args:
        keys: Secrets, session tokens and roles by access key id.
        now: Returns the time, aware.
    """

    def __init__(
        self,
        keys: Mapping[str, AccessKey],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._keys = dict(keys)
        self._now = now

    def admit(self, head: Head) -> Admission:
        """Check all of a signature but its value."""
        authorization = _read_authorization(head)
        key = self._keys.get(authorization.access_key)
        if key is None or not hmac.compare_digest(key.token.encode(), authorization.token.encode()):
            message = "The security token included in the request is invalid."
            raise Fault("UnrecognizedClientException", message, status=403)
        self._check_time(authorization)
        return Admission(
            Actor(authorization.access_key, key.role),
            lambda body: _check_signature(authorization, key.secret, head, body),
        )

    def _check_time(self, authorization: "_Authorization") -> None:
        now, time = self._now(), authorization.time
        said, here = time.strftime(_TIME), now.strftime(_TIME)
        if authorization.expires is not None and now > time + authorization.expires:
            until = (time + authorization.expires).strftime(_TIME)
            raise _invalid(f"Signature expired: the address was good until {until}, it is {here}")
        if authorization.expires is None and time < now - MAX_SKEW:
            least = (now - MAX_SKEW).strftime(_TIME)
            message = f"Signature expired: {said} is now earlier than {least} ({here} - 15 min.)"
            raise _invalid(message)
        if time > now + MAX_SKEW:
            most = (now + MAX_SKEW).strftime(_TIME)
            message = f"Signature not yet current: {said} is still later than {most}"
            raise _invalid(f"{message} ({here} + 15 min.)")


@dataclass(frozen=True)
class _Authorization:
    """What the Authorization header says, or the query of an address signed beforehand.

    Attributes:
        token: The session token that it was signed with; "" for none.
        expires: How long an address signed beforehand is good; None for a header.
    """

    access_key: str
    region: str
    time: datetime
    signed: tuple[str, ...]
    signature: str
    token: str = ""
    expires: timedelta | None = None


def _query(head: Head) -> dict[str, str]:
    return dict(parse_qsl(head.query, keep_blank_values=True)) if _MARK in head.query else {}


def _read_presigned(head: Head, query: Mapping[str, str]) -> _Authorization:
    """Read what stands in the query of an address that was signed beforehand."""
    if query["X-Amz-Algorithm"] != ALGORITHM:
        raise _incomplete(f"X-Amz-Algorithm must be {ALGORITHM}")
    names = ("Credential", "Date", "Expires", "SignedHeaders", "Signature")
    missing = [name for name in names if f"X-Amz-{name}" not in query]
    if missing:
        raise _incomplete(f"the query must have X-Amz-{missing[0]}")
    access_key, date, region = _scope(query["X-Amz-Credential"])
    time = _signing_time(query["X-Amz-Date"], date)
    seconds = query["X-Amz-Expires"]
    most = int(MAX_EXPIRY.total_seconds())
    if not (
        seconds.isascii() and seconds.isdecimal() and len(seconds) < 9 and 1 <= int(seconds) <= most
    ):
        raise _incomplete(f"X-Amz-Expires must be 1 to {most} seconds")
    signed = tuple(query["X-Amz-SignedHeaders"].lower().split(";"))
    _check_signed(head, signed, {"host"})
    return _Authorization(
        access_key,
        region,
        time,
        signed,
        query["X-Amz-Signature"],
        query.get("X-Amz-Security-Token", ""),
        timedelta(seconds=int(seconds)),
    )


def _read_authorization(head: Head) -> _Authorization:
    said = head.header("authorization")
    if not said and "X-Amz-Algorithm" in (query := _query(head)):
        return _read_presigned(head, query)
    if not said:
        code = "MissingAuthenticationTokenException"
        raise Fault(code, "Missing Authentication Token", status=403)
    algorithm, _, rest = said.strip().partition(" ")
    if algorithm != ALGORITHM:
        raise _incomplete(f"the Authorization header must begin with {ALGORITHM}")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    missing = {"Credential", "SignedHeaders", "Signature"} - parts.keys()
    if missing:
        raise _incomplete(f"Authorization header requires {min(missing)!r} parameter.")
    access_key, date, region = _scope(parts["Credential"])
    time = _signing_time(head.header("x-amz-date"), date)
    signed = tuple(parts["SignedHeaders"].lower().split(";"))
    _check_signed(head, signed, {"host", "x-amz-date"})
    token = head.header("x-amz-security-token") or ""
    return _Authorization(access_key, region, time, signed, parts["Signature"], token)


def _scope(credential: str) -> tuple[str, str, str]:
    parts = credential.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request":
        raise _incomplete("Credential must be KEY/DATE/REGION/SERVICE/aws4_request")
    if parts[3] != SERVICE:
        raise _invalid(f"Credential should be scoped to correct service: '{SERVICE}'.")
    return parts[0], parts[1], parts[2]


def _signing_time(said: str | None, date: str) -> datetime:
    if said is None:
        raise _incomplete("the request must have an X-Amz-Date header")
    try:
        time = datetime.fromisoformat(said if _DATE.fullmatch(said) else "")
    except ValueError:
        raise _incomplete("X-Amz-Date must be in ISO 8601, as YYYYMMDDTHHMMSSZ") from None
    if not said.startswith(date) or len(date) != 8:
        raise _invalid("Date in Credential scope does not match YYYYMMDD from ISO-8601 version")
    return time


def _check_signed(head: Head, signed: tuple[str, ...], needed: set[str]) -> None:
    """See that what decides about the request is signed; AWS wants host and every x-amz-*."""
    needed = needed.union(
        name for name, _ in head.headers if name.startswith("x-amz-") or name == _TOKEN
    )
    left_out = sorted(needed - set(signed))
    if left_out:
        raise _invalid(f"'{left_out[0]}' must be a 'SignedHeader' in the AWS Authorization.")


def _check_signature(authorization: _Authorization, secret: str, head: Head, body: bytes) -> None:
    payload = _payload(head, body)
    signer = _Signer(authorization, secret, payload)
    if not hmac.compare_digest(
        signer.signature_of(head).encode(), authorization.signature.encode()
    ):
        raise _invalid(
            "The request signature we calculated does not match the signature you provided."
            " Check your AWS Secret Access Key and signing method."
        )


def _payload(head: Head, body: bytes) -> str:
    """Return what stands for the body in the signature, having held it against the body."""
    said = head.header("x-amz-content-sha256")
    if said == _UNSIGNED:
        return said
    digest = sha256(body).hexdigest()
    if said is None:
        return digest
    if not _SHA256.fullmatch(said):
        raise _invalid(f"x-amz-content-sha256 must be a SHA-256 or {_UNSIGNED}, not {said[:80]!r}")
    if said != digest:
        raise _invalid("x-amz-content-sha256 is not the SHA-256 of the request's body")
    return said


class _Signer(SigV4Auth):
    """botocore's signer, held to the headers that the client signed."""

    def __init__(self, authorization: _Authorization, secret: str, payload: str) -> None:
        super().__init__(
            Credentials(authorization.access_key, secret), SERVICE, authorization.region
        )
        self._authorization = authorization
        self._payload = payload

    def signature_of(self, head: Head) -> str:
        """Return the signature that the request ought to have."""
        request: Any = AWSRequest(head.method, _address(head))
        for name, value in head.headers:
            request.headers.add_header(name, value)
        request.context["timestamp"] = self._authorization.time.strftime(_TIME)
        canonical = self.canonical_request(request)
        return str(self.signature(self.string_to_sign(request, canonical), request))

    def headers_to_sign(self, request: Any) -> Any:
        """Return the headers that the client signed."""
        headers: Any = HTTPHeaders()
        for name, value in request.headers.items():
            if name.lower() in self._authorization.signed:
                headers[name.lower()] = value
        return headers

    def payload(self, request: Any) -> str:  # noqa: ARG002  (botocore's face)
        """Return what stands for the body."""
        return self._payload


def _address(head: Head) -> str:
    """Return the request's address in the form that is signed; its host does not matter.

    The query is decoded and encoded anew, since clients differ in what they leave bare.
    """
    pairs = (pair.partition("=") for pair in head.query.split("&") if pair)
    query = "&".join(
        f"{_encode(name)}={_encode(value)}"
        for name, _, value in pairs
        if unquote(name) != "X-Amz-Signature"  # of all the one that was added afterwards
    )
    return f"http://signed.invalid{head.path}{'?' if query else ''}{query}"


def _encode(text: str) -> str:
    return quote(unquote(text, errors="surrogateescape"), safe="-_.~", errors="surrogateescape")


def _invalid(message: str) -> Fault:
    return Fault("InvalidSignatureException", message, status=403)


def _incomplete(message: str) -> Fault:
    return Fault("IncompleteSignatureException", message, status=403)
