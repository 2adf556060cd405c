"""The table of model versions."""

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lfvpipe.lookout import training_verdicts
from lfvpipe.lookout.statuses import MODEL_HOSTING, ModelStatus
from lfvpipe.lookout.training_verdicts import key_beside
from lfvpipe.service.faults import not_found
from lfvpipe.service.state import projects
from lfvpipe.service.state.database import Database, Transaction

_SELECT = (
    "SELECT id, project, version, arn, created, description, status, message, output_bucket,"
    " output_prefix, kms_key, storage, train_content, test_content, attempts, f1, recall,"
    " precision, evaluated, width, height, min_units, max_units, detector, deaths, unpublished"
    " FROM models"
)

_VERSION = re.compile(r"[1-9][0-9]{0,9}")


@dataclass(frozen=True)
class Model:
    """A model version.

    Attributes:
        created: Epoch seconds.
        storage: The object store, as JSON that `storage.buckets.reconnect` takes.
        train_content: The id of the content to train on, as it was when the model was created.
        test_content: The id of the content to test on; None in a single-dataset project.
        attempts: How often a worker began to train it.
        f1: Like `recall` and `precision`, within 0 and 1; None until it is trained, and where
            there was no anomaly to test on.
        evaluated: When its evaluation ended, in epoch seconds.
        width: Of its images, like `height`, in pixels.
        min_units: The inference units that StartModel asked for; None unless it is hosted.
        detector: The name of the detector that trains it and reads its file.
        deaths: How many workers that trained it died since a stage of it was last completed.
        unpublished: Why its evaluation files could not be written; None where they were.
    """

    id: int
    project: str
    version: int
    arn: str
    created: float
    description: str | None
    status: ModelStatus
    message: str
    output_bucket: str
    output_prefix: str | None
    kms_key: str | None
    storage: str
    train_content: int
    test_content: int | None
    attempts: int
    f1: float | None
    recall: float | None
    precision: float | None
    evaluated: float | None
    width: int | None
    height: int | None
    min_units: int | None
    max_units: int | None
    detector: str
    deaths: int
    unpublished: str | None

    @property
    def output_keys(self) -> Mapping[str, str]:
        """The keys of the evaluation's files: the prefix and the name, with nothing in between."""
        prefix, tail = self.output_prefix or "", f"{self.project}-{self.version}.json"
        names = ("EvaluationManifest", "EvaluationResult")
        return {name: f"{prefix}{name}-{tail}" for name in names}

    @property
    def written_keys(self) -> Mapping[str, str]:
        """The keys of these and of our own file beside them, which no answer names."""
        keys = self.output_keys
        return {**keys, training_verdicts.NAME: key_beside(keys["EvaluationManifest"])}


def get(tx: Transaction, project: str, version: str) -> Model:
    """Return the model version of an existing project; `version` may be ``latest``.

    What spells no version names none: not everybody who asks is held to the API's patterns.

    Raises:
        Fault: ResourceNotFoundException.
    """
    projects.get(tx, project)
    if version == "latest":
        row = tx.one(f"{_SELECT} WHERE project = ? ORDER BY version DESC LIMIT 1", project)
    elif _VERSION.fullmatch(version):
        row = tx.one(f"{_SELECT} WHERE project = ? AND version = ?", project, int(version))
    else:
        row = None
    if row is None:
        missing = f"project {project} has no model version {version}"
        raise not_found("MODEL", f"{project}/{version}", missing)
    return _model(row)


def get_by_arn(tx: Transaction, arn: str) -> Model:
    """Return the model version.

    Raises:
        Fault: ResourceNotFoundException.
    """
    row = tx.one(f"{_SELECT} WHERE arn = ?", arn)
    if row is None:
        raise not_found("MODEL", arn, f"there is no model {arn}")
    return _model(row)


def find(tx: Transaction, identity: int) -> Model | None:
    """Return the model version, or None when it was deleted."""
    row = tx.one(f"{_SELECT} WHERE id = ?", identity)
    return None if row is None else _model(row)


def highest_id(tx: Transaction) -> int:
    """Return the highest row id that a model ever had here; 0 where there was none."""
    row = tx.one("SELECT seq FROM sqlite_sequence WHERE name = 'models'")
    return 0 if row is None else int(row["seq"])


