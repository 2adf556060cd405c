"""A listing of any number of images, in the order of their names, on the disk: memory is flat."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

from lfvpipe.cli.bulk.sources import Listed, key_of, why_left_out
from lfvpipe.cli.starter.name_reading import is_made
from lfvpipe.engine.phrases import count_of, listing

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator

    When = Literal["first", "later"]

_TABLE = "CREATE TABLE {} (name BLOB PRIMARY KEY, version TEXT, made TEXT, stem BLOB) WITHOUT ROWID"
# What a program made of a photograph is known by its folder, and by the photograph outside it.
_IS_MADE = (
    "made != '' AND EXISTS"
    " (SELECT 1 FROM {0} AS photograph WHERE made = '' AND photograph.stem = {0}.stem)"
)
_AT_ONCE = 1000


class Changes(NamedTuple):
    """How many images came, went, or have other bytes."""

    came: int
    went: int
    changed: int

    def in_words(self) -> str:
        """Return it as it stands in a sentence; empty where there is none."""
        return listing(
            f"{count_of(self.came, 'image')} came" if self.came else "",
            f"{count_of(self.went, 'image')} went" if self.went else "",
            f"{count_of(self.changed, 'image')} changed" if self.changed else "",
        )


class Listing:
    """Images by name. The file that holds them is a temporary one of SQLite's own."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the file."""
        self._database.close()

    def take(self, files: Iterable[Listed], left_out: Counter[str], when: When = "first") -> None:
        """Keep the images among files; what is none is counted in `left_out`, by kind."""
        self._database.execute(_TABLE.format(when))
        has_made = False
        rows: list[tuple[bytes, str, str, bytes]] = []
        for name, version in files:
            if kind := why_left_out(name):
                left_out[kind] += 1
                continue
            path = PurePosixPath(name)
            made = next(filter(is_made, path.parts[:-1]), "")
            has_made = has_made or bool(made)
            rows.append((key_of(name), version, made, key_of(path.stem.lower())))
            if len(rows) >= _AT_ONCE:
                self._insert(when, rows)
        self._insert(when, rows)
        if has_made:
            self._leave_out_made(when, left_out)

    def count(self) -> int:
        """Return how many images there are."""
        found: int = self._database.execute("SELECT COUNT(*) FROM first").fetchone()[0]
        return found

    def walk(self, start: str = "", end: str | None = None) -> Iterator[Listed]:
        """Yield the images from `start` to before `end`, in the order of their names' bytes."""
        where, bounds = "name >= ?", [key_of(start)]
        if end is not None:
            where, bounds = f"{where} AND name < ?", [*bounds, key_of(end)]
        statement = f"SELECT name, version FROM first WHERE {where} ORDER BY name"  # noqa: S608  (texts of ours)
        with closing(self._database.execute(statement, bounds)) as rows:
            for name, version in rows:
                yield Listed(name.decode("utf-8", "surrogateescape"), version)

    def changes(self) -> Changes:
        """Return how the listing that was taken later differs from the first."""
        return Changes(
            self._count("later LEFT JOIN first USING (name) WHERE first.name IS NULL"),
            self._count("first LEFT JOIN later USING (name) WHERE later.name IS NULL"),
            self._count("first JOIN later USING (name) WHERE first.version != later.version"),
        )

    # The statements below are made of this module's own words alone: tables have no parameters.
    def _count(self, what: str) -> int:
        found: int = self._database.execute(f"SELECT COUNT(*) FROM {what}").fetchone()[0]  # noqa: S608
        return found

    def _insert(self, when: When, rows: list[tuple[bytes, str, str, bytes]]) -> None:
        self._database.executemany(f"INSERT OR REPLACE INTO {when} VALUES (?, ?, ?, ?)", rows)  # noqa: S608
        rows.clear()

    def _leave_out_made(self, when: When, left_out: Counter[str]) -> None:
        made = _IS_MADE.format(when)
        self._database.execute(f"CREATE INDEX stems_{when} ON {when} (stem, made)")
        counted = f"SELECT made, COUNT(*) FROM {when} WHERE {made} GROUP BY made"  # noqa: S608
        for folder, count in self._database.execute(counted):
            left_out[f"{folder}/"] += count
        self._database.execute(f"DELETE FROM {when} WHERE {made}")  # noqa: S608
