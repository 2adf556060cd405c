"""A project's dataset on the service: created, updated and deleted, and waited for each time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.lookout.api import DATASET_TYPES
from lfvpipe.lookout.descriptions import describe_dataset
from lfvpipe.lookout.failures import ABSENT, LookoutError, explained
from lfvpipe.lookout.statuses import DATASET_BUSY, DATASET_GOING, DatasetStatus
from lfvpipe.lookout.waiters import wait_for_dataset, wait_for_dataset_deletion

if TYPE_CHECKING:
    from lfvpipe.engine.step import Work
    from lfvpipe.lookout.api import DatasetType
    from lfvpipe.lookout.descriptions import Description
    from lfvpipe.steps.context import Context


def at_rest(context: Context, work: Work, split: DatasetType) -> Description | None:
    """Return the dataset that is there, after whatever is going on with it has ended."""
    project = context.pipeline.project
    live = describe_dataset(context.lookout, project, split)
    if live and live["Status"] in DATASET_BUSY:
        try:
            return _wait(context, work, split)
        except LookoutError:  # it failed, so it will be replaced; or the service is away
            return describe_dataset(context.lookout, project, split)
    if live and live["Status"] in DATASET_GOING:
        _wait_until_gone(context, project, split, work)
        return None
    return live


def create(context: Context, work: Work, split: DatasetType, manifest_key: str) -> Description:
    """Create the dataset from a manifest in the pipeline's bucket; wait until it is complete."""
    project = context.pipeline.project
    location = {"Bucket": context.bucket.name, "Key": manifest_key}
    with explained(f"creating the {split} dataset of project {project}"):
        context.lookout.create_dataset(
            ProjectName=project,
            DatasetType=split,
            DatasetSource={"GroundTruthManifest": {"S3Object": location}},
        )
    return _wait(context, work, split)


def update(context: Context, work: Work, split: DatasetType, changes: bytes) -> Description:
    """Add and replace the entries that `changes`, JSON Lines, holds; wait until that is done."""
    project = context.pipeline.project
    with explained(f"updating the {split} dataset of project {project}"):
        context.lookout.update_dataset_entries(
            ProjectName=project, DatasetType=split, Changes=changes
        )
    return _wait(context, work, split)


def delete(context: Context, project: str, split: DatasetType, work: Work | None = None) -> None:
    """Delete the dataset, if there is one, and wait until it is gone."""
    try:
        with explained(f"deleting the {split} dataset of project {project}"):
            context.lookout.delete_dataset(ProjectName=project, DatasetType=split)
    except LookoutError as error:
        if error.code != ABSENT:
            raise
    _wait_until_gone(context, project, split, work)


def first_entry(context: Context, project: str, split: DatasetType) -> str | None:
    """Return one of the dataset's entries, a JSON line; None if it has none."""
    with explained(f"reading the {split} dataset of project {project}"):
        page = context.lookout.list_dataset_entries(
            ProjectName=project, DatasetType=split, MaxResults=1
        )
    return next(iter(page.get("DatasetEntries", ())), None)


def _wait(context: Context, work: Work, split: DatasetType) -> Description:
    def show(status: str, message: str) -> None:
        done, total = DATASET_TYPES.index(split), len(DATASET_TYPES)
        work.progress(done, total, "datasets", f"{split}: {message or status}")

    try:
        return wait_for_dataset(
            context.lookout,
            project=context.pipeline.project,
            dataset_type=split,
            on_status=show,
            cancelled=work.cancelled,
        )
    except LookoutError as error:
        pipeline = context.pipeline
        is_elsewhere = pipeline.service.endpoint != "embedded"
        if error.code in _FAILED and is_elsewhere and pipeline.bucket.endpoint == "local":
            error.hint = error.hint or _ELSEWHERE.format(context.buckets_dir.absolute())
        raise


_FAILED = frozenset({DatasetStatus.CREATE_FAILED, DatasetStatus.UPDATE_FAILED_ROLLBACK_COMPLETE})
# Two processes that both say "local" may mean different folders, and then the one does not find
# what the other uploaded. Which of the reasons for a failure it was, no API tells.
_ELSEWHERE = (
    "If it does not find what was uploaded, it keeps its local buckets in another folder: start it"
    " with `lfvpipe serve --buckets {}`, or name an S3 store that both reach as `bucket.endpoint`"
    " here and with `--storage` there."
)


def _wait_until_gone(context: Context, project: str, split: DatasetType, work: Work | None) -> None:
    """Wait until a deleted dataset is gone; DeleteDataset answers before it is done."""

    def show(_status: str, _message: str) -> None:
        if work:
            work.progress(0, None, "datasets", f"{split}: waiting for its deletion")

    wait_for_dataset_deletion(
        context.lookout,
        project=project,
        dataset_type=split,
        on_status=show,
        cancelled=work.cancelled if work else None,
    )
