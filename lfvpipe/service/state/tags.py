"""The table of tags; only models have some."""

from collections.abc import Iterable
from dataclasses import dataclass

from lfvpipe.service.state.database import Transaction


@dataclass(frozen=True)
class Tag:
    """A tag."""

    key: str
    value: str


def of_resource(tx: Transaction, arn: str) -> list[Tag]:
    """Return the tags by key."""
    rows = tx.all("SELECT key, value FROM tags WHERE arn = ? ORDER BY key", arn)
    return [Tag(**row) for row in rows]


def value(tx: Transaction, arn: str, key: str) -> str | None:
    """Return the value of one tag, None where it is missing."""
    row = tx.one("SELECT value FROM tags WHERE arn = ? AND key = ?", arn, key)
    return None if row is None else row["value"]


def count(tx: Transaction, arn: str) -> int:
    """Return how many tags there are."""
    return tx.number("SELECT COUNT(*) FROM tags WHERE arn = ?", arn)


def put(tx: Transaction, arn: str, tags: Iterable[Tag]) -> None:
    """Add tags, or replace their values."""
    query = "INSERT OR REPLACE INTO tags (arn, key, value) VALUES (?, ?, ?)"
    tx.many(query, ((arn, tag.key, tag.value) for tag in tags))


def delete(tx: Transaction, arn: str, keys: Iterable[str]) -> None:
    """Remove tags; one that is not there is no error."""
    tx.many("DELETE FROM tags WHERE arn = ? AND key = ?", ((arn, key) for key in keys))


def delete_all(tx: Transaction, arn: str) -> None:
    """Remove every tag."""
    tx.run("DELETE FROM tags WHERE arn = ?", arn)
