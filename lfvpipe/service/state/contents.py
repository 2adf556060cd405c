"""The table of contents: the JSON lines that a dataset had at a time, and where they came from.

A content never changes once it is ready. An update makes a new one of the old one (its base), and
the dataset goes over to it when all is well; so a training goes on with the lines it began with,
and an update that fails leaves nothing to be undone.
"""

from dataclasses import dataclass
from enum import StrEnum

from lfvpipe.lookout.statuses import ModelStatus
from lfvpipe.service.state.database import Transaction

_SELECT = (
    "SELECT id, state, message, storage, bucket, key, version_id, base, changes,"
    " total, normal, anomaly FROM contents"
)


class ContentState(StrEnum):
    """Whether the lines are there; the two others are for good."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class Counts:
    """How many entries there are, and how many have which label."""

    total: int = 0
    normal: int = 0
    anomaly: int = 0


@dataclass(frozen=True)
class Content:
    """A dataset's JSON lines, and where they come from.

    Attributes:
        message: Why it failed, or what a client should know of its labels.
        storage: The object store, as JSON that `storage.buckets.reconnect` takes.
        bucket: The manifest's bucket; None, as is its `key`, for an empty dataset or an update.
        version_id: The version of the manifest; None for the newest.
        base: The content that `changes` are applied to.
        changes: The JSON Lines of UpdateDatasetEntries.
    """

    id: int
    state: ContentState
    message: str
    storage: str
    bucket: str | None
    key: str | None
    version_id: str | None
    base: int | None
    changes: bytes | None
    total: int
    normal: int
    anomaly: int


def find(tx: Transaction, identity: int) -> Content | None:
    """Return the content, or None when nothing needed it any more."""
    row = tx.one(f"{_SELECT} WHERE id = ?", identity)
    return None if row is None else Content(**{**row, "state": ContentState(row["state"])})


def create_empty(tx: Transaction, storage: str) -> int:
    """Add the content of a dataset without a manifest, ready at once; return its id."""
    query = "INSERT INTO contents (state, storage) VALUES (?, ?)"
    return tx.insert(query, ContentState.READY, storage)


def create_from_manifest(
    tx: Transaction, storage: str, *, bucket: str, key: str, version_id: str | None
) -> int:
    """Add a content to be read from a manifest; return its id."""
    query = "INSERT INTO contents (state, storage, bucket, key, version_id) VALUES (?, ?, ?, ?, ?)"
    return tx.insert(query, ContentState.PENDING, storage, bucket, key, version_id)


def create_from_changes(tx: Transaction, storage: str, *, base: int, changes: bytes) -> int:
    """Add a content to be made of `base` and `changes`; return its id."""
    query = "INSERT INTO contents (state, storage, base, changes) VALUES (?, ?, ?, ?)"
    return tx.insert(query, ContentState.PENDING, storage, base, changes)


def settle(
    tx: Transaction, identity: int, state: ContentState, message: str, counts: Counts
) -> None:
    """Write how making the content ended."""
    tx.run(
        "UPDATE contents SET state = ?, message = ?, total = ?, normal = ?, anomaly = ?"
        " WHERE id = ?",
        *(state, message, counts.total, counts.normal, counts.anomaly, identity),
    )


def collect(tx: Transaction) -> None:
    """Remove the contents, with their entries, that no dataset, update or training refers to.

    A base is kept while an update is made from it, and while a training waits for the update:
    should that be rolled back, the training goes back to the base.
    """
    tx.run(
        "WITH trained AS ("
        " SELECT train_content AS id FROM models WHERE status = ?"
        " UNION SELECT test_content FROM models WHERE status = ? AND test_content IS NOT NULL)"
        " DELETE FROM contents WHERE id NOT IN ("
        " SELECT content FROM datasets"
        " UNION SELECT next_content FROM datasets WHERE next_content IS NOT NULL"
        " UNION SELECT id FROM trained"
        " UNION SELECT base FROM contents WHERE base IS NOT NULL"
        "  AND (state = ? OR id IN (SELECT id FROM trained)))",
        *(ModelStatus.TRAINING, ModelStatus.TRAINING, ContentState.PENDING),
    )
