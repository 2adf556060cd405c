"""A pool of inference units: it grows under load, shrinks in quiet, and replaces the dead.

Requests come in threads of their own and each holds a unit for as long as an image takes. Who
finds no unit idle waits in a queue and is handed the next one that becomes free; a semaphore would
do the same but for the order, and under load some requests would starve.

All that takes long, starting a unit (seconds: a process that loads a model) or ending one, is done
by a thread of the pool, the keeper, and never under the lock. Requests only note that there is
something to do. One lock guards everything; the conditions on it say what changed.
"""

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

# Units that one image may take down before it is given up: the first may have died of something
# else, such as for want of memory; an image that kills three kills them all.
_TRIES = 3
_REST_SECONDS = 2.0  # after a unit did not start, before the next is tried


class PoolClosed(Exception):
    """The pool takes no more requests."""


@dataclass(frozen=True)
class Timing:
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
class _Waiter:
    """A request in the queue, what wakes it, and the unit that it is handed."""

    woken: threading.Condition
    member: _Member | None = None


class Pool:
    """Between `least` and `most` units of one model; safe to ask from many threads.

    Args:
        launch: Starts a unit and returns it once it can judge.
        least: Units that are always there.
        most: Units to grow to while requests wait.
        is_wanted: Asked now and then; the pool closes itself when it is not.
        timing: When to act.
    """

    def __init__(
        self,
        launch: Callable[[], Unit],
        least: int,
        most: int,
        *,
        is_wanted: Callable[[], bool] = lambda: True,
        timing: Timing | None = None,
    ) -> None:
        self._launch, self._is_wanted, self._timing = launch, is_wanted, timing or Timing()
        self._least, self._most = least, max(least, most)
        self._lock = threading.RLock()
        self._started = threading.Condition(self._lock)  # a unit, or not
        self._work = threading.Condition(self._lock)  # the keeper has something to do
        self._queue: deque[_Waiter] = deque()
        # The one used last is asked next, so that under little load the others stay idle, and end.
        self._idle: list[_Member] = []
        self._busy: set[_Member] = set()
        self._starting = 0
        self._failure: Exception | None = None  # of the unit started last
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
            while self._count() - self._starting < self._least and self._failure is None:
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
            return self._count() - self._starting

    def resize(self, least: int, most: int) -> None:
        """Have between `least` and `most` units from now on."""
        wanted = least, max(least, most)
        with self._lock:
            if wanted != (self._least, self._most):
                self._least, self._most = wanted
                self._work.notify()

    def detect(self, image: bytes) -> "Verdict":
        """Judge an image with the next free unit; one that dies meanwhile is replaced.

        Raises:
            PoolClosed: The model is no longer hosted.
            UserError: The image cannot be judged.
            UnitDied: Several units died of this image, or none can be started.
        """
        for left in reversed(range(_TRIES)):
            member = self._acquire()
            try:
                verdict = member.unit.detect(image)
            except UnitDied:
                self._drop(member)
                if not left:
                    raise
            except BaseException:
                self._release(member)
                raise
            else:
                self._release(member)
                return verdict
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Take no more requests, and end the units once the last one is answered."""
        with self._lock:
            self._closed = True
            self._work.notify()
        if self._keeper is not threading.current_thread():
            self._keeper.join()

    def _acquire(self) -> _Member:
        """Return a unit for a request: an idle one, or, after a wait, the one it is handed."""
        with self._lock:
            if self._closed:
                raise PoolClosed
            if self._idle:
                member = self._idle.pop()
                self._busy.add(member)
            else:
                member = self._wait_in_queue()
            member.since = time.monotonic()
            return member

    def _wait_in_queue(self) -> _Member:
        """Return the unit that the request is handed when its turn comes: nobody overtakes."""
        waiter = _Waiter(threading.Condition(self._lock))
        self._queue.append(waiter)
        self._work.notify()  # perhaps one more unit can be started
        try:
            while waiter.member is None:
                self._raise_if_hopeless()
                waiter.woken.wait()
        except BaseException:  # hopeless, or Ctrl-C in this thread at any moment
            if waiter.member is None:
                self._queue.remove(waiter)
            else:
                self._hand_on(waiter.member)  # it was handed a unit that it will not use
            raise
        return waiter.member

    def _raise_if_hopeless(self) -> None:
        """Raise when no unit is there or being started, and so nothing to wait for.

        A closed pool goes on to serve who waits already, as long as it has a unit.
        """
        if self._count():
            return
        if self._closed:
            raise PoolClosed
        if self._failure is not None:
            raise UnitDied(f"no inference unit can be started: {self._failure}")

    def _release(self, member: _Member) -> None:
        with self._lock:
            self._hand_on(member)

    def _hand_on(self, member: _Member) -> None:
        """Hand a free unit to who waits longest, or keep it idle; the caller has the lock."""
        member.since = time.monotonic()
        if self._queue:
            waiter = self._queue.popleft()
            waiter.member = member
            self._busy.add(member)
            waiter.woken.notify()
        else:
            self._busy.discard(member)
            self._idle.append(member)
        if self._closed:  # the keeper waits for the last answer
            self._work.notify()

    def _drop(self, member: _Member) -> None:
        """Let go of a unit that died; the keeper starts another."""
        with self._lock:
            self._busy.discard(member)
            self._work.notify()
            self._wake_queue()
        service_log().warning("an inference unit died and is replaced")
        member.unit.close()

    def _wake_queue(self) -> None:
        """Let who waits look whether there is still hope."""
        for waiter in self._queue:
            waiter.woken.notify()

    def _count(self) -> int:
        """Return how many units there are or will be."""
        return len(self._idle) + len(self._busy) + self._starting

    def _keep(self) -> None:
        """Start, end and kill units as the moment asks for, until the pool is closed."""
        while True:
            with self._lock:
                if self._closed and not (self._busy or self._starting or self._queue):
                    break
                surplus = self._take_surplus()
                starts = 0 if self._closed else self._missing()
                self._starting += starts  # before the lock is left: nobody starts them again
                if not surplus and not starts:
                    self._work.wait(min(self._timing.look, self._timing.idle))
            for member in surplus:
                member.unit.close()
            for _ in range(starts):
                threading.Thread(target=self._start, name="lfvpipe-unit", daemon=True).start()
            self._look_after_units()
        for member in self._idle:
            member.unit.close()
        self._idle.clear()

    def _missing(self) -> int:
        """Return how many units to start now: up to the least, then one at a time.

        One at a time, since a burst may be over by the time that a unit has loaded its model.
        """
        if time.monotonic() < self._rest_until:
            return 0
        if self._count() < self._least:
            return self._least - self._count()
        return int(bool(self._queue) and self._starting == 0 and self._count() < self._most)

    def _take_surplus(self) -> list[_Member]:
        """Take out the units that are too many, or above the least and idle for long."""
        before = time.monotonic() - self._timing.idle
        spare = max(0, self._count() - self._least)
        over = self._count() - self._most  # positive after `resize`
        # The list's beginning has been idle longest.
        tired = [each for i, each in enumerate(self._idle) if i < over or each.since <= before]
        surplus = tired[:spare]
        self._idle = [each for each in self._idle if each not in surplus]
        return surplus

    def _start(self) -> None:
        unit: Unit | None = None
        failure: Exception | None = None
        try:
            unit = self._launch()
        except Exception as error:  # whatever it is, who waits must hear of it
            failure = error
        with self._lock:
            self._starting -= 1
            # While the pool opens, one failure is enough, even if another unit starts after it;
            # later on, what counts is whether the last one could be started.
            if failure is not None or self._opened:
                self._failure = failure
            if unit is None:
                self._rest_until = time.monotonic() + _REST_SECONDS
                self._wake_queue()
            else:
                self._hand_on(_Member(unit, time.monotonic()))
            self._started.notify_all()
            self._work.notify()

    def _look_after_units(self) -> None:
        """Drop dead units, kill hung ones, and close when nobody wants the model any more."""
        now = time.monotonic()
        if now - self._looked < self._timing.look:
            return
        self._looked = now
        with self._lock:
            hung = [each for each in self._busy if each.since <= now - self._timing.longest]
            dead = [each for each in self._idle if not each.unit.alive]
            self._idle = [each for each in self._idle if each not in dead]
        for member in hung:
            member.unit.kill()  # whose request ends with UnitDied, and tries another unit
        for member in dead:
            self._drop(member)
        if not self._closed and not self._is_wanted():
            self.close()
