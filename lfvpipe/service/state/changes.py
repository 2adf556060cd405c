"""The table of changes: who changed what and when, and how it stood before and after."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lfvpipe.lookout.tags import DECISION
from lfvpipe.service.state.database import Transaction

# Since when a version that there is is hosted, and decides as it does: the last change of each
# tells. Only a constant is put in.
_READ = f"""
SELECT MAX(changes.id) FROM changes JOIN models ON models.project = changes.project
    AND models.version = CAST(json_extract(asked, '$.ModelVersion') AS INTEGER)
WHERE operation = 'StartModel' GROUP BY models.id
UNION ALL
SELECT MAX(changes.id) FROM changes JOIN models ON models.arn = json_extract(asked, '$.ResourceArn')
WHERE operation IN ('TagResource', 'UntagResource')
    AND json_extract(before_it, '$.Tags."{DECISION}"')
        IS NOT json_extract(after_it, '$.Tags."{DECISION}"')
GROUP BY models.id"""  # noqa: S608
_SELECT = (
    "SELECT id, at, access_key, role, operation, project, asked, before_it, after_it FROM changes"
)


@dataclass(frozen=True)
class Change:
    """One operation that changed something.

    Attributes:
        id: Counts up.
        at: Epoch seconds.
        access_key: Whose request it was; "" for whoever has the state folder itself.
        role: Of the key, then.
        operation: The API's name.
        project: "" where the request names none.
        asked: What the request said, without tokens; long values are cut, and say so.
        before: How what it acted on stood in the same transaction; empty where it was not there.
        after: How it stood then.
    """

    id: int
    at: float
    access_key: str
    role: str
    operation: str
    project: str
    asked: Mapping[str, Any]
    before: Mapping[str, Any]
    after: Mapping[str, Any]


def add(
    tx: Transaction,
    *,
    at: float,
    access_key: str,
    role: str,
    operation: str,
    project: str,
    asked: Mapping[str, Any],
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    """Write a change down, in the transaction that makes it."""
    tx.run(
        "INSERT INTO changes (at, access_key, role, operation, project, asked, before_it, after_it)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        *(at, access_key, role, operation, project),
        *(json.dumps(each) for each in (asked, before, after)),
    )


def keep_newest(tx: Transaction, number: int | None) -> None:
    """Delete the oldest changes but for about `number`, None for all.

    What a page is told by stays. It is looked for once in a hundredth of them, as it takes a while.
    """
    if number is None:
        return
    newest = tx.number("SELECT MAX(id) FROM changes")
    if newest % max(1, number // 100) == 0:
        delete = f"DELETE FROM changes WHERE id <= ? AND id NOT IN ({_READ})"  # noqa: S608
        tx.run(delete, newest - number)


def count_dropped(tx: Transaction) -> int:
    """Return how many changes are not kept any more."""
    return tx.number("SELECT MAX(id) - COUNT(*) FROM changes")


def page(tx: Transaction, *, before: int | None, project: str = "", limit: int) -> list[Change]:
    """Return at most `limit` changes, the newest first.

    Args:
        tx: The transaction.
        before: Only those with a smaller id.
        project: Only this project's, where it is named.
        limit: How many.
    """
    rows = tx.all(
        f"{_SELECT} WHERE id < ? AND (? = '' OR project = ?) ORDER BY id DESC LIMIT ?",
        *(2**63 - 1 if before is None else before, project, project, limit),
    )
    return [_change(row) for row in rows]


def last_of_versions(tx: Transaction, operation: str, project: str) -> dict[str, float]:
    """Return when an operation was last asked for, by the version of the project's model."""
    rows = tx.all(
        "SELECT json_extract(asked, '$.ModelVersion') AS version, MAX(at) AS at FROM changes"
        " WHERE operation = ? AND project = ? GROUP BY version",
        *(operation, project),
    )
    return {str(row["version"]): row["at"] for row in rows}


def last_of_tag(tx: Transaction, project: str, arn: str, key: str) -> float | None:
    """Return when a tag of a model last got another value, or went; None where it never did."""
    at = f'$.Tags."{key}"'
    row = tx.one(
        "SELECT MAX(at) AS at FROM changes"
        " WHERE project = ? AND operation IN ('TagResource', 'UntagResource')"
        " AND json_extract(asked, '$.ResourceArn') = ?"
        " AND json_extract(before_it, ?) IS NOT json_extract(after_it, ?)",
        *(project, arn, at, at),
    )
    return None if row is None else row["at"]


def _change(row: sqlite3.Row) -> Change:
    return Change(
        id=row["id"],
        at=row["at"],
        access_key=row["access_key"],
        role=row["role"],
        operation=row["operation"],
        project=row["project"],
        asked=json.loads(row["asked"]),
        before=json.loads(row["before_it"]),
        after=json.loads(row["after_it"]),
    )
