"""Alarms: each limit that is passed is told once, whatever ends in between."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from lfvpipe.service.state import alarms
from lfvpipe.service.state.alarms import Alarm, AlarmStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lfvpipe.service.runtime import Runtime

PAUSES: Final = (60.0, 300.0, 1800.0, 7200.0)
"""Seconds between an attempt that failed and the next; after the last pause there is one more."""
_LOCK: Final = "alarms"


class Alarms:
    """The alarms of a region; safe with other processes at the same state.

    Args:
        runtime: The state.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @contextmanager
    def telling(self) -> Iterator[bool]:
        """Yield whether it is ours to tell alarms during the block, and no other process's."""
        with self._runtime.locks.held(_LOCK) as ours:
            yield ours

    def note(
        self,
        project: str,
        version: int,
        chart: str,
        days: tuple[int, int],
        message: Mapping[str, Any],
    ) -> bool:
        """Note that a chart is beyond a limit; return whether that is news.

        Args:
            project: Of the model.
            version: Of the model.
            chart: Which one.
            days: The first and the last day, since 1970, that it is beyond by now. What begins
                no later than the alarm before it ended is still that one.
            message: What is to be told; it gets the alarm's id.
        """
        since, until = days
        now = self._runtime.clock()
        with self._runtime.database.write() as tx:
            last = alarms.newest_of(tx, project, version, chart)
            if last is not None and since <= last.until:
                alarms.extend(tx, last.id, until)
                return False
            identity = str(uuid.uuid4())
            told = json.dumps({"id": identity, **message}, ensure_ascii=False)
            alarms.add(
                tx,
                identity=identity,
                project=project,
                version=version,
                chart=chart,
                until=until,
                message=told,
                now=now,
            )
        return True

    def due(self) -> list[Alarm]:
        """Return the alarms that are to be told now."""
        with self._runtime.database.read() as tx:
            return alarms.due(tx, self._runtime.clock())

    def settle(self, alarm: Alarm, problem: str = "") -> AlarmStatus:
        """Write how an attempt to tell an alarm ended; return how it stands.

        Args:
            alarm: As `due` returned it.
            problem: Why it could not be told; "" where it was.
        """
        status, next_try = AlarmStatus.TOLD, 0.0
        if problem and alarm.tries < len(PAUSES):
            status = AlarmStatus.WAITING
            next_try = self._runtime.clock() + PAUSES[alarm.tries]
        elif problem:
            status = AlarmStatus.FAILED
        with self._runtime.database.write() as tx:
            alarms.settle(tx, alarm.id, status, problem=problem, next_try=next_try)
        return status

    def latest(self, limit: int) -> list[Alarm]:
        """Return at most `limit` alarms, the newest first."""
        with self._runtime.database.read() as tx:
            return alarms.latest(tx, limit)
