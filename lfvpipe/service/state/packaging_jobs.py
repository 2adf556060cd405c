"""The table of model packaging jobs."""

import sqlite3
from dataclasses import dataclass

from lfvpipe.lookout.statuses import PACKAGING_JOB_UNFINISHED, PackagingJobStatus
from lfvpipe.service.faults import not_found
from lfvpipe.service.state import projects
from lfvpipe.service.state.database import Transaction

_SELECT = (
    "SELECT id, project, name, version, configuration, description, storage, status, message,"
    " created, updated, output FROM packaging_jobs"
)
_UNFINISHED = tuple(PACKAGING_JOB_UNFINISHED)  # two


@dataclass(frozen=True)
class PackagingJob:
    """A packaging job.

    Attributes:
        version: The model's.
        configuration: A ModelPackagingConfiguration as JSON, its component with a version.
        storage: The object store, as JSON that `storage.buckets.reconnect` takes.
        created: Epoch seconds, as is `updated`.
        output: The ModelPackagingOutputDetails as JSON, once there is a component.
    """

    id: int
    project: str
    name: str
    version: int
    configuration: str
    description: str | None
    storage: str
    status: PackagingJobStatus
    message: str
    created: float
    updated: float
    output: str | None


def get(tx: Transaction, project: str, name: str) -> PackagingJob:
    """Return the packaging job of an existing project.

    Raises:
        Fault: ResourceNotFoundException.
    """
    projects.get(tx, project)
    row = tx.one(f"{_SELECT} WHERE project = ? AND name = ?", project, name)
    if row is None:
        missing = f"project {project} has no model packaging job {name}"
        raise not_found("MODEL_PACKAGE_JOB", f"{project}/{name}", missing)
    return _job(row)


def exists(tx: Transaction, project: str, name: str) -> bool:
    """Say whether the project has such a job."""
    query = "SELECT id FROM packaging_jobs WHERE project = ? AND name = ?"
    return tx.one(query, project, name) is not None


def page(tx: Transaction, project: str, *, after: int, limit: int) -> list[PackagingJob]:
    """Return at most `limit` jobs of a project, oldest first, those behind the id `after`."""
    query = f"{_SELECT} WHERE project = ? AND id > ? ORDER BY id LIMIT ?"
    return [_job(row) for row in tx.all(query, project, after, limit)]


def unfinished(tx: Transaction) -> list[PackagingJob]:
    """Return the jobs that somebody has to do."""
    return [_job(row) for row in tx.all(f"{_SELECT} WHERE status IN (?, ?)", *_UNFINISHED)]


def configurations(tx: Transaction) -> list[str]:
    """Return the configuration of every component that exists or is in the making."""
    query = "SELECT configuration FROM packaging_jobs WHERE status != ?"
    return [row["configuration"] for row in tx.all(query, PackagingJobStatus.FAILED)]


def create(
    tx: Transaction,
    *,
    project: str,
    name: str,
    version: int,
    configuration: str,
    description: str | None,
    storage: str,
    created: float,
) -> None:
    """Add a job."""
    tx.insert(
        "INSERT INTO packaging_jobs (project, name, version, configuration, description, storage,"
        " status, message, created, updated)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 'The job was created.', ?, ?)",
        *(project, name, version, configuration, description, storage),
        *(PackagingJobStatus.CREATED, created, created),
    )


def begin(tx: Transaction, identity: int, now: float) -> PackagingJob | None:
    """Write that the job runs, and return it; None when it is over or gone."""
    changed = tx.run(
        "UPDATE packaging_jobs SET status = ?, message = 'The job is running.', updated = ?"
        " WHERE id = ? AND status IN (?, ?)",
        *(PackagingJobStatus.RUNNING, now, identity, *_UNFINISHED),
    )
    row = tx.one(f"{_SELECT} WHERE id = ?", identity)
    return _job(row) if changed and row is not None else None


def settle(
    tx: Transaction,
    identity: int,
    status: PackagingJobStatus,
    message: str,
    *,
    now: float,
    output: str | None = None,
) -> None:
    """Write how the job ended; one that is over already stays as it is."""
    tx.run(
        "UPDATE packaging_jobs SET status = ?, message = ?, output = ?, updated = ?"
        " WHERE id = ? AND status IN (?, ?)",
        *(status, message, output, now, identity, *_UNFINISHED),
    )


def delete_of_project(tx: Transaction, project: str) -> None:
    """Remove a project's jobs."""
    tx.run("DELETE FROM packaging_jobs WHERE project = ?", project)


def _job(row: sqlite3.Row) -> PackagingJob:
    return PackagingJob(**{**row, "status": PackagingJobStatus(row["status"])})
