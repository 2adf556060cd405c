"""A pool of inference units: it grows under load, shrinks in quiet, and replaces the dead."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.service.log import service_log
from lfvpipe.service.units.process import Unit, UnitDied

if TYPE_CHECKING:
    from lfvpipe.detector import Verdict

_TRIES = 3  # units that one image may take down before it is given up
_REST_SECONDS = 2.0  # after a unit did not start, before the next is tried


class PoolClosed(Exception):
    """The pool takes no more requests."""


@dataclass(frozen=True)
class Pace:
    """In seconds.

    Attributes:
        idle: How long a unit above the least number may have nothing to do before it ends.
        longest: How long an image may take before its unit counts as hung.
        look: How often the pool looks after itself when nothing happens.
    """

    idle: float = 60.0
    longest: float = 120.0
    look: float = 2.0


@dataclass(eq=False)
class _Member:
    unit: Unit
    since: float  # when it became idle or busy


@dataclass(eq=False)
class _Turn:
    """A request that waits in line, and what wakes it."""

    woken: threading.Condition
    member: _Member | None = None


class Pool:
    """Between `least` and `most` units of one model; safe to ask from many threads.

    Args:
        launch: Starts a unit and returns it once it can judge.
        least: Units that are always there.
        most: Units to grow to while requests wait.
        wanted: Asked now and then; the pool closes itself when it is not.
        pace: When to act.
    """

    def __init__(
        self,
        launch: Callable[[], Unit],
        least: int,
        most: int,
        *,
        wanted: Callable[[], bool] = lambda: True,
        pace: Pace | None = None,
    ) -> None:
        self._launch, self._wanted, self._pace = launch, wanted, pace or Pace()
        self._least, self._most = least, max(least, most)
        self._lock = threading.RLock()
        self._started = threading.Condition(self._lock)  # a unit, or not
        self._change = threading.Condition(self._lock)  # the keeper has something to do
        self._line: deque[_Turn] = deque()
        self._idle: list[_Member] = []  # the one used last is asked next; the others may end
        self._busy: set[_Member] = set()
        self._starting = 0
        self._failure: Exception | None = None
        self._rest_until = self._looked = 0.0
        self._opened = self._closed = False
        self._keeper = threading.Thread(target=self._keep, name="lfvpipe-units", daemon=True)

    def open(self) -> None:
        """Start the least number of units, and return when all can judge.

        Raises:
            UserError: The model cannot be loaded.
            UnitDied: A unit ended while it started.
        """
        self._keeper.start()
        with self._lock:
            while self._live() - self._starting < self._least and self._failure is None:
                self._started.wait()
            failure = self._failure
            self._opened = True
        if failure is not None:
            self.close()
            raise failure

    @property
    def closed(self) -> bool:
        """Whether it takes no more requests."""
        return self._closed

    @property
    def size(self) -> int:
        """How many units can judge."""
        with self._lock:
            return self._live() - self._starting

    def resize(self, least: int, most: int) -> None:
        """Have between `least` and `most` units from now on."""
        wanted = least, max(least, most)
        with self._lock:
            if wanted != (self._least, self._most):
                self._least, self._most = wanted
                self._change.notify()

    def detect(self, image: bytes) -> "Verdict":
        """Judge an image with the next free unit; one that dies meanwhile is replaced.

        Raises:
            PoolClosed: The model is no longer hosted.
            UserError: The image cannot be judged.
            UnitDied: Several units died of this image, or none can be started.
        """
        for left in reversed(range(_TRIES)):
            member = self._take()
            try:
                verdict = member.unit.detect(image)
            except UnitDied:
                self._lose(member)
                if not left:
                    raise
            except BaseException:
                self._give_back(member)
                raise
            else:
                self._give_back(member)
                return verdict
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Take no more requests, and end the units once the last one is answered."""
        with self._lock:
            self._closed = True
            self._change.notify()
        if self._keeper is not threading.current_thread():
            self._keeper.join()

    def _take(self) -> _Member:
        with self._lock:
            if self._closed:
                raise PoolClosed
            if self._idle:
                member = self._idle.pop()
                self._busy.add(member)
            else:
                member = self._wait_in_line()
            member.since = time.monotonic()
            return member

    def _wait_in_line(self) -> _Member:
        """Return the unit that the request is handed when its turn comes: nobody overtakes."""
        turn = _Turn(threading.Condition(self._lock))
        self._line.append(turn)
        self._change.notify()
        try:
            while turn.member is None:
                self._require_hope()
                turn.woken.wait()
        except BaseException:
            if turn.member is None:
                self._line.remove(turn)
            else:
                self._offer(turn.member)
            raise
        return turn.member

    def _offer(self, member: _Member) -> None:
        """Hand a free unit to who waits longest, or keep it idle."""
        member.since = time.monotonic()
        if self._line:
            turn = self._line.popleft()
            turn.member = member
            self._busy.add(member)
            turn.woken.notify()
        else:
            self._busy.discard(member)
            self._idle.append(member)
        if self._closed:  # the keeper waits for the last answer
            self._change.notify()

    def _require_hope(self) -> None:
        if self._live():
            return
        if self._closed:
            raise PoolClosed
        if self._failure is not None:
            raise UnitDied(f"no inference unit can be started: {self._failure}")

    def _give_back(self, member: _Member) -> None:
        with self._lock:
            self._offer(member)

    def _lose(self, member: _Member) -> None:
        with self._lock:
            self._busy.discard(member)
            self._change.notify()
            self._wake_line()
        service_log().warning("an inference unit died and is replaced")
        member.unit.close()

    def _wake_line(self) -> None:
        """Let who waits look whether there is still hope."""
        for turn in self._line:
            turn.woken.notify()

    def _live(self) -> int:
        return len(self._idle) + len(self._busy) + self._starting

    def _keep(self) -> None:
        """Start, end and kill units as the moment asks for, until the pool is closed."""
        while True:
            with self._lock:
                if self._closed and not (self._busy or self._starting or self._line):
                    break
                surplus = self._surplus()
                starts = 0 if self._closed else self._missing()
                self._starting += starts
                if not surplus and not starts:
                    self._change.wait(min(self._pace.look, self._pace.idle))
            for member in surplus:
                member.unit.close()
            for _ in range(starts):
                threading.Thread(target=self._start, name="lfvpipe-unit", daemon=True).start()
            self._look()
        for member in self._idle:
            member.unit.close()
        self._idle.clear()

    def _missing(self) -> int:
        """Return how many units to start now: up to the least, then one at a time."""
        if time.monotonic() < self._rest_until:
            return 0
        if self._live() < self._least:
            return self._least - self._live()
        return int(bool(self._line) and self._starting == 0 and self._live() < self._most)

    def _surplus(self) -> list[_Member]:
        """Take out the units that are too many, or above the least and idle for long."""
        before = time.monotonic() - self._pace.idle
        spare = max(0, self._live() - self._least)
        over = self._live() - self._most
        tired = [each for i, each in enumerate(self._idle) if i < over or each.since <= before]
        gone = tired[:spare]
        self._idle = [each for each in self._idle if each not in gone]
        return gone

    def _start(self) -> None:
        unit: Unit | None = None
        failure: Exception | None = None
        try:
            unit = self._launch()
        except Exception as error:  # whatever it is, who waits must hear of it
            failure = error
        with self._lock:
            self._starting -= 1
            if failure is not None or self._opened:  # while it opens, one failure is enough
                self._failure = failure
            if unit is None:
                self._rest_until = time.monotonic() + _REST_SECONDS
                self._wake_line()
            else:
                self._offer(_Member(unit, time.monotonic()))
            self._started.notify_all()
            self._change.notify()

    def _look(self) -> None:
        """Drop dead units, kill hung ones, and close when nobody wants the model any more."""
        now = time.monotonic()
        if now - self._looked < self._pace.look:
            return
        self._looked = now
        with self._lock:
            hung = [each for each in self._busy if each.since <= now - self._pace.longest]
            dead = [each for each in self._idle if not each.unit.alive]
            self._idle = [each for each in self._idle if each not in dead]
        for member in hung:
            member.unit.kill()
        for member in dead:
            self._lose(member)
        if not self._closed and not self._wanted():
            self.close()
