"""CreateModel, DescribeModel, ListModels, DeleteModel."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NotRequired, TypedDict

from lfvpipe.lookout.progress import TRAINING
from lfvpipe.service.faults import conflict, over_quota
from lfvpipe.service.jobs.training.evaluation import output_keys
from lfvpipe.service.operations.base import (
    PAGE,
    OperationContext,
    Result,
    check_output_key,
    read_token,
    write_token,
)
from lfvpipe.service.operations.tags import Tag, put_tags
from lfvpipe.service.runtime import storage_of
from lfvpipe.service.state import find, tokens
from lfvpipe.service.state.database import Transaction
from lfvpipe.service.state.rows import Model, read


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
        find.project(tx, project_name)
        contents = self._contents(tx, project_name)
        self._require_room(tx, project_name)
        tx.run("UPDATE projects SET versions = versions + 1 WHERE name = ?", project_name)
        version = find.project(tx, project_name).versions
        location = output_config["S3Location"]
        arn = self.context.arn(f"model/{project_name}/{version}")
        tx.insert(
            "INSERT INTO models (project, version, arn, created, description, status, message,"
            " output_bucket, output_prefix, kms_key, storage, train_content, test_content)"
            " VALUES (?, ?, ?, ?, ?, 'TRAINING', ?, ?, ?, ?, ?, ?, ?)",
            *(project_name, version, arn, self.context.runtime.clock(), description, TRAINING),
            *(location["Bucket"], location.get("Prefix"), kms_key_id),
            *(storage_of(self.context.buckets), *contents),
        )
        put_tags(tx, arn, tags, self.context.runtime.quotas)
        tokens.renew(tx, arn)
        model = self._seen(tx, project_name, str(version))
        for key in output_keys(model).values():
            check_output_key(key)
        return {"ModelMetadata": _metadata(model)}

    def describe_model(self, tx: Transaction, *, project_name: str, model_version: str) -> Result:
        """Describe a model version."""
        model = self._seen(tx, project_name, model_version)
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
        find.project(tx, project_name)
        after = read_token(next_token, "models", 0)
        query = "SELECT * FROM models WHERE project = ? AND version > ? ORDER BY version LIMIT ?"
        rows = tx.all(query, project_name, after, max_results + 1)
        models = [read(Model, row) for row in rows]
        page = models[:max_results]
        for model in page:
            tx.after(partial(self.context.scheduler.reconcile_model, model))
        token = write_token(models, max_results, page[-1].version if page else 0, "models")
        return {"Models": [_metadata(model) for model in page], "NextToken": token}

    def delete_model(self, tx: Transaction, *, project_name: str, model_version: str) -> Result:
        """Delete a model version; one in training is cancelled, a hosted one must be stopped first.

        The guide calls deleting a model in training impossible; here it is how a training is
        cancelled, since there is no other way.
        """
        model = find.model(tx, project_name, model_version)
        if model.status in {"STARTING_HOSTING", "HOSTED", "STOPPING_HOSTING", "SYSTEM_UPDATING"}:
            raise conflict_of(model, f"is {model.status}; stop it before it is deleted")
        tokens.renew(tx, model.arn)
        query = "UPDATE models SET status = 'DELETING', message = ? WHERE id = ?"
        tx.run(query, "The model is being deleted.", model.id)
        self._seen(tx, project_name, model_version)
        return {"ModelArn": model.arn}

    def _seen(self, tx: Transaction, project_name: str, version: str) -> Model:
        model = find.model(tx, project_name, version)
        tx.after(lambda: self.context.scheduler.reconcile_model(model))
        return model

    def _contents(self, tx: Transaction, name: str) -> tuple[int, int | None]:
        """Return the datasets' contents as they are, or will be after an update under way."""
        datasets = {
            dataset.type: dataset.next_content or dataset.content
            for dataset in find.datasets(tx, name)
        }
        if "train" not in datasets:
            raise conflict("DATASET", f"{name}/train", f"project {name} has no training dataset")
        return datasets["train"], datasets.get("test")

    def _require_room(self, tx: Transaction, name: str) -> None:
        most = self.context.runtime.quotas.models_per_project
        row = tx.one("SELECT COUNT(*) FROM models WHERE project = ?", name)
        if row is not None and row[0] >= most:
            full = f"project {name} has {most} models already; delete one"
            raise over_quota("MODEL", name, full, quota="models-per-project")


def conflict_of(model: Model, problem: str) -> Exception:
    """Return the ConflictException of a model whose state does not allow the operation."""
    name = f"{model.project}/{model.version}"
    return conflict("MODEL", name, f"model {model.version} of project {model.project} {problem}")


def _metadata(model: Model) -> dict[str, Any]:
    return {
        "CreationTimestamp": model.created,
        "ModelVersion": str(model.version),
        "ModelArn": model.arn,
        "Description": model.description,
        "Status": model.status,
        "StatusMessage": model.message,
        "Performance": _performance(model),
    }


def _performance(model: Model) -> Result | None:
    if model.f1 is None:
        return None
    return {"F1Score": model.f1, "Recall": model.recall, "Precision": model.precision}


def _description(model: Model) -> Result:
    location = {"Bucket": model.output_bucket, "Prefix": model.output_prefix}
    return {
        **_metadata(model),
        **_evaluation_files(model),
        "OutputConfig": {"S3Location": location},
        "EvaluationEndTimestamp": model.evaluated,
        "KmsKeyId": model.kms_key,
        "MinInferenceUnits": model.min_units,
        "MaxInferenceUnits": model.max_units,
    }


def _evaluation_files(model: Model) -> Result:
    if model.evaluated is None:
        return {}
    keys = output_keys(model).items()
    return {name: {"Bucket": model.output_bucket, "Key": key} for name, key in keys}
