"""SQLite, shared by the threads of a process and by several processes."""

import queue
import sqlite3
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from lfvpipe.service.errors import StateBroken, StateTooNew, StateUnreadable
from lfvpipe.service.state.schema import MIGRATIONS, TABLES, VERSION

_BUSY_SECONDS = 30.0  # how long a writer waits for another one's short transaction

_DAMAGED = (11, 26)  # SQLITE_CORRUPT, SQLITE_NOTADB

_Pool = queue.LifoQueue[sqlite3.Connection]


class Transaction:
    """One transaction; statements take their values as further arguments.

    Attributes:
        resource: What the transaction acted on, for the client token that it came with.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.resource = ""
        self.afterwards: list[Callable[[], object]] = []

    def one(self, statement: str, *values: Any) -> sqlite3.Row | None:
        """Return the first row, or None."""
        row: sqlite3.Row | None = self._connection.execute(statement, values).fetchone()
        return row

    def all(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        """Return every row."""
        return self._connection.execute(statement, values).fetchall()

    def number(self, statement: str, *values: Any) -> int:
        """Return the one number that a statement asks for, 0 where it is NULL."""
        return int(self._connection.execute(statement, values).fetchone()[0] or 0)

    def each(self, statement: str, *values: Any) -> Iterator[sqlite3.Row]:
        """Yield the rows as they are read."""
        yield from self._connection.execute(statement, values)

    def run(self, statement: str, *values: Any) -> int:
        """Carry out a statement; return how many rows it changed."""
        return self._connection.execute(statement, values).rowcount

    def insert(self, statement: str, *values: Any) -> int:
        """Carry out an INSERT; return the new row's id."""
        return self._connection.execute(statement, values).lastrowid or 0

    def many(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Carry out a statement for each of `rows`."""
        self._connection.executemany(statement, rows)

    def after(self, action: Callable[[], object]) -> None:
        """Call `action` once the transaction has ended well; a kill may come before it."""
        self.afterwards.append(action)


class Database:
    """The state file, in write-ahead mode: readers never wait, writers wait for one another.

    Args:
        file: Made when absent; its folder must exist, and no other process may open it at the
            same moment (the caller holds a lock).

    Raises:
        UserError: The file comes from a newer version, or is damaged.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._idle: _Pool = queue.LifoQueue()
        self._closed = False
        weakref.finalize(self, _drain, self._idle)
        try:
            with self._connected() as connection:
                _prepare(connection, file)
        except BaseException as error:
            # Now, and not when the error is forgotten: another file may be in its place by then.
            self.close()
            if not isinstance(error, sqlite3.DatabaseError):
                raise
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                raise StateBroken(file, str(error)) from error
            raise StateUnreadable(file, str(error)) from error

    def look(self, statement: str, *values: Any) -> sqlite3.Row | None:
        """Return the first row of one SELECT, or None; it sees one moment of the state by itself.

        Sparing the BEGIN and COMMIT matters to requests for which this is all there is to read.
        """
        with (
            self._connected() as connection,
            closing(connection.execute(statement, values)) as cursor,
        ):
            row: sqlite3.Row | None = cursor.fetchone()
            return row

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Yield a transaction that sees one moment of the state."""
        with self._transaction("BEGIN") as transaction:
            yield transaction

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Yield a transaction that commits as a whole when the block ends without an error.

        It is the only writer from its begin: were it to become one at its first write, what it had
        read by then might be out of date, and SQLite would refuse it.
        """
        with self._transaction("BEGIN IMMEDIATE") as transaction:
            yield transaction

    def close(self) -> None:
        """Close the idle connections, and each other one as soon as it is idle."""
        self._closed = True
        _drain(self._idle)

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[Transaction]:
        with self._connected() as connection:
            connection.execute(begin)
            transaction = Transaction(connection)
            try:
                yield transaction
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        for action in transaction.afterwards:
            action()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = _connect(self._file)
        try:
            yield connection
        finally:
            # Last in, first out: a burst's connections stay open, and the warm ones are used.
            self._idle.put(connection)
            if self._closed:
                _drain(self._idle)


def _connect(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        # What a client was told survives a power cut.
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, file: Path) -> None:
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > VERSION:
        raise StateTooNew(file, found, VERSION)
    connection.execute("PRAGMA journal_mode = WAL")
    if found == VERSION:
        return
    # As a whole or not at all: the version is part of the transaction.
    steps = (MIGRATIONS[version] for version in range(found, VERSION))
    changes = TABLES if found == 0 else "".join(steps)
    connection.executescript(f"BEGIN IMMEDIATE;{changes}PRAGMA user_version = {VERSION};COMMIT;")


def _drain(idle: _Pool) -> None:
    with suppress(queue.Empty):
        while True:
            idle.get_nowait().close()
