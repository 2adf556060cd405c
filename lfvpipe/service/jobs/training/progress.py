"""How far a training is, told to the state; and whether it is still wanted, told by the state."""

import time
from collections.abc import Callable

from lfvpipe.lookout.progress import TrainingProgress
from lfvpipe.lookout.statuses import ModelStatus
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import models

# The detector reports after every image, and each look or word is a transaction on a disk that
# the requests of clients share.
_TELL_SECONDS = 0.5  # at least, between two writes of the progress
_LOOK_SECONDS = 0.3  # at least, between two looks whether the model was deleted


class Stopped(Exception):
    """The model was deleted while it was being trained."""


class Progress:
    """Tells the state how far a model's training is, and the training whether it was deleted."""

    def __init__(self, runtime: Runtime, identity: int) -> None:
        self._runtime = runtime
        self._identity = identity
        self._told = self._looked = 0.0
        self._gone = False

    def stage(self, name: str) -> Callable[[int, int], None]:
        """Return a function that is told of (done, total) and stops a deleted training."""

        def tick(done: int, total: int) -> None:
            self.tell(name, done, total)
            self.stop_if_deleted()

        return tick

    def tell(self, stage: str, done: int, total: int) -> None:
        """Write the progress into the StatusMessage, now and then."""
        if time.monotonic() - self._told < _TELL_SECONDS:
            return
        self._told = time.monotonic()
        message = TrainingProgress(stage.lower(), done, total).as_message()
        with self._runtime.database.write() as tx:
            models.say(tx, self._identity, ModelStatus.TRAINING, message)

    def stop_if_deleted(self) -> None:
        """Raise Stopped when the model was deleted."""
        if self.is_deleted():
            raise Stopped

    def is_deleted(self) -> bool:
        """Say whether the model was deleted, as of a moment ago."""
        if not self._gone and time.monotonic() - self._looked > _LOOK_SECONDS:
            self._looked = time.monotonic()
            with self._runtime.database.read() as tx:
                model = models.find(tx, self._identity)
            self._gone = model is None or model.status is not ModelStatus.TRAINING
        return self._gone
