"""The table of entries: one JSON line of a content each, with what is asked of it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lfvpipe.service.state.contents import Counts
from lfvpipe.service.state.database import Transaction


@dataclass(frozen=True)
class NewEntry:
    """An entry to be added.

    Attributes:
        source: The image's address.
        label: ``normal``, ``anomaly``, or None.
        created: The label's creation date in epoch seconds, if it has one.
        line: The JSON line, as it came.
    """

    source: str
    label: str | None
    created: float | None
    line: str


@dataclass(frozen=True)
class Listed:
    """A line, and its place in the manifest's order."""

    seq: int
    line: str


@dataclass(frozen=True)
class Row:
    """An entry as the table has it; see `NewEntry`."""

    seq: int
    source: str
    label: str | None
    line: str


@dataclass(frozen=True)
class Filters:
    """Which entries are wanted; None does not filter. Dates are in epoch seconds."""

    labeled: bool | None = None
    label: str | None = None
    created_before: float | None = None
    created_after: float | None = None
    source_contains: str | None = None


def put(tx: Transaction, content: int, rows: Sequence[NewEntry]) -> None:
    """Add entries behind the others; an image that has one gets the new line where it is."""
    # Numbers, not lines' numbers: they go on over batches, and are what pages are cut by.
    last = tx.number("SELECT MAX(seq) FROM entries WHERE content = ?", content)
    tx.many(
        "INSERT INTO entries (content, seq, source, label, created, line) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (content, source) DO UPDATE SET"
        " label = excluded.label, created = excluded.created, line = excluded.line",
        (
            (content, last + index, row.source, row.label, row.created, row.line)
            for index, row in enumerate(rows, 1)
        ),
    )


def copy(tx: Transaction, *, base: int, content: int) -> None:
    """Give `content` all entries of `base`."""
    tx.run(
        "INSERT INTO entries (content, seq, source, label, created, line)"
        " SELECT ?, seq, source, label, created, line FROM entries WHERE content = ?",
        *(content, base),
    )


def delete(tx: Transaction, content: int) -> None:
    """Remove all entries of a content."""
    tx.run("DELETE FROM entries WHERE content = ?", content)


def remove(tx: Transaction, content: int, places: Iterable[int]) -> None:
    """Remove single entries, by their places."""
    query = "DELETE FROM entries WHERE content = ? AND seq = ?"
    tx.many(query, ((content, place) for place in places))


def each(tx: Transaction, content: int) -> Iterator[Row]:
    """Yield all entries of a content in their order."""
    query = "SELECT seq, source, label, line FROM entries WHERE content = ? ORDER BY seq"
    return (Row(*row) for row in tx.each(query, content))


def find(tx: Transaction, content: int, places: Iterable[int]) -> list[Row]:
    """Return the entries at `places`, but for places that have none."""
    query = "SELECT seq, source, label, line FROM entries WHERE content = ? AND seq = ?"
    found = (tx.one(query, content, place) for place in places)
    return [Row(*row) for row in found if row is not None]


def of_sources(tx: Transaction, content: int, sources: Iterable[str]) -> list[Row]:
    """Return the entries of the images at these addresses, but for those that have none."""
    query = "SELECT seq, source, label, line FROM entries WHERE content = ? AND source = ?"
    found = (tx.one(query, content, source) for source in sources)
    return [Row(*row) for row in found if row is not None]


def count(tx: Transaction, content: int) -> Counts:
    """Return how many entries a content has, by label."""
    query = (
        "SELECT COUNT(*), TOTAL(label = 'normal'), TOTAL(label = 'anomaly')"
        " FROM entries WHERE content = ?"
    )
    return Counts(*map(int, tx.all(query, content)[0]))


def first_source(tx: Transaction, content: int) -> str | None:
    """Return the address of a content's first image."""
    query = "SELECT source FROM entries WHERE content = ? ORDER BY seq LIMIT 1"
    row = tx.one(query, content)
    return None if row is None else row["source"]


def labelled_lines(tx: Transaction, content: int) -> Iterator[str]:
    """Yield the labelled lines of a content in their order."""
    query = "SELECT line FROM entries WHERE content = ? AND label IS NOT NULL ORDER BY seq"
    return (row["line"] for row in tx.each(query, content))


def page(
    tx: Transaction, content: int, filters: Filters, *, after: int, limit: int
) -> list[Listed]:
    """Return at most `limit` lines that pass the filters, those behind the place `after`."""
    conditions: list[tuple[str, Any]] = [("content = ?", content), ("seq > ?", after)]
    if filters.labeled is not None:
        conditions.append(("(label IS NOT NULL) = ?", filters.labeled))
    if filters.label is not None:
        conditions.append(("label = ?", filters.label))
    if filters.created_before is not None:
        conditions.append(("created < ?", filters.created_before))
    if filters.created_after is not None:
        conditions.append(("created > ?", filters.created_after))
    if filters.source_contains is not None:
        conditions.append(("INSTR(source, ?) > 0", filters.source_contains))
    where = " AND ".join(condition for condition, _ in conditions)
    query = f"SELECT seq, line FROM entries WHERE {where} ORDER BY seq LIMIT ?"  # noqa: S608  (constants; values are bound)
    rows = tx.all(query, *(value for _, value in conditions), limit)
    return [Listed(**row) for row in rows]
