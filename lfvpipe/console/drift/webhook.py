"""The address that alarms are sent to: whoever starts the server names it, and nobody else can.

It may be any, also one of this machine or its network: that is what the operator asked for. It is
never taken from a page, a request or the state, redirects are not followed, and of the answer
nothing but the status is read.
"""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Final

import httpx

from lfvpipe.console.wording import say
from lfvpipe.errors import UserError
from lfvpipe.storage.download.http import open_client

_SECONDS: Final = 10.0  # for each of connecting, sending and waiting for a part of the answer
_WHOLE: Final = 30.0  # seconds for all of it: an answer that drips is none
_LONGEST: Final = 2048


class NotTold(Exception):
    """An alarm could not be told; its text says why, without the address."""


@dataclass(frozen=True)
class Webhook:
    """Where alarms go.

    Attributes:
        url: May hold a secret, in its path too: it is shown nowhere.
    """

    url: str = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what is no address.

        Raises:
            ValueError: It is none.
        """
        try:
            given = httpx.URL(self.url)
            has_port = given.port is None or 0 < given.port < 65536
            is_one = given.scheme in ("https", "http") and bool(given.host) and has_port
        except (httpx.InvalidURL, ValueError, UnicodeError):  # whose texts may hold the address
            is_one = False
        if not is_one or len(self.url) > _LONGEST or not self.url.isprintable():
            raise ValueError("no address that begins with https:// or http://")

    @property
    def host(self) -> str:
        """Its host, which may be shown."""
        return httpx.URL(self.url).host

    @property
    def is_secure(self) -> bool:
        """Whether nobody on the way can read what is sent."""
        return httpx.URL(self.url).scheme == "https"

    def send(self, message: str) -> None:
        """Send JSON by POST.

        Raises:
            NotTold: The receiver does not say that it took it.
        """
        outcome: SimpleQueue[NotTold | None] = SimpleQueue()
        try:
            client = open_client(self.url)
        except UserError as error:
            raise NotTold(say("alarms.bad_proxy")) from error

        def attempt() -> None:
            try:
                self._post(client, message)
            except NotTold as error:
                outcome.put(error)
            except Exception as error:  # such as of a connection that was closed meanwhile
                outcome.put(NotTold(_why(error)))
            else:
                outcome.put(None)

        # httpx has no bound for a request as a whole: one that drips ends with its client.
        with client:
            threading.Thread(target=attempt, name="lfvpipe-webhook", daemon=True).start()
            try:
                failed = outcome.get(timeout=_WHOLE)
            except Empty:
                failed = NotTold(say("alarms.no_answer", seconds=_WHOLE))
        if failed is not None:
            raise failed

    def _post(self, client: httpx.Client, message: str) -> None:
        headers = {"Content-Type": "application/json", "User-Agent": "lfvpipe"}
        body = message.encode()
        try:
            with client.stream(
                "POST", self.url, content=body, headers=headers, timeout=_SECONDS
            ) as answer:
                status = answer.status_code
        except httpx.TimeoutException as error:
            raise NotTold(say("alarms.no_answer", seconds=_SECONDS)) from error
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise NotTold(_why(error)) from error
        if 300 <= status < 400:
            raise NotTold(say("alarms.redirected", status=status))
        if not 200 <= status < 300:
            raise NotTold(say("alarms.answered", status=status))


def _why(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return say("alarms.not_trusted", reason=cause.reason or "TLS")
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror[:1].lower() + cause.strerror[1:]
        cause = cause.__cause__ or cause.__context__
    return say("alarms.broken_off")
