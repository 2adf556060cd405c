"""The models that this process hosts, by their rows."""

import sqlite3
import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from lfvpipe.errors import UserError
from lfvpipe.lookout.statuses import MODEL_STOPPABLE
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import models
from lfvpipe.service.state.models import Model
from lfvpipe.service.units.pool import Pool, PoolClosed
from lfvpipe.service.units.process import ModelSource, ProcessUnit, UnitDied

if TYPE_CHECKING:
    from lfvpipe.detector import TrainedModel, Verdict

_MOST_LOADED = 4  # models in this process' own memory; more are loaded again when they are asked


class Host(Protocol):
    """One hosted model."""

    @property
    def closed(self) -> bool:
        """Whether it takes no more requests."""

    def resize(self, least: int, most: int) -> None:
        """Have so many inference units from now on."""

    def detect(self, image: bytes) -> "Verdict":
        """Judge an image's file; raises PoolClosed, UnitDied or UserError."""

    def close(self) -> None:
        """Take no more requests, and return when the last one is answered."""


class InProcess:
    """A model in this process' memory, asked by many threads at once."""

    def __init__(self, trained: "TrainedModel") -> None:
        self._trained = trained
        self._idle = threading.Condition()
        self._busy = 0
        self.closed = False

    def resize(self, least: int, most: int) -> None:
        """Change nothing: the threads that ask are its units."""

    def detect(self, image: bytes) -> "Verdict":
        """Judge an image's file."""
        with self._idle:
            if self.closed:
                raise PoolClosed
            self._busy += 1
        try:
            return self._trained.detect(image)
        finally:
            with self._idle:
                self._busy -= 1
                self._idle.notify_all()

    def close(self) -> None:
        """Take no more requests, and return when the last one is answered."""
        with self._idle:
            self.closed = True
            self._idle.wait_for(lambda: self._busy == 0)


class Hosts:
    """Opens a model's host when it is first needed; safe to ask from many threads.

    Bringing a model up takes seconds, so it happens outside the lock, with a future in the model's
    place: of many threads that ask at the same moment one brings it up, and the others wait for
    the future instead of doing it again.

    Args:
        runtime: The state.
        isolated: Every unit is a process of its own; else a single unit is this process.
    """

    def __init__(self, runtime: Runtime, *, isolated: bool) -> None:
        self._runtime = runtime
        self.isolated = isolated and runtime.stand_in is None
        self._lock = threading.Lock()
        self._hosts: OrderedDict[int, Future[Host]] = OrderedDict()  # asked last at the end

    def detect(self, model: Model, image: bytes) -> "Verdict":
        """Judge an image's file.

        Raises:
            PoolClosed: The model has just been stopped.
            UserError: The image cannot be judged, or the model's file is missing or damaged.
            UnitDied: The units died of the image.
        """
        return self.open(model).detect(image)

    def open(self, model: Model) -> Host:
        """Return the model's host, brought up once with the units that its row asks for.

        Raises:
            UserError: Its file is missing or damaged.
            UnitDied: Its processes do not start.
        """
        future, ours = self._reserve(model.id)
        if ours:
            try:
                future.set_result(self._make(model))
            except BaseException as error:
                with self._lock:  # the next who asks tries again
                    if self._hosts.get(model.id) is future:
                        del self._hosts[model.id]
                future.set_exception(error)
        host = future.result()
        host.resize(*_units(model))
        return host

    def has(self, identity: int) -> bool:
        """Say whether the model is hosted by this process, or about to be."""
        with self._lock:
            return identity in self._hosts

    def close(self, identity: int) -> None:
        """Let go of a model that is no longer hosted, once its last request is answered."""
        with self._lock:
            future = self._hosts.pop(identity, None)
        if future is not None and future.exception() is None:
            future.result().close()

    def close_all(self) -> None:
        """Let go of every model."""
        with self._lock:
            identities = list(self._hosts)
        for identity in identities:
            self.close(identity)

    def _reserve(self, identity: int) -> tuple["Future[Host]", bool]:
        """Return the model's host to be, and whether the caller has to make it."""
        with self._lock:
            found = self._hosts.get(identity)
            # A pool closes itself when its model was stopped by another process.
            if found is not None and not (_is_up(found) and found.result().closed):
                self._hosts.move_to_end(identity)
                return found, False
            future: Future[Host] = Future()
            self._hosts[identity] = future
            self._evict()
            return future, True

    def _evict(self) -> None:
        """Forget what was asked longest ago, where this process' own memory holds the models.

        Nobody closes it: a thread that is asking it just now still has it, and what is asked
        again is loaded again.
        """
        own = [
            identity
            for identity, future in self._hosts.items()
            if _is_up(future) and isinstance(future.result(), InProcess)
        ]
        for identity in own[: max(0, len(own) - _MOST_LOADED + 1)]:
            del self._hosts[identity]

    def _make(self, model: Model) -> Host:
        file = self._runtime.model_file(model.id)
        if not file.is_file():
            raise UserError(f"The model file {file} is gone; create the model again.")
        least, most = _units(model)
        if self._runtime.stand_in is not None or not (self.isolated or least > 1):
            return InProcess(self._runtime.detector_of(model).load(file))
        source = ModelSource(file, model.detector, (model.width or 0, model.height or 0))
        log = self._runtime.state_dir / "logs" / "hosting.log"
        pool = Pool(
            lambda: ProcessUnit(source, log),
            least,
            most,
            is_wanted=lambda: _is_hosted(self._runtime, model.id),
        )
        pool.open()
        return pool


def _is_up(future: "Future[Host]") -> bool:
    return future.done() and future.exception() is None


def _units(model: Model) -> tuple[int, int]:
    least = model.min_units or 1
    return least, model.max_units or least


def _is_hosted(runtime: Runtime, identity: int) -> bool:
    """Say whether the model is still to be hosted: another process may have stopped it."""
    try:
        with runtime.database.read() as tx:
            model = models.find(tx, identity)
    except sqlite3.Error:  # such as a disk that fails for a moment: requests will tell
        return True
    return model is not None and model.status in MODEL_STOPPABLE


__all__ = ["Hosts", "PoolClosed", "UnitDied"]
