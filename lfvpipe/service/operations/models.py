"""CreateModel, DescribeModel, ListModels, DeleteModel."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NotRequired, TypedDict

from lfvpipe.lookout.progress import TRAINING
from lfvpipe.lookout.statuses import MODEL_HOSTING, ModelStatus
from lfvpipe.service.faults import conflict, over_quota
from lfvpipe.service.operations.base import (
    PAGE,
    OperationContext,
    Result,
    check_output_key,
    read_token,
    write_token,
)
from lfvpipe.service.operations.tags import Tag, put_tags
from lfvpipe.service.runtime import describe_storage
from lfvpipe.service.state import datasets, models, projects, tokens
from lfvpipe.service.state.database import Transaction
from lfvpipe.service.state.models import Model


class S3Location(TypedDict):
    """A bucket, and what keys begin with."""

    Bucket: str
    Prefix: NotRequired[str]


class OutputConfig(TypedDict):
    """Where the evaluation files go."""

    S3Location: S3Location


@dataclass(frozen=True)
class Models:
    """The operations on model versions."""

    context: OperationContext

    def create_model(
        self,
        tx: Transaction,
        *,
        project_name: str,
        output_config: OutputConfig,
        description: str | None = None,
        kms_key_id: str | None = None,
        tags: Sequence[Tag] = (),
    ) -> Result:
        """Begin to train a model version on the project's datasets as they are now.

        Whether there are too few images is told as TRAINING_FAILED: a dataset may still be in the
        making, and the guide does not say otherwise.
        """
        projects.get(tx, project_name)
        train, test = _contents(tx, project_name)
        most = self.context.runtime.quotas.models_per_project
        if models.count_of_project(tx, project_name) >= most:
            full = f"project {project_name} has {most} models already; delete one"
            raise over_quota("MODEL", project_name, full, quota="models-per-project")
        self._require_place_in_line(tx, project_name)
        version = projects.take_version(tx, project_name)
        location = output_config["S3Location"]
        arn = self.context.arn(f"model/{project_name}/{version}")
        models.create(
            tx,
            project=project_name,
            version=version,
            arn=arn,
            created=self.context.runtime.clock(),
            description=description,
            message=TRAINING,
            output_bucket=location["Bucket"],
            output_prefix=location.get("Prefix"),
            kms_key=kms_key_id,
            storage=describe_storage(self.context.buckets),
            train_content=train,
            test_content=test,
            detector=self.context.runtime.detector_name,
        )
        put_tags(tx, arn, tags, self.context.runtime.quotas)
        tokens.renew(tx, arn)
        # A worker is started only after the commit, for it finds its work in the table. A kill
        # between the two loses nothing: the row says TRAINING, and the next look starts a worker.
        model = self._get(tx, project_name, str(version))
        for key in model.output_keys.values():
            check_output_key(self.context.buckets, location["Bucket"], key)
        return {"ModelMetadata": _metadata(model)}

    def describe_model(self, tx: Transaction, *, project_name: str, model_version: str) -> Result:
        """Describe a model version."""
        model = self._get(tx, project_name, model_version)
        return {"ModelDescription": _description(model)}

    def list_models(
        self,
        tx: Transaction,
        *,
        project_name: str,
        next_token: str | None = None,
        max_results: int = PAGE,
    ) -> Result:
        """List a project's model versions, oldest first, with their performance."""
        projects.get(tx, project_name)
        after = read_token(next_token, "models", 0)
        found = models.page(tx, project_name, after=after, limit=max_results + 1)
        page = found[:max_results]
        for model in page:
            tx.after(partial(self.context.scheduler.reconcile_model, model))
        token = write_token(found, max_results, page[-1].version if page else 0, "models")
        return {"Models": [_metadata(model) for model in page], "NextToken": token}

    def delete_model(self, tx: Transaction, *, project_name: str, model_version: str) -> Result:
        """Delete a model version; a hosted one must be stopped first.

        One in training cannot be deleted, says the guide. As there is no other way to cancel a
        training, the quotas may allow it, as those of a service within its caller do.
        """
        model = models.get(tx, project_name, model_version)
        if model.status in MODEL_HOSTING:
            raise conflict_of(model, f"is {model.status}; stop it before it is deleted")
        is_training = model.status == ModelStatus.TRAINING
        if is_training and not self.context.runtime.quotas.cancel_trainings:
            raise conflict_of(model, "is TRAINING; delete it when its training is over")
        tokens.renew(tx, model.arn)
        deleting = ModelStatus.DELETING
        models.change_status(tx, model.id, model.status, deleting, "The model is being deleted.")
        self._get(tx, project_name, model_version)
        return {"ModelArn": model.arn}

    def _require_place_in_line(self, tx: Transaction, project_name: str) -> None:
        quotas = self.context.runtime.quotas
        if quotas.queued_trainings is None:
            return
        at_once = quotas.concurrent_trainings
        if models.counts_by_status(tx).get(ModelStatus.TRAINING, 0) >= (
            at_once + quotas.queued_trainings
        ):
            line = f" and {quotas.queued_trainings} wait in line" if quotas.queued_trainings else ""
            full = f"{at_once} trainings are under way{line}, as many as may be; try again later"
            raise over_quota("MODEL", project_name, full, quota="concurrent-trainings")

    def _get(self, tx: Transaction, project_name: str, version: str) -> Model:
        """Return the model, and have done what its status promises once the transaction ends."""
        model = models.get(tx, project_name, version)
        tx.after(partial(self.context.scheduler.reconcile_model, model))
        return model


def _contents(tx: Transaction, name: str) -> tuple[int, int | None]:
    """Return the datasets' contents as they are, or will be after an update under way."""
    found = {
        dataset.type: dataset.next_content or dataset.content
        for dataset in datasets.of_project(tx, name)
    }
    if "train" not in found:
        raise conflict("DATASET", f"{name}/train", f"project {name} has no training dataset")
    return found["train"], found.get("test")


def conflict_of(model: Model, problem: str) -> Exception:
    """Return the ConflictException of a model whose state does not allow the operation."""
    name = f"{model.project}/{model.version}"
    return conflict("MODEL", name, f"model {model.version} of project {model.project} {problem}")


def _metadata(model: Model) -> dict[str, Any]:
    measured = {"F1Score": model.f1, "Recall": model.recall, "Precision": model.precision}
    return {
        "CreationTimestamp": model.created,
        "ModelVersion": str(model.version),
        "ModelArn": model.arn,
        "Description": model.description,
        "Status": model.status,
        "StatusMessage": model.message,
        "Performance": None if model.f1 is None else measured,
    }


def _description(model: Model) -> Result:
    bucket = model.output_bucket
    files: dict[str, Any] = {}
    if model.evaluated is not None and model.unpublished is None:
        keys = model.output_keys.items()
        files = {name: {"Bucket": bucket, "Key": key} for name, key in keys}
    return {
        **_metadata(model),
        **files,
        "OutputConfig": {"S3Location": {"Bucket": bucket, "Prefix": model.output_prefix}},
        "EvaluationEndTimestamp": model.evaluated,
        "KmsKeyId": model.kms_key,
        "MinInferenceUnits": model.min_units,
        "MaxInferenceUnits": model.max_units,
    }
