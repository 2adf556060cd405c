"""Starts training workers: processes that outlive this one. Gives up where none gets to work."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from lfvpipe.disk import DiskError
from lfvpipe.errors import UserError
from lfvpipe.service import locks
from lfvpipe.service.jobs.messages import WAITS
from lfvpipe.service.jobs.training import job
from lfvpipe.service.processes import environment
from lfvpipe.service.quotas import quotas_to_json
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import models

IsAlive = Callable[[], bool]
Launch = Callable[[Runtime], IsAlive]

# Images are worked on side by side; threads within one product would only be in each other's way.
# Who sets them otherwise is obeyed.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_PAUSE = 15.0  # seconds between two workers that find the disk full
_WINDOWS_DETACHED = 0x00000008 | 0x00000200  # DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP
_NO_START = (
    "The training process ended {count} times before it could begin;"
    " logs/training.log in the service's folder says why. Then create another model."
)


@dataclass(frozen=True)
class _Launched:
    """A worker that was launched for a model.

    Attributes:
        attempts: How many trainings all workers together had begun by then.
        false_starts: How many workers before it, in a row, had ended without beginning one.
        since: When that was, by `time.monotonic`.
    """

    is_alive: IsAlive
    attempts: int
    false_starts: int
    since: float


class Waits(DiskError):
    """A training that cannot go on while its disk is full; how to make room is said."""

    def __init__(self, message: str) -> None:
        UserError.__init__(self, message)
        self.cause, self.where, self.advice = message, "", ""


class Launcher:
    """Sees to it that a model to be trained has a worker; safe to ask from many threads.

    Args:
        runtime: The state.
        launch: Starts a worker, and returns what tells whether it still lives.
    """

    def __init__(self, runtime: Runtime, launch: Launch) -> None:
        self._runtime = runtime
        self._launch = launch
        self._lock = threading.Lock()
        self._last: dict[int, _Launched] = {}

    def ensure_worker(self, identity: int) -> None:
        """Launch a worker for the model, unless it has one or has to wait for its turn.

        A training that a worker has begun counts its attempts itself. One that ends before, such
        as for want of memory or a broken installation, leaves no trace but in its log: after as
        many of these as there are attempts, the model is given up. The count is this process's:
        another one, perhaps on a repaired installation, may try again.

        Raises:
            Waits: The disk was full a moment ago.
            sqlite3.Error: The state cannot be written: a worker could not even begin.
        """
        with self._lock:
            last = self._last.get(identity)
        if last is not None and last.is_alive():
            return  # it may still be starting, and hold no lock yet
        # Two callers may both come this far and launch: the second worker finds the locks taken,
        # or nothing to train, and ends.
        held, quotas = self._runtime.locks, self._runtime.quotas
        slots = map(locks.training_slot, range(quotas.concurrent_trainings))
        if not (held.is_free(locks.model(identity)) and any(map(held.is_free, slots))):
            return
        with self._runtime.database.read() as tx:
            model, attempts = models.find(tx, identity), models.total_attempts(tx)
        waits = model is not None and model.message.startswith(WAITS)
        if model is not None and waits and last and time.monotonic() < last.since + _PAUSE:
            raise Waits(model.message)
        with self._runtime.database.write() as tx:
            if not models.may_be_trained(tx, identity):
                return
        in_vain = last is not None and last.attempts == attempts and not waits
        false_starts = last.false_starts + 1 if last is not None and in_vain else 0
        if false_starts >= quotas.training_attempts:
            job.fail(self._runtime, identity, _NO_START.format(count=false_starts))
            return
        launched = _Launched(self._launch(self._runtime), attempts, false_starts, time.monotonic())
        with self._lock:
            self._last[identity] = launched


def launch_process(runtime: Runtime) -> IsAlive:
    """Start ``python -m lfvpipe.service.jobs.training.worker`` in a session of its own."""
    log = runtime.state_dir / "logs" / "training.log"
    log.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "lfvpipe.service.jobs.training.worker"]
    with log.open("ab") as opened:
        process = subprocess.Popen(
            [*command, str(runtime.state_dir), quotas_to_json(runtime.quotas)],
            stdin=subprocess.DEVNULL,
            stdout=opened,
            stderr=opened,
            cwd=runtime.state_dir,
            env={**_ONE_THREAD, **environment()},
            # Neither Ctrl-C nor the terminal's end, both meant for us, ends a training.
            start_new_session=True,
            creationflags=_WINDOWS_DETACHED if os.name == "nt" else 0,
        )
    # Reaps the worker should it end before us; nobody waits for the thread.
    threading.Thread(target=process.wait, name="lfvpipe-reaper", daemon=True).start()
    return lambda: process.poll() is None
