"""Trainings that a pipeline began and has not waited for: which are under way, and their end."""

from __future__ import annotations

from dataclasses import dataclass
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


def cancel_training(context: Context, training: Training) -> bool:
    """Cancel a training, and wait until it is gone; the next run begins another version.

    There is no other way in the API than to delete the version: whether it is still in training
    is therefore looked at last, since a person may have thought about it for long. The embedded
    service keeps what it had come to for the next training of the project.

    Returns:
        False if it had ended by itself: the version stays as it is.

    Raises:
        LookoutError: A call failed, or the service does not cancel trainings.
    """
    project, version = training.project, training.version
    try:
        model = describe_model(context.lookout, project, version)
        if model is None or model["Status"] != ModelStatus.TRAINING:
            return False
        with explained(f"cancelling {training}"):
            context.lookout.delete_model(ProjectName=project, ModelVersion=version)
    except LookoutError as error:
        if error.code == ABSENT:
            return False
        if error.code == CONFLICT:
            raise LookoutError(
                f"The service does not cancel {training}: {error.message}",
                hint="A server of lfvpipe does where its quotas.json says"
                ' {"cancel_trainings": true}; the training goes on.',
                code=CONFLICT,
            ) from error
        raise
    wait_for_model_deletion(context.lookout, project=project, version=version)
    return True
