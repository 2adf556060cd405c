"""Work spread over threads: bounded in memory, and ended early when its consumer gives up."""

from __future__ import annotations

from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_order(
    function: Callable[[_Item], _Result], items: Iterable[_Item], jobs: int
) -> Iterator[_Result]:
    """Yield ``function(item)`` for each of `items`, in their order, as `as_completed` does."""
    waiting: deque[Future[_Result]] = deque()
    with _pool(jobs) as pool:
        for item in items:
            # Ahead are as many again as are worked on: enough that no thread waits for the
            # consumer, few enough that results which may be large do not pile up.
            waiting.append(pool.submit(copy_context().run, function, item))
            if len(waiting) >= 2 * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def as_completed(
    function: Callable[[_Item], _Result], items: Iterable[_Item], jobs: int
) -> Iterator[_Result]:
    """Yield ``function(item)`` for each of `items` as soon as it is done.

    What is raised by `function`, by `items` or where the results are consumed ends the work:
    nothing new is started, and what is under way ends first.

    Args:
        function: Called in `jobs` threads.
        items: Consumed lazily, in the caller's thread; at most twice `jobs` are ahead.
        jobs: How many are worked on at once.
    """
    pending: set[Future[_Result]] = set()
    with _pool(jobs) as pool:
        for item in items:
            pending.add(pool.submit(copy_context().run, function, item))
            while len(pending) >= 2 * jobs:
                yield from _take_done(pending)
        while pending:
            yield from _take_done(pending)


def _take_done(pending: set[Future[_Result]]) -> Iterator[_Result]:
    done = wait(pending, return_when=FIRST_COMPLETED).done
    pending -= done
    return (future.result() for future in done)


@contextmanager
def _pool(jobs: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(jobs, thread_name_prefix="lfvpipe")
    try:
        yield pool
    finally:
        # Also where a generator is dropped half-way: without it, what nobody wants any more would
        # all be worked off before the error is seen.
        pool.shutdown(cancel_futures=True)
