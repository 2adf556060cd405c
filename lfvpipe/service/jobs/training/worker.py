"""The training worker: ``python -m lfvpipe.service.jobs.training.worker STATE_DIR QUOTAS``.

It trains whatever waits, oldest first, and ends when nothing does. It lives in a process of its
own, so that neither a request nor the end of the process that started it stops a training.
"""

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from threading import Event, Thread

from lfvpipe.lookout.statuses import ModelStatus
from lfvpipe.service import locks
from lfvpipe.service.jobs.training.job import PutOff, train
from lfvpipe.service.log import processors, service_log
from lfvpipe.service.quotas import quotas_from_json
from lfvpipe.service.runtime import Runtime, open_runtime
from lfvpipe.service.state import models

_LOOK, _GRACE = 0.3, 0.7  # seconds: two looks apart, and what a training has to stop by itself
_PATIENCE = 0.2  # seconds; somebody who only asks whether a lock is free holds it for less


Guard = Callable[[Runtime, int], AbstractContextManager[None]]


def work(runtime: Runtime, guard: Guard = lambda _runtime, _identity: nullcontext()) -> None:
    """Train until no model waits, or as many workers as are allowed are at it already.

    Each model is trained within its `guard`.

    A model that is committed while this worker finds nothing more to do is seen all the same:
    who commits starts a worker afterwards, and this one looks again after giving up its slot.
    """
    while _waiting(runtime):
        with _slot(runtime) as ours:
            if not ours:
                return  # the workers that have the slots look again when they are through
            try:
                trained = _train_next(runtime, guard)
            except PutOff as waits:  # whoever looks at the model starts another worker, some time
                service_log().error("training waits", reason=str(waits))
                return
        if not trained:
            return


def _waiting(runtime: Runtime) -> list[int]:
    with runtime.database.read() as tx:
        return models.in_training(tx)


@contextmanager
def _slot(runtime: Runtime) -> Iterator[bool]:
    for number in range(runtime.quotas.concurrent_trainings):
        with runtime.locks.held(locks.training_slot(number), seconds=_PATIENCE) as ours:
            if ours:
                yield True
                return
    yield False


def _train_next(runtime: Runtime, guard: Guard) -> bool:
    """Train the oldest model that nobody trains; return whether there was one."""
    for identity in _waiting(runtime):
        with runtime.locks.held(locks.model(identity), seconds=_PATIENCE) as ours:
            if ours:
                with guard(runtime, identity):
                    train(runtime, identity)
                return True
    return False


@contextmanager
def ending_when_deleted(runtime: Runtime, identity: int) -> Iterator[None]:
    """End this process where the model is deleted and its training does not stop by itself.

    It looks between its images and networks, which take longer than who cancels likes to wait. A
    training may be killed anywhere: who looks at the model next removes it.
    """
    is_over = Event()

    def watch() -> None:
        while not is_over.wait(_LOOK):
            try:
                with runtime.database.read() as tx:
                    model = models.find(tx, identity)
            except sqlite3.Error:  # it cannot be asked now
                continue
            if model is None or model.status is ModelStatus.DELETING:
                break
        if not is_over.wait(_GRACE):
            os._exit(0)

    Thread(target=watch, name="lfvpipe-deleted", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()


def main(arguments: list[str]) -> int:
    """Open the state folder, and work."""
    import structlog

    structlog.configure(
        processors=processors("json"),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        runtime = open_runtime(Path(arguments[0]), quotas_from_json(arguments[1]))
        with closing(runtime.database):
            runtime.remove_scratch_of_killed()
            work(runtime, ending_when_deleted)
    except Exception:  # the boundary of the process
        service_log().exception("training failed")
        return 1
    return 0


if __name__ == "__main__":
    ended = main(sys.argv[1:])
    sys.stderr.flush()
    # At once: threads that are within a product of a cancelled training would be waited for.
    os._exit(ended)
