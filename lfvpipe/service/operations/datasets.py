"""CreateDataset, DescribeDataset, ListDatasetEntries, UpdateDatasetEntries, DeleteDataset."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NotRequired, TypedDict

from lfvpipe.service.faults import conflict, invalid
from lfvpipe.service.jobs.contents import collect
from lfvpipe.service.operations.base import PAGE, OperationContext, Result, read_token, write_token
from lfvpipe.service.runtime import storage_of
from lfvpipe.service.state import find, tokens
from lfvpipe.service.state.database import Transaction
from lfvpipe.service.state.rows import Content, Dataset


class InputS3Object(TypedDict):
    """Where a manifest lies."""

    Bucket: str
    Key: str
    VersionId: NotRequired[str]


class GroundTruthManifest(TypedDict, total=False):
    """A manifest in S3."""

    S3Object: InputS3Object


class DatasetSource(TypedDict, total=False):
    """What a dataset is made from."""

    GroundTruthManifest: GroundTruthManifest


@dataclass(frozen=True)
class Datasets:
    """The operations on datasets."""

    context: OperationContext

    def create_dataset(
        self,
        tx: Transaction,
        *,
        project_name: str,
        dataset_type: str,
        dataset_source: DatasetSource | None = None,
    ) -> Result:
        """Create an empty dataset at once, or begin to create one from a manifest."""
        find.project(tx, project_name)
        self._require_none(tx, project_name, dataset_type)
        manifest = _manifest(dataset_source)
        content = self._insert_content(tx, manifest)
        status, message = "CREATE_COMPLETE", "The dataset was created successfully."
        if manifest is not None:
            status, message = "CREATE_IN_PROGRESS", "The dataset is creating."
        now = self.context.runtime.clock()
        values = (project_name, dataset_type, now, now, status, message, content, None)
        tx.run("INSERT INTO datasets VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *values)
        dataset = find.dataset(tx, project_name, dataset_type)
        tokens.renew(tx, tokens.of_dataset(dataset))
        tx.after(lambda: self.context.scheduler.reconcile_dataset(dataset))
        return {"DatasetMetadata": metadata(dataset)}

    def describe_dataset(self, tx: Transaction, *, project_name: str, dataset_type: str) -> Result:
        """Describe a dataset and count its images."""
        dataset = find.dataset(tx, project_name, dataset_type)
        tx.after(lambda: self.context.scheduler.reconcile_dataset(dataset))
        content = find.content(tx, dataset.content)
        described = {
            **metadata(dataset),
            "ProjectName": dataset.project,
            "LastUpdatedTimestamp": dataset.updated,
            "ImageStats": _stats(content),
        }
        return {"DatasetDescription": described}

    def list_dataset_entries(
        self,
        tx: Transaction,
        *,
        project_name: str,
        dataset_type: str,
        labeled: bool | None = None,
        anomaly_class: str | None = None,
        before_creation_date: datetime | None = None,
        after_creation_date: datetime | None = None,
        next_token: str | None = None,
        max_results: int = PAGE,
        source_ref_contains: str | None = None,
    ) -> Result:
        """List the JSON lines that pass every filter, in the manifest's order."""
        dataset = find.dataset(tx, project_name, dataset_type)
        tx.after(lambda: self.context.scheduler.reconcile_dataset(dataset))
        filters: list[tuple[str, Any]] = [("content = ?", dataset.content)]
        filters += [("seq > ?", read_token(next_token, "entries", 0))]
        if labeled is not None:
            filters.append(("(label IS NOT NULL) = ?", labeled))
        if anomaly_class is not None:
            filters.append(("label = ?", anomaly_class))
        if before_creation_date is not None:
            filters.append(("created < ?", before_creation_date.timestamp()))
        if after_creation_date is not None:
            filters.append(("created > ?", after_creation_date.timestamp()))
        if source_ref_contains is not None:
            filters.append(("INSTR(source, ?) > 0", source_ref_contains))
        where = " AND ".join(condition for condition, _ in filters)
        query = f"SELECT seq, line FROM entries WHERE {where} ORDER BY seq LIMIT ?"  # noqa: S608  (constants; values are bound)
        rows = tx.all(query, *(value for _, value in filters), max_results + 1)
        page = rows[:max_results]
        token = write_token(rows, max_results, page[-1]["seq"] if page else 0, "entries")
        return {"DatasetEntries": [row["line"] for row in page], "NextToken": token}

    def update_dataset_entries(
        self, tx: Transaction, *, project_name: str, dataset_type: str, changes: bytes
    ) -> Result:
        """Begin to add or replace JSON lines; a bad line leaves the dataset as it was."""
        dataset = find.dataset(tx, project_name, dataset_type)
        _require_settled(dataset)
        content = tx.insert(
            "INSERT INTO contents (state, storage, base, changes) VALUES ('pending', ?, ?, ?)",
            storage_of(self.context.buckets),
            dataset.content,
            changes,
        )
        tx.run(
            "UPDATE datasets SET status = 'UPDATE_IN_PROGRESS', next_content = ?, updated = ?,"
            " message = 'The dataset is updating.' WHERE project = ? AND type = ?",
            content,
            self.context.runtime.clock(),
            project_name,
            dataset_type,
        )
        updating = find.dataset(tx, project_name, dataset_type)
        tx.resource = tokens.of_dataset(updating)
        tx.after(lambda: self.context.scheduler.reconcile_dataset(updating))
        return {"Status": updating.status}

    def delete_dataset(self, tx: Transaction, *, project_name: str, dataset_type: str) -> Result:
        """Delete a dataset; its images stay, and so do its lines while a model trains on them."""
        dataset = find.dataset(tx, project_name, dataset_type)
        tokens.renew(tx, tokens.of_dataset(dataset))
        tx.run("DELETE FROM datasets WHERE project = ? AND type = ?", project_name, dataset_type)
        collect(tx)
        return {}

    def _require_none(self, tx: Transaction, project_name: str, dataset_type: str) -> None:
        query = "SELECT 1 FROM datasets WHERE project = ? AND type = ?"
        if tx.one(query, project_name, dataset_type) is not None:
            exists = f"project {project_name} has a {dataset_type} dataset already; delete it first"
            raise conflict("DATASET", f"{project_name}/{dataset_type}", exists)

    def _insert_content(self, tx: Transaction, manifest: InputS3Object | None) -> int:
        return tx.insert(
            "INSERT INTO contents (state, storage, bucket, key) VALUES (?, ?, ?, ?)",
            "ready" if manifest is None else "pending",
            storage_of(self.context.buckets),
            None if manifest is None else manifest["Bucket"],
            None if manifest is None else manifest["Key"],
        )


