"""How many images are worked on side by side, and the linear algebra of each on one thread.

Cores are used for images, not within one: a model's products are small, and numbers must not depend
on how many cores there are. onnxruntime is told so when a session starts (`backbone/network.py`);
BLAS, which numpy calls, has one setting for the whole process, which others may be using too.
"""

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

from lfvpipe.detector import tuning


def thread_count(asked: int | None) -> int:
    """Return how many images are worked on at the same time: as asked, or by the cores."""
    return asked or min(tuning.MAX_THREADS, os.cpu_count() or 1)


@contextmanager
def blas_on_one_thread() -> Iterator[None]:
    """Keep linear algebra on one thread until the last of those who asked for it is done.

    The threads of a small product mostly wait for one another, on a core that another image could
    have; and the order of its sums, so the last bits of a score, would depend on their number.
    """
    _limit.enter()
    try:
        yield
    finally:
        _limit.leave()


class _Limit:
    """The process' one limit: the first to come sets it, the last to go lifts it.

    Verdicts are asked for by several threads at a time. If each set the limit and restored what it
    had found, the first to leave would lift it for the others, and the last bits of their
    confidences would differ. And threadpoolctl heeds one thread only where the limit is the
    process': the first to set it, for as long as that lives. So one thread is kept to set it for
    all of ours; a forked child, which has none but its own, starts anew.
    """

    def __init__(self) -> None:
        self._reset()
        if sys.platform != "win32":
            os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._setter: ThreadPoolExecutor | None = None
        self._limit: Any = None

    def enter(self) -> None:
        """Set the limit, if nobody else is inside."""
        with self._lock:
            if not self._inside:
                self._setter = self._setter or ThreadPoolExecutor(1, "detector-limit")
                limit = partial(_controller().limit, limits=1, user_api="blas")
                self._limit = self._setter.submit(limit).result()
            self._inside += 1

    def leave(self) -> None:
        """Lift the limit, if nobody else is inside any more."""
        with self._lock:
            self._inside -= 1
            if not self._inside and self._setter:
                self._setter.submit(self._limit.restore_original_limits).result()


@cache
def _controller() -> Any:
    """Return the controller of all libraries loaded; finding them takes tens of milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


_limit = _Limit()
