"""Finds rows, or says in the API's words that they are not there."""

from lfvpipe.service.faults import not_found
from lfvpipe.service.state.database import Database, Transaction
from lfvpipe.service.state.rows import Content, Dataset, Model, PackagingJob, Project, read


def project(tx: Transaction, name: str) -> Project:
    """Return the project.

    Raises:
        Fault: ResourceNotFoundException.
    """
    row = tx.one("SELECT * FROM projects WHERE name = ?", name)
    if row is None:
        raise not_found("PROJECT", name, f"there is no project {name}")
    return read(Project, row)


def dataset(tx: Transaction, project_name: str, dataset_type: str) -> Dataset:
    """Return the dataset of an existing project.

    Raises:
        Fault: ResourceNotFoundException.
    """
    project(tx, project_name)
    query = "SELECT * FROM datasets WHERE project = ? AND type = ?"
    row = tx.one(query, project_name, dataset_type)
    if row is None:
        missing = f"project {project_name} has no {dataset_type} dataset"
        raise not_found("DATASET", f"{project_name}/{dataset_type}", missing)
    return read(Dataset, row)


def datasets(tx: Transaction, project_name: str) -> list[Dataset]:
    """Return the project's datasets, training first."""
    query = "SELECT * FROM datasets WHERE project = ? ORDER BY type DESC"
    return [read(Dataset, row) for row in tx.all(query, project_name)]


def content(tx: Transaction, identity: int) -> Content | None:
    """Return the content, or None when nothing needs it any more."""
    row = tx.one("SELECT * FROM contents WHERE id = ?", identity)
    return None if row is None else read(Content, row)


def model(tx: Transaction, project_name: str, version: str) -> Model:
    """Return the model version of an existing project; `version` may be ``latest``.

    Raises:
        Fault: ResourceNotFoundException.
    """
    project(tx, project_name)
    if version == "latest":
        query = "SELECT * FROM models WHERE project = ? ORDER BY version DESC LIMIT 1"
        row = tx.one(query, project_name)
    else:
        query = "SELECT * FROM models WHERE project = ? AND version = ?"
        row = tx.one(query, project_name, int(version))
    if row is None:
        missing = f"project {project_name} has no model version {version}"
        raise not_found("MODEL", f"{project_name}/{version}", missing)
    return read(Model, row)


def numbered_model(database: Database, project_name: str, version: str) -> Model | None:
    """Return the model version, None for ``latest`` or where there is none; a single look."""
    if not version.isdecimal():
        return None
    query = "SELECT * FROM models WHERE project = ? AND version = ?"
    row = database.look(query, project_name, int(version))
    return None if row is None else read(Model, row)


def model_by_id(tx: Transaction, identity: int) -> Model | None:
    """Return the model version, or None when it was deleted."""
    row = tx.one("SELECT * FROM models WHERE id = ?", identity)
    return None if row is None else read(Model, row)


def model_by_arn(tx: Transaction, arn: str) -> Model:
    """Return the model version.

    Raises:
        Fault: ResourceNotFoundException.
    """
    row = tx.one("SELECT * FROM models WHERE arn = ?", arn)
    if row is None:
        raise not_found("MODEL", arn, f"there is no model {arn}")
    return read(Model, row)


def packaging_job(tx: Transaction, project_name: str, name: str) -> PackagingJob:
    """Return the packaging job of an existing project.

    Raises:
        Fault: ResourceNotFoundException.
    """
    project(tx, project_name)
    query = "SELECT * FROM packaging_jobs WHERE project = ? AND name = ?"
    row = tx.one(query, project_name, name)
    if row is None:
        missing = f"project {project_name} has no model packaging job {name}"
        raise not_found("MODEL_PACKAGE_JOB", f"{project_name}/{name}", missing)
    return read(PackagingJob, row)