def _manifest(source: DatasetSource | None) -> InputS3Object | None:
    manifest = (source or {}).get("GroundTruthManifest", {}).get("S3Object")
    if source is not None and manifest is None:
        raise invalid("datasetSource must name groundTruthManifest.s3Object")
    if manifest is not None and "VersionId" in manifest:
        raise invalid("versionId is not supported here: name the manifest by its key alone")
    return manifest


def _require_settled(dataset: Dataset) -> None:
    if dataset.status.endswith("IN_PROGRESS") or dataset.status == "CREATE_FAILED":
        name = f"{dataset.project}/{dataset.type}"
        state = f"the {dataset.type} dataset of project {dataset.project} is {dataset.status}"
        raise conflict("DATASET", name, f"{state} and cannot be updated")


def metadata(dataset: Dataset) -> Result:
    """Return the dataset's DatasetMetadata."""
    return {
        "DatasetType": dataset.type,
        "CreationTimestamp": dataset.created,
        "Status": dataset.status,
        "StatusMessage": dataset.message,
    }


def _stats(content: Content | None) -> Result:
    if content is None or content.state != "ready":
        return {"Total": 0, "Labeled": 0, "Normal": 0, "Anomaly": 0}
    return {
        "Total": content.total,
        "Labeled": content.normal + content.anomaly,
        "Normal": content.normal,
        "Anomaly": content.anomaly,
    }
