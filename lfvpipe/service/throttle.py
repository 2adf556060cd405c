"""How often each operation may be called."""

import math
import threading
import time
from collections.abc import Callable

from lfvpipe.service.protocol.faults import Fault


class Throttle:
    """A token bucket for each operation: it holds a second's worth, and fills evenly.

    So a client that has been quiet may call as often as in a whole second at once, such as when it
    lists a few pages, and then as often as the rate allows. A rate below one call a second still
    lets one through at a time: a bucket of less than one call would never let any.

    Args:
        rate: Calls a second of each operation; None never throttles.
        clock: Returns seconds.
    """

    def __init__(self, rate: float | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}  # calls left, as of when

    def admit(self, operation: str) -> None:
        """Count a call.

        Raises:
            Fault: ThrottlingException, with the seconds after which to try again. A refused call
                takes nothing from the bucket: who asks too often does not wait the longer for it.
        """
        if self._rate is None:
            return
        most = max(1.0, self._rate)
        with self._lock:
            now = self._clock()
            left, then = self._buckets.get(operation, (most, now))
            left = min(most, left + (now - then) * self._rate)
            allowed = left >= 1
            self._buckets[operation] = (left - 1 if allowed else left, now)
        if allowed:
            return
        seconds = math.ceil((1 - left) / self._rate)
        raise Fault(
            "ThrottlingException",
            f"{operation} may be called {self._rate:g} times a second; try again after {seconds} s",
            members={
                "QuotaCode": "requests-per-second",
                "ServiceCode": "lookoutvision",
                "RetryAfterSeconds": seconds,
            },
        )
