"""How long something over a network is tried, and how long it waits between two attempts.

A pause is drawn evenly between nothing and a bound that doubles ("full jitter", AWS Architecture
Blog, "Exponential Backoff And Jitter", 2015): clients that failed together do not come back
together. What a server asks for (Retry-After) is kept to. Attempts end when a budget is used up
without progress, which depends on what is wrong and on who waits: a run has minutes for a server
that is busy, a person at a prompt has seconds.

Who waits, how it is told and how it can be stopped belong to a whole piece of work, of which calls
deep inside know nothing: they are those of the innermost `patient` around them, in every thread of
`lfvpipe.executor` too.
"""

from __future__ import annotations

import logging
import random
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIRST = 0.5
"""Seconds that the first pause has at most; the bound doubles with each attempt."""
LONGEST = 20.0
_TELL_EVERY = 10.0  # seconds: many transfers that fail side by side are one thing to tell


class Trouble(Enum):
    """What is wrong, as far as it says how long to go on."""

    BUSY = "busy"
    """The server answers, and says that it is too busy or that it failed."""
    BROKEN = "broken"
    """The connection was cut, or nothing came any more."""
    AWAY = "away"
    """Nobody is there, or somebody else answers: most likely the address is wrong."""


@dataclass(frozen=True)
class Patience:
    """Seconds without progress after which attempts end, by what is wrong."""

    busy: float
    broken: float
    away: float

    def budget(self, trouble: Trouble) -> float:
        """Return the seconds for this kind of trouble."""
        return {
            Trouble.BUSY: self.busy,
            Trouble.BROKEN: self.broken,
            Trouble.AWAY: self.away,
        }[trouble]


OF_A_PERSON = Patience(busy=20.0, broken=10.0, away=3.0)
OF_A_RUN = Patience(busy=300.0, broken=120.0, away=15.0)
OF_A_LONG_WAIT = Patience(busy=900.0, broken=300.0, away=300.0)
"""For what was there a moment ago, such as a service that is restarted while it trains."""


@dataclass(frozen=True)
class _Surroundings:
    patience: Patience = OF_A_PERSON
    tell: Callable[[str], object] = field(default_factory=lambda: _log)
    wait: Callable[[float], object] = field(default_factory=lambda: time.sleep)
    told: list[float] = field(default_factory=list)


def _log(message: str) -> None:
    logging.getLogger("lfvpipe").warning(message)


_SURROUNDINGS: ContextVar[_Surroundings] = ContextVar("surroundings")


@contextmanager
def patient(
    patience: Patience | None = None,
    *,
    tell: Callable[[str], object] | None = None,
    wait: Callable[[float], object] | None = None,
) -> Iterator[None]:
    """Have calls in the block tried as long as this; what is left out stays as it is around.

    Args:
        patience: The budgets.
        tell: Told what went wrong and when the next attempt follows, at most every ten seconds.
        wait: Waits so many seconds; what it raises ends the attempts.
    """
    now = _SURROUNDINGS.get(_Surroundings())
    inside = replace(
        now, patience=patience or now.patience, tell=tell or now.tell, wait=wait or now.wait
    )
    if tell is not None:
        inside = replace(inside, told=[])
    token = _SURROUNDINGS.set(inside)
    try:
        yield
    finally:
        _SURROUNDINGS.reset(token)


class Attempts:
    """The attempts at one thing, from the first on.

    Args:
        what: What is tried, to begin a sentence with.
        most: How many attempts there may be at most, whatever the budget; None for any number.
    """

    def __init__(self, what: str, most: int | None = None) -> None:
        self.what = what
        self.most = most
        self.failures = 0
        self._in_a_row = 0
        self._spent = 0.0
        self._since = time.monotonic()

    def progress(self) -> None:
        """Begin to count anew: what moves is not given up."""
        self._in_a_row, self._spent, self._since = 0, 0.0, time.monotonic()

    def pause(self, trouble: Trouble, why: str, retry_after: float = 0.0) -> bool:
        """Wait until the next attempt; return False, at once, where there is none any more.

        Args:
            trouble: What kind of failure it was.
            why: What happened, as part of a sentence.
            retry_after: Seconds that the server asks for, 0 if it asks for none.
        """
        around = _SURROUNDINGS.get(_Surroundings())
        self.failures += 1
        self._in_a_row += 1
        self._spent += time.monotonic() - self._since
        bound = min(LONGEST, FIRST * 2 ** min(self._in_a_row - 1, 10))
        seconds = retry_after + random.uniform(0.0, bound)
        over = self._spent + seconds > around.patience.budget(trouble)
        if over or (self.most is not None and self.failures >= self.most):
            return False
        now = time.monotonic()
        if not around.told or now - around.told[-1] >= _TELL_EVERY:
            around.told.append(now)
            attempt = f"attempt {self.failures + 1} follows in {seconds:.1f} s"
            around.tell(f"{self.what}: {why.rstrip('.')}; {attempt}.")
        around.wait(seconds)
        self._spent += seconds
        self._since = time.monotonic()
        return True


def seconds_asked_for(retry_after: str | None) -> float:
    """Return the seconds that a ``Retry-After`` header names, as a number or as a date; else 0."""
    said = (retry_after or "").strip()
    if said.isdigit():
        return float(said)
    try:
        then = parsedate_to_datetime(said)
    except ValueError:
        return 0.0
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return max(0.0, (then - datetime.now(UTC)).total_seconds())
