"""How far a training is, told to the state; and whether it is still wanted, told by the state."""

import time
from collections.abc import Callable

from lfvpipe.lookout.progress import TRAINING, TrainingProgress
from lfvpipe.lookout.statuses import ModelStatus
from lfvpipe.service.jobs.training.estimate import Doing, Estimate, words_of
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import models
from lfvpipe.service.state.models import Model

# The detector reports after every image, and each look or word is a transaction on a disk that
# the requests of clients share.
_TELL_SECONDS = 0.5  # at least, between two writes of the progress
_LOOK_SECONDS = 0.3  # at least, between two looks whether the model was deleted


class Stopped(Exception):
    """The model was deleted while it was being trained."""


class Progress:
    """Tells the state how far a model's training is, and the training whether it was deleted."""

    def __init__(self, runtime: Runtime, model: Model) -> None:
        self._runtime = runtime
        self._identity = model.id
        self._deaths = model.deaths
        self._doing = ""
        self._is_whole = model.attempts == 1
        self._estimate: Estimate | None = None
        self._told = self._looked = 0.0
        self._gone = False

    def stage(self, name: str) -> Callable[[int, int], None]:
        """Return a function that is told of (done, total) and stops a deleted training."""

        def tick(done: int, total: int) -> None:
            self.tell(name, done, total)
            self.stop_if_deleted()

        return tick

    def follow(self, estimate: Estimate) -> None:
        """Say from here on how much of the whole is done, too."""
        self._estimate = estimate

    def resume(self) -> None:
        """Be told that some of the training was done before: how long it takes tells nothing."""
        self._is_whole = False

    def finish(self) -> None:
        """Keep, for the next estimate, how long this training took."""
        if self._estimate is not None and self._is_whole:
            self._estimate.finish()

    def tell(self, stage: str, done: int, total: int) -> None:
        """Write into the StatusMessage what the training does, and now and then how far it is."""
        if self._estimate is None:
            doing = Doing(words_of(stage), None, None)
        else:
            doing = self._estimate.tell(stage, done, total)
        if doing.words == self._doing and time.monotonic() - self._told < _TELL_SECONDS:
            return
        self._doing, self._told = doing.words, time.monotonic()
        message = TrainingProgress.of(doing.words, doing.share, doing.left).as_message()
        with self._runtime.database.write() as tx:
            models.say(tx, self._identity, ModelStatus.TRAINING, message)

    def remark(self, text: str) -> None:
        """Write what the training waits for into the StatusMessage."""
        with self._runtime.database.write() as tx:
            models.say(tx, self._identity, ModelStatus.TRAINING, f"{TRAINING} {text}")

    def pause(self, seconds: float) -> None:
        """Wait so long; raise Stopped when the model is deleted meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.stop_if_deleted()
            time.sleep(min(left, _LOOK_SECONDS))

    def get_on(self) -> None:
        """Be told of what no worker has to do again: deaths before it do not count any more."""
        if self._deaths:
            with self._runtime.database.write() as tx:
                models.forget_deaths(tx, self._identity)
            self._deaths = 0

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
