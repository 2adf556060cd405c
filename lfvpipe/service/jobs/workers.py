"""Sees to it that what is to be trained has a worker, unless no worker gets to work."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from lfvpipe.service.jobs import training
from lfvpipe.service.jobs.launch import IsAlive
from lfvpipe.service.jobs.train import slot_name
from lfvpipe.service.runtime import Runtime

Launch = Callable[[Runtime], IsAlive]
_NO_START = (
    "The training process ended {count} times before it could begin;"
    " logs/training.log in the service's folder says why. Then create another model."
)


@dataclass(frozen=True)
class _Worker:
    """One that was launched for a model.

    Attributes:
        begun: How many trainings had been begun by then, by all workers.
        in_vain: How many before it, in a row, had ended without beginning one.
    """

    is_alive: IsAlive
    begun: int
    in_vain: int


class Workers:
    """Launches training workers over one state; safe to ask from many threads."""

    def __init__(self, runtime: Runtime, launch: Launch) -> None:
        self._runtime = runtime
        self._launch = launch
        self._lock = threading.Lock()
        self._last: dict[int, _Worker] = {}

    def ensure_worker(self, identity: int) -> None:
        """Launch a worker for the model, unless it has one or has to wait for its turn.

        A training that a worker has begun counts its attempts itself. One that ends before, such
        as for want of memory or a broken installation, leaves no trace but in its log: after as
        many of these as there are attempts, the model is given up. The count is this process's:
        another one, perhaps on a repaired installation, may try again.
        """
        with self._lock:
            last = self._last.get(identity)
        if last is not None and last.is_alive():
            return  # it may still be starting, so nothing is claimed yet
        if not self._is_free(identity):
            return
        begun = self._begun()
        in_vain = last.in_vain + 1 if last is not None and last.begun == begun else 0
        if in_vain >= self._runtime.quotas.training_attempts:
            training.fail(self._runtime, identity, _NO_START.format(count=in_vain))
            return
        launched = _Worker(self._launch(self._runtime), begun, in_vain)
        with self._lock:
            self._last[identity] = launched

    def _is_free(self, identity: int) -> bool:
        claims, quotas = self._runtime.claims, self._runtime.quotas
        slots = (slot_name(number) for number in range(quotas.concurrent_trainings))
        return claims.is_free(training.claim_name(identity)) and any(map(claims.is_free, slots))

    def _begun(self) -> int:
        with self._runtime.database.read() as tx:
            row = tx.one("SELECT TOTAL(attempts) FROM models")
        return 0 if row is None else int(row[0])