def find_version(tx: Transaction, project: str, version: int) -> Model | None:
    """Return the model version, or None when it was deleted."""
    row = tx.one(f"{_SELECT} WHERE project = ? AND version = ?", project, version)
    return None if row is None else _model(row)


def look_up(database: Database, project: str, version: str) -> Model | None:
    """Return the model version, None for ``latest`` or where there is none, without a transaction.

    It is all that DetectAnomalies reads, thousands of times a second.
    """
    if not _VERSION.fullmatch(version):
        return None
    row = database.look(f"{_SELECT} WHERE project = ? AND version = ?", project, int(version))
    return None if row is None else _model(row)


def read_status(file: Path, project: str, version: int) -> str | None:
    """Return a model version's status as a state file has it; None where it does not tell.

    Nothing is opened for writing: neither is the file made or migrated, nor is a job taken up.
    """
    query = "SELECT status FROM models WHERE project = ? AND version = ?"
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as state:
            row = state.execute(query, (project, version)).fetchone()
    except sqlite3.Error:
        return None
    return None if row is None else str(row[0])


def read_begun(file: Path, project: str, version: int) -> int | None:
    """Return the id of a model whose training a worker has begun; None for others.

    As `read_status`, it opens nothing for writing.
    """
    query = "SELECT id FROM models WHERE project = ? AND version = ? AND attempts > 0"
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as state:
            row = state.execute(query, (project, version)).fetchone()
    except sqlite3.Error:
        return None
    return None if row is None else int(row[0])


def page(tx: Transaction, project: str, *, after: int, limit: int) -> list[Model]:
    """Return at most `limit` models of a project, oldest first, behind the version `after`."""
    query = f"{_SELECT} WHERE project = ? AND version > ? ORDER BY version LIMIT ?"
    return [_model(row) for row in tx.all(query, project, after, limit)]


def of_project(tx: Transaction, project: str) -> list[Model]:
    """Return all models of a project."""
    return [_model(row) for row in tx.all(f"{_SELECT} WHERE project = ?", project)]


def unsettled(tx: Transaction) -> list[Model]:
    """Return the models that may need somebody's work: all but those at rest."""
    at_rest = (ModelStatus.TRAINED, ModelStatus.TRAINING_FAILED)
    query = f"{_SELECT} WHERE status NOT IN (?, ?) OR unpublished IS NOT NULL"
    return [_model(row) for row in tx.all(query, *at_rest)]


def in_training(tx: Transaction) -> list[int]:
    """Return the ids of the models that are to be trained, oldest first."""
    query = "SELECT id FROM models WHERE status = ? ORDER BY id"
    return [row["id"] for row in tx.all(query, ModelStatus.TRAINING)]


def count_of_project(tx: Transaction, project: str) -> int:
    """Return how many models a project has."""
    return tx.number("SELECT COUNT(*) FROM models WHERE project = ?", project)


def count_hosted(tx: Transaction) -> int:
    """Return how many models take up inference units."""
    hosting = ", ".join("?" * len(MODEL_HOSTING))
    query = f"SELECT COUNT(*) FROM models WHERE status IN ({hosting})"  # noqa: S608  (only marks)
    return tx.number(query, *MODEL_HOSTING)


def counts_by_status(tx: Transaction) -> dict[str, int]:
    """Return how many models there are of each status that one has."""
    rows = tx.all("SELECT status, COUNT(*) AS models FROM models GROUP BY status")
    return {row["status"]: row["models"] for row in rows}


def total_attempts(tx: Transaction) -> int:
    """Return how often workers have begun to train any of the models."""
    return tx.number("SELECT TOTAL(attempts) FROM models")


def create(
    tx: Transaction,
    *,
    project: str,
    version: int,
    arn: str,
    created: float,
    description: str | None,
    message: str,
    output_bucket: str,
    output_prefix: str | None,
    kms_key: str | None,
    storage: str,
    train_content: int,
    test_content: int | None,
    detector: str,
) -> None:
    """Add a model version that is to be trained."""
    tx.insert(
        "INSERT INTO models (project, version, arn, created, description, status, message,"
        " output_bucket, output_prefix, kms_key, storage, train_content, test_content, detector)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        *(project, version, arn, created, description, ModelStatus.TRAINING, message),
        *(output_bucket, output_prefix, kms_key, storage, train_content, test_content, detector),
    )


