"""Stops hosted models that nobody asks: they hold memory, and elsewhere cost by the hour.

When a model was asked last is the time of a file beside it, so that every process over the same
state knows, and one that starts later. It is written now and then, not with each request.
"""

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lfvpipe.lookout.statuses import ModelStatus
from lfvpipe.service.log import service_log
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import models, tokens
from lfvpipe.service.state.models import Model

_SHARE = 20  # the part of the time-out by which the file's time may be late
_LOOKS = 4
_MOST_SECONDS = 60.0  # between two looks
STOPPED = "The model was stopped: for {:g} minutes nobody had asked it."


class Idleness:
    """Knows when models were asked, and stops those that were not for the quota's time.

    Args:
        runtime: The state.
        reconcile: Takes a row whose status has changed.
    """

    def __init__(self, runtime: Runtime, reconcile: Callable[[Model], None]) -> None:
        self._runtime = runtime
        self._reconcile = reconcile
        self._limit = runtime.quotas.idle_seconds
        self._noted: dict[int, float] = {}
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="lfvpipe-idleness", daemon=True)

    def note(self, identity: int) -> None:
        """Note that a model is asked, or begins to be hosted."""
        if self._limit is None:
            return
        now = self._runtime.clock()
        if now - self._noted.get(identity, 0.0) >= self._limit / _SHARE:
            self._noted[identity] = now
            with suppress(OSError):  # a full disk is no reason to refuse an image
                file = self._file(identity)
                file.touch()
                os.utime(file, (now, now))

    def stop_idle(self) -> None:
        """Stop the models that nobody asked for longer than the time-out."""
        if self._limit is None:
            return
        with self._runtime.database.read() as tx:
            hosted = [each for each in models.unsettled(tx) if each.status is ModelStatus.HOSTED]
        for model in hosted:
            if self._seconds_idle(model.id) > self._limit * (1 + 1 / _SHARE):
                self._stop(model)

    def watch(self) -> None:
        """Look after the models from now on, until `close`."""
        if self._limit is not None:
            self._keeper.start()

    def close(self) -> None:
        """Look no more."""
        self._over.set()

    def _keep(self) -> None:
        while not self._over.wait(min(_MOST_SECONDS, (self._limit or 0.0) / _LOOKS)):
            try:
                self.stop_idle()
            except Exception:  # such as a disk that fails for a moment: the next look will do
                service_log().exception("idle models not looked at")

    def _seconds_idle(self, identity: int) -> float:
        try:
            return self._runtime.clock() - self._file(identity).stat().st_mtime
        except FileNotFoundError:  # hosted before there was a time-out, which begins now
            self.note(identity)
            return 0.0

    def _stop(self, model: Model) -> None:
        said = STOPPED.format((self._limit or 0.0) / 60)
        stopping = ModelStatus.STOPPING_HOSTING
        with self._runtime.database.write() as tx:
            if not models.change_status(tx, model.id, ModelStatus.HOSTED, stopping, said):
                return
            tokens.forget(tx, model.arn, "StartModel")
            changed = models.find(tx, model.id)
        service_log().info("idle model stopped", project=model.project, version=model.version)
        if changed is not None:
            self._reconcile(changed)

    def _file(self, identity: int) -> Path:
        return self._runtime.model_file(identity).with_name("asked")


def message_of(model: Model | None, otherwise: str) -> str:
    """Return what is said of a model that has stopped: why, if nobody had asked it."""
    beginning = STOPPED.partition("{")[0]
    return model.message if model and model.message.startswith(beginning) else otherwise
