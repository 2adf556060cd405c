"""All projects at a glance: what is hosted, what is being trained, and what was judged lately."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse

from lfvpipe.console.drift.charts import find_drift, first_hour
from lfvpipe.console.models import Version, find_versions, versions_of
from lfvpipe.console.projects import find_project
from lfvpipe.console.visit import Page
from lfvpipe.lookout.statuses import ModelStatus
from lfvpipe.report.metrics import wilson
from lfvpipe.service.state.judged import HOUR, Count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.responses import Response

    from lfvpipe.console.drift.charts import Chart, Drift
    from lfvpipe.console.projects import Project
    from lfvpipe.console.visit import Visit
    from lfvpipe.report.records import Estimate
    from lfvpipe.service.state.alarms import Alarm


@dataclass(frozen=True)
class Frame:
    """A time that the dashboard looks back on.

    Attributes:
        name: Of its text.
        hours: Of one bar.
        bars: How many there are.
    """

    name: str
    hours: int
    bars: int

    def starts(self, now: float) -> list[int]:
        """Return the hour, since 1970, that each bar begins with; days begin as UTC's do."""
        last = int(now // HOUR) // self.hours
        return [(last - back) * self.hours for back in reversed(range(self.bars))]


FRAMES: Final = (Frame("day", 1, 24), Frame("week", 24, 7), Frame("month", 24, 30))
_ALARMS: Final = 10  # that are shown
_HEIGHT: Final = 60.0  # of the highest bar, in the drawing's units


@dataclass(frozen=True)
class Bar:
    """What was judged within an hour or a day.

    Attributes:
        start: Epoch seconds.
        height: Of all images, in the drawing's units.
        anomalous: Of those that were called anomalous, likewise.
    """

    start: int
    count: Count
    height: float
    anomalous: float


@dataclass(frozen=True)
class Judged:
    """What a project's models judged.

    Attributes:
        total: All of the frame.
        bars: By time.
    """

    total: Count
    bars: tuple[Bar, ...]

    @property
    def rate(self) -> Estimate:
        """The share that was called anomalous, with its 95 % interval."""
        return wilson(self.total.anomalies, self.total.images)


@dataclass(frozen=True)
class Card:
    """A project on the dashboard.

    Attributes:
        drifts: How hosted versions compare with their tests, by number.
    """

    project: Project
    versions: Sequence[Version]
    judged: Judged
    drifts: Mapping[str, Drift]

    @property
    def under_way(self) -> list[Version]:
        """The versions that are being trained."""
        return [each for each in self.versions if each.is_training]

    @property
    def hosted(self) -> list[Version]:
        """The versions that are hosted, or nearly so."""
        return _hosted(self.versions)

    def alarms_of(self, version: Version) -> list[Chart]:
        """Return the charts of a version that pass a limit now."""
        drift = self.drifts.get(version.version)
        return drift.alarms if drift else []

    @property
    def images(self) -> int:
        """How many images its data sets have."""
        both = (self.project.train, self.project.test)
        return sum(each["ImageStats"]["Total"] for each in both if each)


@dataclass(frozen=True)
class Told:
    """An alarm as the dashboard shows it.

    Attributes:
        alarm: What is known of it.
        said: What the chart said then.
    """

    alarm: Alarm
    said: str

    @classmethod
    def of(cls, alarm: Alarm) -> Told:
        """Return it of the state's row."""
        return cls(alarm, str(json.loads(alarm.message)["said"]))


def draw(counted: Mapping[int, Count], frame: Frame, now: float) -> Judged:
    """Return what a project's models judged within a frame, of what each bar begins with."""
    counts = {start: counted.get(start, Count()) for start in frame.starts(now)}
    most = max((count.images for count in counts.values()), default=0) or 1
    scale = _HEIGHT / most
    bars = (
        Bar(start * HOUR, count, round(count.images * scale, 2), round(count.anomalies * scale, 2))
        for start, count in counts.items()
    )
    return Judged(sum(counts.values(), Count()), tuple(bars))


def _show(visit: Visit) -> Response:
    frame = next((each for each in FRAMES if each.name == visit.query.get("over")), FRAMES[1])
    now = visit.service.clock()
    counted = visit.service.tally.sums(frame.starts(now)[0], frame.hours)
    cards = [_card(visit, name, draw(counted.get(name, {}), frame, now)) for name in _names(visit)]
    return visit.show(
        "dashboard.html.j2",
        cards=cards,
        alarms=[Told.of(each) for each in visit.service.alarms.latest(_ALARMS)],
        frame=frame,
        frames=FRAMES,
        total=sum((card.judged.total for card in cards), Count()),
        height=_HEIGHT,
        is_followed=any(each.is_moving for card in cards for each in card.versions),
    )


def _card(visit: Visit, name: str, judged: Judged) -> Card:
    project = find_project(visit.client, name)
    versions = versions_of(visit, name, project.models)
    drifts: dict[str, Drift] = {}
    if hosted := _hosted(versions):
        counted = visit.service.tally.since(first_hour(visit.service.clock()), name)
        drifts = {v.version: find_drift(visit.service, name, v.version, counted) for v in hosted}
    return Card(project, versions, judged, drifts)


def _hosted(versions: Sequence[Version]) -> list[Version]:
    shown = (ModelStatus.HOSTED, ModelStatus.STARTING_HOSTING, ModelStatus.STOPPING_HOSTING)
    return [each for each in versions if each.status in shown]


def _names(visit: Visit) -> list[str]:
    listed = visit.client.get_paginator("list_projects").paginate()
    return [project["ProjectName"] for page in listed for project in page["Projects"]]


def _follow(visit: Visit) -> Response:
    found = {
        f"{name}/{each.version}": each.state
        for name in _names(visit)
        for each in find_versions(visit, name)
    }
    return JSONResponse({"versions": found})


PAGES = (
    Page("GET", "/dashboard", _show),
    Page("GET", "/dashboard-states", _follow),
)
