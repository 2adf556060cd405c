"""The model versions, for people who look at them: what the API has no operation for."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from lfvpipe.lookout.statuses import ModelStatus
from lfvpipe.service import auditing
from lfvpipe.service.jobs.scheduler import Scheduler
from lfvpipe.service.operations.models import conflict_of
from lfvpipe.service.roles import check_admin
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import changes, models, tags, tokens
from lfvpipe.storage import NoSuchObject

CANCEL: Final = "CancelTraining"
"""What the list of changes calls a cancelled training; the API has no such operation."""
_MANIFEST: Final = "EvaluationManifest"
_LARGEST: Final = 256 * 1024 * 1024  # bytes of an EvaluationManifest that is read


@dataclass(frozen=True)
class ModelVersions:
    """The model versions of one region."""

    runtime: Runtime
    scheduler: Scheduler

    def cancel_training(self, project: str, version: str) -> None:
        """End a training; its version is deleted, and what it had come to is the next one's.

        Documented is that DeleteModel refuses this, and it does; here it is asked for by name.

        Raises:
            Fault: Whoever asks is no admin; ResourceNotFoundException, or ConflictException where
                the version is not being trained.
        """
        check_admin("cancel a training")
        asked = {"ProjectName": project, "ModelVersion": version}
        with self.runtime.database.write() as tx:
            model = models.get(tx, project, version)
            if model.status is not ModelStatus.TRAINING:
                raise conflict_of(model, f"is {model.status}; only a training can be cancelled")
            with auditing.written_down(tx, CANCEL, asked, self.runtime.clock()):
                tokens.renew(tx, model.arn)
                after, told = ModelStatus.DELETING, "The training is cancelled."
                models.change_status(tx, model.id, model.status, after, told)
            changed = models.get(tx, project, version)
            tx.after(partial(self.scheduler.reconcile_model, changed))

    def evaluation(self, project: str, version: str, name: str = _MANIFEST) -> str | None:
        """Return a file of a version's evaluation, TrainingVerdicts too, as training wrote it.

        It is the spare beside the model where there is one, else what the bucket has; None where
        there is neither.

        Raises:
            Fault: ResourceNotFoundException.
            StorageError: The bucket does not answer.
        """
        with self.runtime.database.read() as tx:
            model = models.get(tx, project, version)
        if model.evaluated is None:
            return None
        with suppress(OSError, UnicodeDecodeError):
            kept = self.runtime.model_file(model.id).with_name(f"{name}.json")
            return kept.read_text("utf-8")
        bucket = self.runtime.store(model.storage).bucket(model.output_bucket)
        with suppress(NoSuchObject, UnicodeDecodeError):
            return bucket.get(model.written_keys[name], limit=_LARGEST).decode()
        return None

    def tags(self, project: str, version: str) -> Mapping[str, str]:
        """Return a version's tags.

        Raises:
            Fault: ResourceNotFoundException.
        """
        with self.runtime.database.read() as tx:
            found = tags.of_resource(tx, models.get(tx, project, version).arn)
        return {tag.key: tag.value for tag in found}

    def tag_changed(self, project: str, version: str, key: str) -> float | None:
        """Return when a tag last got another value, in epoch seconds; None where it never did.

        Raises:
            Fault: ResourceNotFoundException.
        """
        with self.runtime.database.read() as tx:
            return changes.last_of_tag(tx, project, models.get(tx, project, version).arn, key)

    def hosted_since(self, project: str) -> Mapping[str, float]:
        """Return when the hosting of a project's versions was last asked for, in epoch seconds."""
        with self.runtime.database.read() as tx:
            return changes.last_of_versions(tx, "StartModel", project)
