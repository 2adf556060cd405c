"""The table of datasets: a project has one for training, and may have one for testing."""

import sqlite3
from dataclasses import dataclass

from lfvpipe.lookout.statuses import DatasetStatus
from lfvpipe.service.faults import not_found
from lfvpipe.service.state import projects
from lfvpipe.service.state.database import Transaction

_SELECT = (
    "SELECT project, type, created, updated, status, message, content, next_content FROM datasets"
)


@dataclass(frozen=True)
class Dataset:
    """A dataset.

    Attributes:
        type: ``train`` or ``test``.
        created: Epoch seconds, as is `updated`.
        content: The id of the content that it has.
        next_content: The id of the content that an update is making.
    """

    project: str
    type: str
    created: float
    updated: float
    status: DatasetStatus
    message: str
    content: int
    next_content: int | None

    @property
    def name(self) -> str:
        """What names it among all: it has no ARN."""
        return f"{self.project}/{self.type}"


def get(tx: Transaction, project: str, dataset_type: str) -> Dataset:
    """Return the dataset of an existing project.

    Raises:
        Fault: ResourceNotFoundException.
    """
    projects.get(tx, project)
    row = tx.one(f"{_SELECT} WHERE project = ? AND type = ?", project, dataset_type)
    if row is None:
        missing = f"project {project} has no {dataset_type} dataset"
        raise not_found("DATASET", f"{project}/{dataset_type}", missing)
    return _dataset(row)


def exists(tx: Transaction, project: str, dataset_type: str) -> bool:
    """Say whether the project has such a dataset."""
    query = "SELECT type FROM datasets WHERE project = ? AND type = ?"
    return tx.one(query, project, dataset_type) is not None


def of_project(tx: Transaction, project: str) -> list[Dataset]:
    """Return the project's datasets, training first."""
    return [
        _dataset(row) for row in tx.all(f"{_SELECT} WHERE project = ? ORDER BY type DESC", project)
    ]


def of_content(tx: Transaction, content: int) -> Dataset | None:
    """Return the dataset that has the content, or is being updated to it."""
    row = tx.one(f"{_SELECT} WHERE ? IN (content, next_content)", content)
    return None if row is None else _dataset(row)


def in_progress(tx: Transaction) -> list[Dataset]:
    """Return the datasets whose creation or update is under way."""
    busy = (DatasetStatus.CREATE_IN_PROGRESS, DatasetStatus.UPDATE_IN_PROGRESS)
    return [_dataset(row) for row in tx.all(f"{_SELECT} WHERE status IN (?, ?)", *busy)]


def create(
    tx: Transaction,
    *,
    project: str,
    dataset_type: str,
    created: float,
    status: DatasetStatus,
    message: str,
    content: int,
) -> None:
    """Add a dataset."""
    tx.run(
        "INSERT INTO datasets (project, type, created, updated, status, message, content)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        *(project, dataset_type, created, created, status, message, content),
    )


def begin_update(tx: Transaction, dataset: Dataset, *, next_content: int, now: float) -> None:
    """Write that the dataset is being updated to `next_content`."""
    tx.run(
        "UPDATE datasets SET status = ?, message = 'The dataset is updating.', next_content = ?,"
        " updated = ? WHERE project = ? AND type = ?",
        *(DatasetStatus.UPDATE_IN_PROGRESS, next_content, now, dataset.project, dataset.type),
    )


def settle(
    tx: Transaction,
    dataset: Dataset,
    *,
    status: DatasetStatus,
    message: str,
    content: int,
    now: float,
) -> None:
    """Write how the creation or the update ended, and which content the dataset has now."""
    tx.run(
        "UPDATE datasets SET status = ?, message = ?, content = ?, next_content = NULL, updated = ?"
        " WHERE project = ? AND type = ?",
        *(status, message, content, now, dataset.project, dataset.type),
    )


def delete(tx: Transaction, dataset: Dataset) -> None:
    """Remove a dataset; `contents.collect` removes what it had."""
    query = "DELETE FROM datasets WHERE project = ? AND type = ?"
    tx.run(query, dataset.project, dataset.type)


def _dataset(row: sqlite3.Row) -> Dataset:
    return Dataset(**{**row, "status": DatasetStatus(row["status"])})
