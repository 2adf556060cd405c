"""CreateDataset, DescribeDataset, ListDatasetEntries, UpdateDatasetEntries, DeleteDataset."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import NotRequired, TypedDict

from lfvpipe import manifest
from lfvpipe.lookout.statuses import DATASET_BUSY, DatasetStatus
from lfvpipe.service.faults import conflict, invalid
from lfvpipe.service.jobs.messages import CREATED
from lfvpipe.service.operations.base import PAGE, OperationContext, Result, read_token, write_token
from lfvpipe.service.roles import Role, check_admin, present_actor
from lfvpipe.service.runtime import describe_storage
from lfvpipe.service.state import contents, datasets, entries, projects, tokens
from lfvpipe.service.state.contents import Content, ContentState
from lfvpipe.service.state.database import Transaction
from lfvpipe.service.state.datasets import Dataset


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
        projects.get(tx, project_name)
        if datasets.exists(tx, project_name, dataset_type):
            exists = f"project {project_name} has a {dataset_type} dataset already; delete it first"
            raise conflict("DATASET", f"{project_name}/{dataset_type}", exists)
        named = _manifest(dataset_source)
        storage = describe_storage(self.context.buckets)
        if named is None:
            status, message = DatasetStatus.CREATE_COMPLETE, CREATED
            content = contents.create_empty(tx, storage)
        else:
            status, message = DatasetStatus.CREATE_IN_PROGRESS, "The dataset is creating."
            content = contents.create_from_manifest(
                tx,
                storage,
                bucket=named["Bucket"],
                key=named["Key"],
                version_id=named.get("VersionId"),
            )
        datasets.create(
            tx,
            project=project_name,
            dataset_type=dataset_type,
            created=self.context.runtime.clock(),
            status=status,
            message=message,
            content=content,
        )
        dataset = datasets.get(tx, project_name, dataset_type)
        tokens.renew(tx, tokens.dataset_resource(dataset))
        tx.after(partial(self.context.scheduler.reconcile_dataset, dataset))
        return {"DatasetMetadata": metadata(dataset)}

    def describe_dataset(self, tx: Transaction, *, project_name: str, dataset_type: str) -> Result:
        """Describe a dataset and count its images."""
        dataset = datasets.get(tx, project_name, dataset_type)
        tx.after(partial(self.context.scheduler.reconcile_dataset, dataset))
        content = contents.find(tx, dataset.content)
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
        dataset = datasets.get(tx, project_name, dataset_type)
        tx.after(partial(self.context.scheduler.reconcile_dataset, dataset))
        filters = entries.Filters(
            labeled=labeled,
            label=anomaly_class,
            created_before=_epoch(before_creation_date),
            created_after=_epoch(after_creation_date),
            source_contains=source_ref_contains,
        )
        after = read_token(next_token, "entries", 0)
        found = entries.page(tx, dataset.content, filters, after=after, limit=max_results + 1)
        page = found[:max_results]
        token = write_token(found, max_results, page[-1].seq if page else 0, "entries")
        return {"DatasetEntries": [entry.line for entry in page], "NextToken": token}

    def update_dataset_entries(
        self, tx: Transaction, *, project_name: str, dataset_type: str, changes: bytes
    ) -> Result:
        """Begin to add or replace JSON lines; a bad line leaves the dataset as it was."""
        dataset = datasets.get(tx, project_name, dataset_type)
        if dataset.status in DATASET_BUSY or dataset.status == DatasetStatus.CREATE_FAILED:
            state = f"the {dataset_type} dataset of project {project_name} is {dataset.status}"
            raise conflict("DATASET", dataset.name, f"{state} and cannot be updated")
        if present_actor().role is not Role.ADMIN:
            self._insist_on_known(tx, dataset, changes)
        storage = describe_storage(self.context.buckets)
        content = contents.create_from_changes(tx, storage, base=dataset.content, changes=changes)
        now = self.context.runtime.clock()
        datasets.begin_update(tx, dataset, next_content=content, now=now)
        updating = datasets.get(tx, project_name, dataset_type)
        tx.resource = tokens.dataset_resource(updating)
        tx.after(partial(self.context.scheduler.reconcile_dataset, updating))
        return {"Status": updating.status}

    def _insist_on_known(self, tx: Transaction, dataset: Dataset, changes: bytes) -> None:
        """Refuse lines of images that the dataset does not have: who labels adds none."""
        sources = set()
        for line in changes.splitlines():
            with suppress(UnicodeDecodeError, manifest.LineError):  # such are told of later
                longest = self.context.runtime.quotas.max_manifest_line
                text = line.decode("utf-8-sig").strip()
                sources.add(manifest.service_entry(text, longest=longest).source)
        known = {row.source for row in entries.of_sources(tx, dataset.content, sources)}
        for source in sorted(sources - known):
            check_admin(f"add images such as {source}")

    def delete_dataset(self, tx: Transaction, *, project_name: str, dataset_type: str) -> Result:
        """Delete a dataset; its images stay, and so do its lines while a model trains on them."""
        dataset = datasets.get(tx, project_name, dataset_type)
        tokens.renew(tx, tokens.dataset_resource(dataset))
        datasets.delete(tx, dataset)
        contents.collect(tx)
        return {}


def _manifest(source: DatasetSource | None) -> InputS3Object | None:
    named = (source or {}).get("GroundTruthManifest", {}).get("S3Object")
    if source is not None and named is None:
        raise invalid("datasetSource must name groundTruthManifest.s3Object")
    return named


def _epoch(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def metadata(dataset: Dataset) -> Result:
    """Return the dataset's DatasetMetadata."""
    return {
        "DatasetType": dataset.type,
        "CreationTimestamp": dataset.created,
        "Status": dataset.status,
        "StatusMessage": dataset.message,
    }


def _stats(content: Content | None) -> Result:
    if content is None or content.state is not ContentState.READY:
        return {"Total": 0, "Labeled": 0, "Normal": 0, "Anomaly": 0}
    return {
        "Total": content.total,
        "Labeled": content.normal + content.anomaly,
        "Normal": content.normal,
        "Anomaly": content.anomaly,
    }
