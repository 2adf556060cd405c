"""The table of projects."""

from dataclasses import dataclass

from lfvpipe.service.faults import not_found
from lfvpipe.service.state.database import Transaction

_SELECT = "SELECT name, arn, created, versions FROM projects"


@dataclass(frozen=True)
class Project:
    """A project.

    Attributes:
        created: Epoch seconds.
        versions: The highest number that a model version of it ever had.
    """

    name: str
    arn: str
    created: float
    versions: int


def get(tx: Transaction, name: str) -> Project:
    """Return the project.

    Raises:
        Fault: ResourceNotFoundException.
    """
    row = tx.one(f"{_SELECT} WHERE name = ?", name)
    if row is None:
        raise not_found("PROJECT", name, f"there is no project {name}")
    return Project(**row)


def exists(tx: Transaction, name: str) -> bool:
    """Say whether there is such a project."""
    return tx.one("SELECT name FROM projects WHERE name = ?", name) is not None


def count(tx: Transaction) -> int:
    """Return how many projects there are."""
    return tx.number("SELECT COUNT(*) FROM projects")


def page(tx: Transaction, *, after: str, limit: int) -> list[Project]:
    """Return at most `limit` projects by name, those behind the name `after`."""
    rows = tx.all(f"{_SELECT} WHERE name > ? ORDER BY name LIMIT ?", after, limit)
    return [Project(**row) for row in rows]


def create(tx: Transaction, *, name: str, arn: str, created: float) -> None:
    """Add a project."""
    tx.run("INSERT INTO projects (name, arn, created) VALUES (?, ?, ?)", name, arn, created)


def take_version(tx: Transaction, name: str) -> int:
    """Return the number of a new model version; no number is given twice, deleted or not."""
    tx.run("UPDATE projects SET versions = versions + 1 WHERE name = ?", name)
    return get(tx, name).versions


def delete(tx: Transaction, name: str) -> None:
    """Remove a project that nothing refers to."""
    tx.run("DELETE FROM projects WHERE name = ?", name)
