"""Who is signed in: sessions, in this process's memory, and the addresses that are good once.

A session is known by a random value in a cookie, of which only a digest is kept here. Signing in
always makes a new value, so that one which somebody else planted is worth nothing.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lfvpipe.service.roles import Actor

IDLE_SECONDS = 2 * 3600.0
LONGEST_SECONDS = 12 * 3600.0
_MOST = 1000  # sessions; the one that was idle longest goes first
_ATTEMPTS = 10  # to sign in by one key that may fail, from one network, within
_ATTEMPTS_SECONDS = 300.0
_MOST_FAILED = 10_000  # pairs of network and key; the one that failed first goes first


@dataclass(frozen=True)
class Notice:
    """What the next page says on top.

    Attributes:
        text: Whole sentences.
        kind: What became of what was asked for.
        fields: The fields of a form that it is about; each has its own words beside it.
    """

    text: str
    kind: Literal["done", "failed"] = "done"
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """A form that was refused, to be shown as it was filled in.

    Attributes:
        action: The path that it was sent to.
        values: What was in its fields.
        problems: What is wrong with some of them.
    """

    action: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)

    def value(self, action: str, name: str, usual: str) -> str:
        """Return what a field of a form shows: what was in it, or what is usual."""
        return self.values.get(name, usual) if action == self.action else usual

    def problem(self, action: str, name: str) -> str:
        """Return what is wrong with a field of a form; "" for nothing."""
        return self.of(action).get(name, "")

    def of(self, action: str) -> Mapping[str, str]:
        """Return what is wrong with a form's fields."""
        return self.problems if action == self.action else {}


@dataclass
class Session:
    """A person's visit.

    Attributes:
        actor: Whose key it is.
        opened: By the clock, as is `seen`.
        notices: To be shown once.
        refused: The form that was refused last, likewise.
    """

    actor: Actor
    opened: float
    seen: float
    notices: list[Notice] = field(default_factory=list)
    refused: Refused = field(default_factory=Refused)


class Sessions:
    """The sessions of one server.

    Args:
        clock: Returns seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._sessions: dict[bytes, Session] = {}
        self._tickets: set[bytes] = set()
        self._failed: dict[bytes, list[float]] = {}
        self._lock = threading.Lock()

    def open(self, actor: Actor) -> str:
        """Return the value of a new session's cookie."""
        value, now = secrets.token_urlsafe(32), self._clock()
        with self._lock:
            if len(self._sessions) >= _MOST:
                del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].seen)]
            self._sessions[_digest(value)] = Session(actor, now, now)
        return value

    def find(self, value: str) -> Session | None:
        """Return the session of a cookie's value, None where it is over."""
        now = self._clock()
        with self._lock:
            session = self._sessions.get(_digest(value))
            if session is None:
                return None
            if now - session.seen > IDLE_SECONDS or now - session.opened > LONGEST_SECONDS:
                del self._sessions[_digest(value)]
                return None
            session.seen = now
            return session

    def close(self, value: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(_digest(value), None)

    def form_token(self, value: str) -> str:
        """Return what forms of a session must bring along, which no other page can know."""
        return hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()

    def make_ticket(self) -> str:
        """Return what signs its holder in as the folder's owner, once."""
        ticket = secrets.token_urlsafe(32)
        with self._lock:
            self._tickets.add(_digest(ticket))
        return ticket

    def redeem(self, ticket: str) -> bool:
        """Say whether a ticket is good, and let it be good no more."""
        with self._lock:
            known = _digest(ticket) in self._tickets
            self._tickets.discard(_digest(ticket))
            return known

    def may_try(self, network: str, key: str) -> bool:
        """Say whether somebody from there may try to sign in by a key, or failed too often.

        It is counted by key as well: behind a proxy all come from one network, and who guesses
        locks nobody else out.
        """
        since = self._clock() - _ATTEMPTS_SECONDS
        with self._lock:
            self._failed = {
                each: recent
                for each, times in self._failed.items()
                if (recent := [time for time in times if time > since])
            }
            return len(self._failed.get(_digest(f"{network} {key}"), ())) < _ATTEMPTS

    def note_failure(self, network: str, key: str) -> None:
        """Count an attempt that failed; of keys that there are not, too, or it would tell them."""
        with self._lock:
            self._failed.setdefault(_digest(f"{network} {key}"), []).append(self._clock())
            if len(self._failed) > _MOST_FAILED:
                del self._failed[next(iter(self._failed))]


def _digest(value: str) -> bytes:
    return hashlib.sha256(value.encode(errors="replace")).digest()
