"""Trainings that a pipeline began and has not waited for: which are under way, and their end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from lfvpipe.lookout.descriptions import describe_model
from lfvpipe.lookout.failures import ABSENT, CONFLICT, LookoutError, explained
from lfvpipe.lookout.statuses import ModelStatus
from lfvpipe.lookout.waiters import wait_for_model_deletion
from lfvpipe.steps.model.outcome import ModelSaved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.steps.context import Context


@dataclass(frozen=True)
class Training:
    """A model version in training.

    Attributes:
        message: What the service says of how far it is.
    """

    project: str
    version: str
    message: str = ""

    def __str__(self) -> str:
        """Return what it is called."""
        return f"the training of version {self.version} of project {self.project}"


class Ending(Enum):
    """What became of a training that was to be cancelled."""

    CANCELLED = "cancelled"
    TRAINED = "trained"
    FAILED = "failed"
    GONE = "gone"


def trainings_under_way(context: Context, ledger: Ledger) -> Sequence[Training]:
    """Return the trainings of unfinished attempts, as the service says; no call where is none.

    Raises:
        LookoutError: A call failed.
    """
    found = {}
    for record in ledger.records("model"):
        saved = ModelSaved.from_json(record.saved)
        if record.state == "done" or saved.version is None:
            continue
        project = saved.project or context.pipeline.project
        model = describe_model(context.lookout, project, saved.version)
        if model is not None and model["Status"] == ModelStatus.TRAINING:
            known = Training(project, saved.version, str(model.get("StatusMessage", "")))
            found[project, saved.version] = known
    return list(found.values())


def ending_of(context: Context, training: Training) -> Ending | None:
    """Return how a training has ended, as the service says now; None while it goes on.

    Raises:
        LookoutError: The call failed.
    """
    model = describe_model(context.lookout, training.project, training.version)
    match model and model["Status"]:
        case ModelStatus.TRAINING:
            return None
        case None | ModelStatus.DELETING:
            return Ending.GONE
        case ModelStatus.TRAINING_FAILED:
            return Ending.FAILED
    return Ending.TRAINED


def cancel_training(context: Context, training: Training) -> Ending:
    """Cancel a training, and wait until it is gone; the next run begins another version.

    What has ended since somebody saw it go on is left as it is: a trained model stays.

    There is no other way in the API than to delete the version. The embedded service keeps what
    it had come to for the next training of the project.

    Raises:
        LookoutError: A call failed, or the service does not cancel trainings.
    """
    project, version = training.project, training.version
    if (ended := ending_of(context, training)) is not None:
        return ended
    try:
        with explained(f"cancelling {training}"):
            context.lookout.delete_model(ProjectName=project, ModelVersion=version)
    except LookoutError as error:
        if error.code == ABSENT:
            return Ending.GONE
        if error.code == CONFLICT:
            raise LookoutError(
                f"The service does not cancel {training}: {error.message}",
                hint="A server of lfvpipe does where its quotas.json says"
                ' {"cancel_trainings": true}; the training goes on.',
                code=CONFLICT,
            ) from error
        raise
    wait_for_model_deletion(context.lookout, project=project, version=version)
    return Ending.CANCELLED
