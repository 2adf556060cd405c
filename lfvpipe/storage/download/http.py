"""One HTTP request, with redirects, proxies and TLS as a careful client does them."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from lfvpipe.errors import UserError
from lfvpipe.storage.addresses import without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3 import PoolManager
    from urllib3.response import BaseHTTPResponse

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 10
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONNECT_SECONDS = 15.0
_READ_SECONDS = 30.0


class DownloadError(UserError):
    """An address does not give what it should."""


class NotReachable(DownloadError):
    """The server does not answer, or is busy, also after several attempts."""


class Interrupted(Exception):
    """The transfer broke off, and trying again may help."""

    def __init__(self, url: str, why: str, retry_after: float = 0.0) -> None:
        super().__init__(why)
        self.url = url
        self.why = why
        self.retry_after = retry_after

    def final(self) -> NotReachable:
        """Return the error to raise when trying again did not help."""
        return NotReachable(
            f"{without_secrets(self.url)} cannot be downloaded: {self.why}.",
            hint="Check the network (and HTTPS_PROXY) and run again: the download resumes.",
        )


def opened(url: str, headers: Mapping[str, str], *, method: str = "GET") -> BaseHTTPResponse:
    """Send a request and return the response whose body is still to be read; close it.

    Returns:
        A response with status 200, 206, 304, 405, 416 or 501.

    Raises:
        DownloadError: The server refuses, or its certificate is not trusted.
        Interrupted: It does not answer, or says that it is busy.
    """
    target = url
    for _ in range(_MOST_REDIRECTS + 1):
        response = _send(method, target, headers, origin=url)
        location = response.headers.get("Location")
        if response.status not in _REDIRECTS or not location:
            return _checked(response, url)
        response.close()
        target = _redirected(target, location)
    raise DownloadError(
        f"{without_secrets(url)} redirects more than {_MOST_REDIRECTS} times.",
        hint="Check the address.",
    )


def _send(method: str, url: str, headers: Mapping[str, str], *, origin: str) -> BaseHTTPResponse:
    from urllib3.exceptions import HTTPError, LocationParseError
    from urllib3.util import Timeout

    sent = {"Accept-Encoding": "identity", "User-Agent": "lfvpipe", **headers}
    sent |= _authorization(url, origin)
    try:
        return _pool(url).request(
            method,
            url,
            headers=sent,
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
        )
    except LocationParseError as error:
        raise DownloadError(
            f"{without_secrets(url)} is no address.", hint="Check its spelling."
        ) from error
    except HTTPError as error:
        raise _failure(url, error) from error


def _failure(url: str, error: Exception) -> DownloadError | Interrupted:
    from urllib3.exceptions import NameResolutionError, SSLError

    cause = error.args[-1] if error.args else error
    if isinstance(error, SSLError) or isinstance(cause, ssl.SSLError):
        return DownloadError(
            f"The certificate of {without_secrets(url)} is not trusted ({cause}).",
            hint="If the server is your own, name its certificate authority in SSL_CERT_FILE.",
        )
    if isinstance(error, NameResolutionError):
        return Interrupted(url, f"no such host as {urlsplit(url).hostname}")
    return Interrupted(url, str(error).partition(": ")[2] or type(error).__name__)


def _pool(url: str) -> PoolManager:
    from urllib.request import getproxies, proxy_bypass

    from urllib3 import PoolManager, ProxyManager, make_headers

    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if not proxy or proxy_bypass(parts.hostname or ""):
        return PoolManager(ssl_context=_trust())
    seen = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    login = f"{seen.username}:{seen.password or ''}" if seen.username else None
    return ProxyManager(
        seen._replace(netloc=seen.netloc.rpartition("@")[2]).geturl(),
        proxy_headers=make_headers(proxy_basic_auth=login),
        ssl_context=_trust(),
    )


def _trust() -> ssl.SSLContext:
    """Trust the system's authorities, and certifi's where a system has none of its own."""
    context = ssl.create_default_context()
    if not context.get_ca_certs() and not context.cert_store_stats()["x509_ca"]:
        try:
            import certifi
        except ImportError:
            return context
        context.load_verify_locations(certifi.where())
    return context


def _authorization(url: str, origin: str) -> dict[str, str]:
    """Return the login that the address names, unless a redirect led to another host."""
    from urllib.parse import unquote

    from urllib3 import make_headers

    named, target = urlsplit(origin), urlsplit(url)
    same = (named.scheme, named.hostname, named.port) == (
        target.scheme,
        target.hostname,
        target.port,
    )
    if not named.username or not same:
        return {}
    login = f"{unquote(named.username)}:{unquote(named.password or '')}"
    return dict(make_headers(basic_auth=login))


def _redirected(url: str, location: str) -> str:
    target = urljoin(url, location)
    before, after = urlsplit(url).scheme, urlsplit(target).scheme
    if after not in ("http", "https") or (before == "https" and after == "http"):
        raise DownloadError(
            f"{without_secrets(url)} redirects to {without_secrets(target)}, which is not secure.",
            hint="If you trust it, give that address yourself.",
        )
    return target


def _checked(response: BaseHTTPResponse, url: str) -> BaseHTTPResponse:
    status = response.status
    if status in (200, 206, 304, 405, 416, 501):
        return response
    retry_after = response.headers.get("Retry-After", "")
    response.close()
    if status in _TRANSIENT:
        seconds = float(retry_after) if retry_after.isdigit() else 0.0
        raise Interrupted(url, f"the server answers {status}", seconds)
    raise DownloadError(
        f"{without_secrets(url)}: the server answers {status}.", hint=_advice(status)
    )


def _advice(status: int) -> str:
    known: dict[int, Any] = {
        401: "It asks for a login: download it yourself and give the file's path.",
        403: "It is forbidden, or the link has expired: check it in a browser.",
        404: "There is nothing at this address: check its spelling, or whether it has moved.",
        407: "The proxy asks for a login: put it into HTTPS_PROXY.",
        410: "It has been removed: look for another place.",
    }
    return str(known.get(status, "Check the address in a browser, or try again later."))
