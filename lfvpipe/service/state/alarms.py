"""The table of alarms: what passed a limit, and whether that was told."""

import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lfvpipe.service.state.database import Transaction

_SELECT = (
    "SELECT id, project, version, chart, until, message, made, status, tries, next_try, problem"
    " FROM alarms"
)
_KEPT: Final = 400 * 86400  # seconds, as what was judged is


class AlarmStatus(StrEnum):
    """How far an alarm has come."""

    WAITING = "waiting"
    TOLD = "told"
    FAILED = "failed"


@dataclass(frozen=True)
class Alarm:
    """A limit that was passed.

    Attributes:
        id: Unguessable, and the same whenever it is told.
        project: Of the model.
        version: Of the model.
        chart: Whose limit it is.
        until: The last day, since 1970, on which it was seen beyond.
        message: What is told, JSON.
        made: Epoch seconds, as is `next_try`.
        status: How far it has come.
        tries: How often it was sent.
        next_try: When it is sent again, while it waits.
        problem: Why it could not be told, the last time.
    """

    id: str
    project: str
    version: int
    chart: str
    until: int
    message: str
    made: float
    status: AlarmStatus
    tries: int
    next_try: float
    problem: str


def newest_of(tx: Transaction, project: str, version: int, chart: str) -> Alarm | None:
    """Return the alarm of a chart that reaches furthest; None where there was none."""
    row = tx.one(
        f"{_SELECT} WHERE project = ? AND version = ? AND chart = ? ORDER BY until DESC LIMIT 1",
        *(project, version, chart),
    )
    return None if row is None else _alarm(row)


def add(
    tx: Transaction,
    *,
    identity: str,
    project: str,
    version: int,
    chart: str,
    until: int,
    message: str,
    now: float,
) -> None:
    """Add an alarm that waits to be told, unless its project is gone; old ones go."""
    tx.run(
        "INSERT INTO alarms (id, project, version, chart, until, message, made, status, next_try)"
        " SELECT ?, ?, ?, ?, ?, ?, ?, ?, ? FROM projects WHERE name = ?",
        *(identity, project, version, chart, until, message, now, AlarmStatus.WAITING, now),
        project,
    )
    tx.run("DELETE FROM alarms WHERE made < ?", now - _KEPT)


def extend(tx: Transaction, identity: str, until: int) -> None:
    """Write until which day an alarm holds."""
    tx.run("UPDATE alarms SET until = MAX(until, ?) WHERE id = ?", until, identity)


def due(tx: Transaction, now: float) -> list[Alarm]:
    """Return the alarms that are to be told now, the oldest first."""
    rows = tx.all(
        f"{_SELECT} WHERE status = ? AND next_try <= ? ORDER BY made", AlarmStatus.WAITING, now
    )
    return [_alarm(row) for row in rows]


def settle(
    tx: Transaction,
    identity: str,
    status: AlarmStatus,
    *,
    problem: str = "",
    next_try: float = 0.0,
) -> None:
    """Write how an attempt to tell an alarm ended."""
    tx.run(
        "UPDATE alarms SET status = ?, problem = ?, next_try = ?, tries = tries + 1 WHERE id = ?",
        *(status, problem, next_try, identity),
    )


def latest(tx: Transaction, limit: int) -> list[Alarm]:
    """Return at most `limit` alarms, the newest first."""
    return [_alarm(row) for row in tx.all(f"{_SELECT} ORDER BY made DESC LIMIT ?", limit)]


def _alarm(row: sqlite3.Row) -> Alarm:
    return Alarm(**{**row, "status": AlarmStatus(row["status"])})
