"""The table of how many images models judged, by the hour."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Final

from lfvpipe.service.state.database import Transaction

HOUR: Final = 3600
"""Seconds."""
_KEPT: Final = 400 * 24  # hours: what a page shows, and a year to look back on


@dataclass(frozen=True)
class Hour:
    """Which hour's images of which model are counted.

    Attributes:
        project: Of the model.
        version: Of the model.
        hour: Since 1970, UTC.
    """

    project: str
    version: int
    hour: int


@dataclass(frozen=True)
class Count:
    """How many images were judged.

    Attributes:
        images: All of them.
        anomalies: Those that were called anomalous.
        scored: Those that were called normal and whose scores are in `score`; of the others,
            which an earlier version counted, nobody knows.
        score: The sum of these scores.
    """

    images: int = 0
    anomalies: int = 0
    scored: int = 0
    score: float = 0.0

    @classmethod
    def of(cls, score: float, *, is_anomalous: bool) -> "Count":
        """Return one image."""
        return cls(1, 1) if is_anomalous else cls(1, 0, 1, score)

    def __add__(self, other: "Count") -> "Count":
        """Return both together."""
        return Count(
            self.images + other.images,
            self.anomalies + other.anomalies,
            self.scored + other.scored,
            self.score + other.score,
        )


def add(tx: Transaction, counted: Mapping[Hour, Count]) -> None:
    """Add counts to those that are there, without projects that are deleted; old ones go."""
    tx.many(
        "INSERT INTO judged (project, version, hour, images, anomalies, scored, score)"
        " SELECT ?, ?, ?, ?, ?, ?, ? FROM projects WHERE name = ?"
        " ON CONFLICT (project, version, hour) DO UPDATE SET"
        " images = images + excluded.images, anomalies = anomalies + excluded.anomalies,"
        " scored = scored + excluded.scored, score = score + excluded.score",
        ((*astuple(key), *astuple(count), key.project) for key, count in counted.items()),
    )
    oldest = max((key.hour for key in counted), default=0) - _KEPT
    tx.run("DELETE FROM judged WHERE hour < ?", oldest)


def since(tx: Transaction, hour: int, project: str | None = None) -> dict[Hour, Count]:
    """Return what was counted from an hour on, of one project or of all."""
    query = (
        "SELECT project, version, hour, images, anomalies, scored, score FROM judged"
        " WHERE hour >= ?"
    )
    if project is None:
        rows = tx.all(query, hour)
    else:
        rows = tx.all(f"{query} AND project = ?", hour, project)
    return {Hour(*row[:3]): Count(*row[3:]) for row in rows}


def sums(tx: Transaction, hour: int, span: int) -> dict[str, dict[int, Count]]:
    """Return what each project's models judged from an hour on, by the first hours of spans.

    Args:
        tx: The transaction.
        hour: Since 1970; a span begins with it.
        span: Hours that are counted together.
    """
    found: dict[str, dict[int, Count]] = {}
    for row in tx.each(
        "SELECT project, hour / ? * ?, SUM(images), SUM(anomalies), SUM(scored), SUM(score)"
        " FROM judged WHERE hour >= ? GROUP BY 1, 2",
        *(span, span, hour),
    ):
        found.setdefault(row[0], {})[row[1]] = Count(*row[2:])
    return found