def may_be_trained(tx: Transaction, identity: int) -> bool:
    """Say whether the model waits to be trained; an error where not even its row can be written."""
    query = "UPDATE models SET message = message WHERE id = ? AND status = ?"
    return bool(tx.run(query, identity, ModelStatus.TRAINING))


def begin_training(tx: Transaction, identity: int, *, died: bool) -> Model | None:
    """Count an attempt to train the model, and return it; None when it is not to be trained.

    Args:
        tx: The transaction.
        identity: The model's id.
        died: Whether the attempt before this one ended with the death of its worker.
    """
    query = (
        "UPDATE models SET attempts = attempts + 1, deaths = deaths + ? WHERE id = ? AND status = ?"
    )
    return find(tx, identity) if tx.run(query, died, identity, ModelStatus.TRAINING) else None


def forget_deaths(tx: Transaction, identity: int) -> None:
    """Write that the training got on."""
    tx.run("UPDATE models SET deaths = 0 WHERE id = ?", identity)


def finish_training(
    tx: Transaction,
    identity: int,
    *,
    message: str,
    f1: float | None,
    recall: float | None,
    precision: float | None,
    evaluated: float,
    size: tuple[int, int],
    unpublished: str | None,
) -> None:
    """Write what came of a training, unless the model was deleted meanwhile."""
    tx.run(
        "UPDATE models SET status = ?, message = ?, f1 = ?, recall = ?, precision = ?,"
        " evaluated = ?, width = ?, height = ?, unpublished = ? WHERE id = ? AND status = ?",
        *(ModelStatus.TRAINED, message, f1, recall, precision),
        *(evaluated, *size, unpublished, identity, ModelStatus.TRAINING),
    )


def tell_unpublished(tx: Transaction, identity: int, reason: str | None, message: str) -> None:
    """Write why the evaluation files are not written yet, None once they are."""
    tx.run("UPDATE models SET unpublished = ? WHERE id = ?", reason, identity)
    say(tx, identity, ModelStatus.TRAINED, message)


def say(tx: Transaction, identity: int, status: ModelStatus, message: str) -> None:
    """Write a message, as long as the model has that status."""
    query = "UPDATE models SET message = ? WHERE id = ? AND status = ?"
    tx.run(query, message, identity, status)


def change_status(
    tx: Transaction, identity: int, before: ModelStatus, after: ModelStatus, message: str
) -> bool:
    """Bring the model from one status to another; return whether it had the first.

    Who finishes a job says so with this: meanwhile the model may have been stopped or deleted, or
    another process may have finished the job, and then what is there stands.
    """
    query = "UPDATE models SET status = ?, message = ? WHERE id = ? AND status = ?"
    return bool(tx.run(query, after, message, identity, before))


def begin_hosting(
    tx: Transaction, identity: int, *, message: str, min_units: int, max_units: int | None
) -> None:
    """Write that the model is to be hosted with so many inference units."""
    query = "UPDATE models SET status = ?, message = ?, min_units = ?, max_units = ? WHERE id = ?"
    tx.run(query, ModelStatus.STARTING_HOSTING, message, min_units, max_units, identity)


def end_hosting(tx: Transaction, identity: int, *, message: str) -> None:
    """Write that a model which was being stopped has no inference units any more."""
    tx.run(
        "UPDATE models SET status = ?, message = ?, min_units = NULL, max_units = NULL"
        " WHERE id = ? AND status = ?",
        *(ModelStatus.TRAINED, message, identity, ModelStatus.STOPPING_HOSTING),
    )


def delete(tx: Transaction, identity: int) -> None:
    """Remove the row of a model whose files are gone."""
    tx.run("DELETE FROM models WHERE id = ?", identity)


def _model(row: sqlite3.Row) -> Model:
    return Model(**{**row, "status": ModelStatus(row["status"])})
