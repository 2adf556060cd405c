"""One HTTP request, as a careful client makes it.

httpx brings what the environment says (HTTP_PROXY, HTTPS_PROXY, NO_PROXY, .netrc) and drops the
login where a redirect leads to another host. Ours is what it leaves open: redirects are followed
one by one, since each must stay on TLS, and none of their bodies is read; and what went wrong is
told as worth another attempt or not.
"""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import ExitStack, contextmanager
from netrc import NetrcParseError
from typing import TYPE_CHECKING

import httpx

from lfvpipe.patience import Trouble, seconds_asked_for
from lfvpipe.storage.errors import DownloadError, Refused
from lfvpipe.storage.urls import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST_REDIRECTS = 10
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONNECT_SECONDS = 15.0
_READ_SECONDS = 30.0
# Beside success: not modified, no such range, and a server that does not know HEAD.
_MEANINGFUL = frozenset({200, 206, 304, 405, 416, 501})


class Interrupted(Exception):
    """The transfer broke off, and trying again may help.

    Attributes:
        why: What happened, as part of a sentence.
        trouble: What kind of failure it was.
        retry_after: Seconds after which the server wants to be asked again, 0 if it told none.
    """

    def __init__(
        self, why: str, trouble: Trouble = Trouble.BROKEN, retry_after: float = 0.0
    ) -> None:
        super().__init__(why)
        self.why = why
        self.trouble = trouble
        self.retry_after = retry_after


@contextmanager
def requesting(
    url: str,
    headers: Mapping[str, str],
    *,
    method: str = "GET",
    client: httpx.Client | None = None,
) -> Iterator[httpx.Response]:
    """Send a request and yield the response, whose body is still to be read.

    Args:
        url: Where to.
        headers: Those of this request.
        method: GET, or HEAD.
        client: Keeps its connections for the next request; None for one of its own.

    Yields:
        A response with status 200, 206, 304, 405, 416 or 501.

    Raises:
        DownloadError: The server refuses, or its certificate is not trusted.
        Interrupted: It does not answer, breaks off, or says that it is busy.
    """
    with _translating(url), ExitStack() as opened:
        client = client or opened.enter_context(open_client(url))
        request = client.build_request(
            method, url, headers={"Accept-Encoding": "identity", "User-Agent": "lfvpipe", **headers}
        )
        # A login in the address itself comes before the one that .netrc has for its host.
        login = _login_of_netrc() if not request.url.userinfo else None
        response = client.send(request, stream=True, auth=login)
        for _ in range(_MOST_REDIRECTS):
            if response.next_request is None:
                break
            response.close()
            _insist_on_tls(response.request.url, response.next_request.url)
            # The login went into the request's headers, from which httpx has removed it where the
            # redirect leads to another host: none is looked up anew.
            response = client.send(response.next_request, stream=True, auth=None)
        try:
            if response.next_request is not None:
                raise DownloadError(
                    url, f"redirects more than {_MOST_REDIRECTS} times", hint="Check the address."
                )
            _insist_on_meaningful(response, url)
            yield response
        finally:
            response.close()


@contextmanager
def _translating(url: str) -> Iterator[None]:
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
        raise DownloadError(url, "is no address", hint="Check its spelling.") from error
    except UnicodeError as error:  # of a host's name, also of one that a redirect names
        raise DownloadError(
            url, "is no address, or leads to none", hint="Check its spelling."
        ) from error
    except httpx.ReadTimeout as error:
        raise Interrupted("the server sends nothing any more") from error
    except (
        httpx.ReadError,
        httpx.WriteError,
        httpx.WriteTimeout,
        httpx.RemoteProtocolError,
    ) as error:
        if error.__cause__ is None:  # httpx's own judgement, not that of the transport beneath it
            raise DownloadError(
                url, "redirects to what is no address", hint="Check it in a browser."
            ) from error
        raise Interrupted("the connection broke off") from error
    except httpx.TransportError as error:
        causes = list(_causes(error))
        untrusted = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
        if untrusted is not None:
            raise DownloadError(
                url,
                f"has a certificate that is not trusted ({untrusted})",
                hint="If the server is your own, name its certificate authority in SSL_CERT_FILE.",
            ) from error
        if any(isinstance(cause, socket.gaierror) for cause in causes):
            raise Interrupted(f"no such host as {httpx.URL(url).host}", Trouble.AWAY) from error
        raise Interrupted(str(error) or type(error).__name__, Trouble.AWAY) from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield what `error` was raised from, and so on: httpx wraps httpcore, which wraps sockets."""
    cause = error.__cause__ or error.__context__
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def open_client(url: str) -> httpx.Client:
    """Return what keeps connections for several requests; a context manager.

    Raises:
        DownloadError: The environment names a proxy that does not fit.
    """
    timeout = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
    try:
        return httpx.Client(verify=_trust(), timeout=timeout)
    except (ImportError, ValueError) as error:  # of a proxy's kind, such as socks5://
        raise DownloadError(
            url,
            f"cannot be downloaded: the proxy that the environment names does not fit ({error})",
            hint="Check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY.",
        ) from error


def _trust() -> ssl.SSLContext:
    """Trust the system's authorities, and certifi's where a system has none of its own."""
    context = ssl.create_default_context()
    if not context.get_ca_certs() and not context.cert_store_stats()["x509_ca"]:
        import certifi

        context.load_verify_locations(certifi.where())
    return context


def _login_of_netrc() -> httpx.Auth | None:
    """Return what looks a host's login up in the file that NETRC names, or ~/.netrc."""
    try:
        return httpx.NetRCAuth(os.environ.get("NETRC"))
    except (OSError, NetrcParseError):
        return None  # as curl does: a login that is needed is missed in the server's answer


def _insist_on_tls(before: httpx.URL, after: httpx.URL) -> None:
    if after.scheme not in ("http", "https") or (before.scheme, after.scheme) == ("https", "http"):
        raise DownloadError(
            str(before),
            f"redirects to {without_secrets(str(after))}, which is not secure",
            hint="If you trust it, give that address yourself.",
        )


def _insist_on_meaningful(response: httpx.Response, url: str) -> None:
    status = response.status_code
    if status in _TRANSIENT:
        seconds = seconds_asked_for(response.headers.get("Retry-After"))
        raise Interrupted(f"the server answers {status}", Trouble.BUSY, seconds)
    if status not in _MEANINGFUL:
        raise Refused(url, status)
