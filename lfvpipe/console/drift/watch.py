"""Looks at the control charts of versions in use, and tells an address of each limit passed."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from lfvpipe.console.drift.charts import find_drift, first_hour
from lfvpipe.console.drift.webhook import NotTold
from lfvpipe.service.log import service_log
from lfvpipe.service.protocol.faults import Fault
from lfvpipe.service.state.alarms import AlarmStatus
from lfvpipe.service.state.judged import HOUR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfvpipe.console.drift.charts import Chart
    from lfvpipe.console.drift.webhook import Webhook
    from lfvpipe.service import RegionalService, Service
    from lfvpipe.service.state.judged import Count, Hour

FORMAT: Final = "lfvpipe-alarm/1"
_EPOCH: Final = date(1970, 1, 1)
_SECONDS: Final = 60.0  # between two looks
_LATELY: Final = 48  # hours: of a version that nobody asked for longer, nothing new can be said
_WAIT: Final = 5.0  # seconds for a look to end


class Watch:
    """Tells of limits that are passed, each once, until it is closed.

    What is judged within the present hour waits for the hour's end: to look after each image would
    pass limits by chance several times as often.

    Args:
        lookout: The service.
        webhook: Whom to tell.
    """

    def __init__(self, lookout: RegionalService, webhook: Webhook) -> None:
        self._lookout = lookout
        self._webhook = webhook
        self._seen: dict[str, Mapping[Hour, Count]] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lfvpipe-alarms", daemon=True)

    def start(self) -> None:
        """Look from now on."""
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join(_WAIT)

    def look(self) -> None:
        """Look at each region once, and tell what is to be told now."""
        for region in self._lookout.regions:
            service = self._lookout.of(region)
            if service is None or self._over.is_set():
                continue
            try:
                with service.alarms.telling() as ours:
                    if ours:
                        self._note_crossings(service)
                        self._tell(service)
            except Exception:  # such as a disk that fails for a moment: the next look will do
                if not self._over.is_set():
                    service_log().exception("charts not looked at", region=region)

    def _note_crossings(self, service: Service) -> None:
        """Note which versions are beyond a limit; what was looked at already is passed over."""
        now = service.clock()
        this_hour = int(now // HOUR)
        since = service.tally.since(first_hour(now))
        counted = {key: count for key, count in since.items() if key.hour < this_hour}
        if counted == self._seen.get(service.region):
            return
        lately = {(key.project, key.version) for key in counted if key.hour >= this_hour - _LATELY}
        for project, version in sorted(lately):
            try:
                drift = find_drift(service, project, str(version), counted)
            except Fault:  # it is deleted
                continue
            for chart in drift.alarms:
                assert chart.crossing is not None  # for the types
                days = (chart.crossing.since, chart.crossing.newest.last)
                told = _describe(chart, service, project, version)
                if service.alarms.note(project, version, chart.kind, days, told):
                    facts = {"project": project, "version": version, "said": chart.said}
                    service_log().warning("limit passed", **facts)
        self._seen[service.region] = counted

    def _tell(self, service: Service) -> None:
        for alarm in service.alarms.due():
            if self._over.is_set():
                return
            facts = {"project": alarm.project, "version": alarm.version, "chart": alarm.chart}
            try:
                self._webhook.send(alarm.message)
            except NotTold as error:
                status = service.alarms.settle(alarm, str(error))
                given_up = status is AlarmStatus.FAILED
                said = "alarm not told, given up" if given_up else "alarm not told yet"
                to = self._webhook.host
                service_log().warning(said, **facts, to=to, why=str(error), tries=alarm.tries + 1)
            else:
                service.alarms.settle(alarm)
                service_log().info("alarm told", **facts, to=self._webhook.host)

    def _keep(self) -> None:
        while not self._over.is_set():
            self.look()
            self._over.wait(_SECONDS)


def _describe(chart: Chart, service: Service, project: str, version: int) -> Mapping[str, Any]:
    """Return what is told of a chart that is beyond a limit."""
    assert chart.crossing is not None  # for the types
    newest = chart.crossing.newest
    assert newest.limits is not None
    return {
        "format": FORMAT,
        "made": datetime.fromtimestamp(service.clock(), UTC).isoformat(timespec="seconds"),
        "region": service.region,
        "project": project,
        "version": str(version),
        "chart": chart.kind.value,
        "side": "above" if newest.is_above else "below",
        "since": _iso(chart.crossing.since),
        "newest": {
            "first": _iso(newest.first),
            "last": _iso(newest.last),
            "images": newest.images,
            "figure": newest.figure,
            "low": newest.limits.low,
            "high": newest.limits.high,
        },
        "said": chart.said,
    }


def _iso(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()
