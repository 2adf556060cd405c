"""Counts what the hosted models judge, so that a person sees it over time."""

import sqlite3
import threading
from collections.abc import Callable, Mapping
from typing import Final

from lfvpipe.service.log import service_log
from lfvpipe.service.state import judged
from lfvpipe.service.state.database import Database
from lfvpipe.service.state.judged import HOUR, Count, Hour

_SECONDS: Final = 5.0
"""Between two writes: a transaction for each image would cost as much as a fast model."""


class Tally:
    """Counts in memory, and writes it now and then; safe to call from many threads.

    What was counted since the last write is lost with the process, when that is killed.

    Args:
        database: The state.
        clock: Returns epoch seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._guard = threading.Lock()
        self._counted: dict[Hour, Count] = {}
        self._written = 0.0

    def count(self, project: str, version: int, *, score: float, is_anomalous: bool) -> None:
        """Count an image that was judged."""
        now = self._clock()
        key = Hour(project, version, int(now // HOUR))
        one = Count.of(score, is_anomalous=is_anomalous)
        with self._guard:
            self._counted[key] = self._counted.get(key, Count()) + one
            is_due = abs(now - self._written) >= _SECONDS
        if is_due:
            self.write()

    def write(self) -> None:
        """Write what is counted; where the state refuses it, it is tried again later."""
        with self._guard:
            counted, self._counted = self._counted, {}
            self._written = self._clock()
        if not counted:
            return
        try:
            with self._database.write() as tx:
                judged.add(tx, counted)
        except sqlite3.Error as error:  # an image is judged all the same
            service_log().warning("counts cannot be written", error=str(error))
            with self._guard:
                for key, count in counted.items():
                    self._counted[key] = self._counted.get(key, Count()) + count

    def since(self, hour: int, project: str | None = None) -> Mapping[Hour, Count]:
        """Return what was counted from an hour on, of one project or all, by any process.

        Raises:
            sqlite3.Error: The state cannot be read.
        """
        self.write()
        with self._database.read() as tx:
            return judged.since(tx, hour, project)

    def sums(self, hour: int, span: int) -> Mapping[str, Mapping[int, Count]]:
        """Return what each project's models judged, by any process; see `judged.sums`.

        Raises:
            sqlite3.Error: The state cannot be read.
        """
        self.write()
        with self._database.read() as tx:
            return judged.sums(tx, hour, span)
