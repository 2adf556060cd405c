"""What clients had a model judge, held against its own test: control charts, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lfvpipe.console.drift.drawing import draw_chart
from lfvpipe.console.drift.reference import find_reference
from lfvpipe.console.wording import name_day, say
from lfvpipe.lookout.tags import DECISION, EXPECTED, read_share
from lfvpipe.report.control_charts import (
    LEAST,
    LEAST_SCORES,
    Crossing,
    Expected,
    Kind,
    Point,
    find_crossing,
)
from lfvpipe.service.state.judged import HOUR, Count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lfvpipe.console.drift.drawing import Drawing
    from lfvpipe.console.drift.reference import Reference
    from lfvpipe.service import Service
    from lfvpipe.service.state.judged import Hour

DAYS: Final = 90
"""How far a chart looks back."""
_HOURS: Final = 24  # of a day, which begins as UTC's does


@dataclass(frozen=True)
class Group:
    """Days whose images are looked at together.

    Attributes:
        first: The first of them, since 1970; `last` is the last.
        count: What was judged.
    """

    first: int
    last: int
    count: Count


@dataclass(frozen=True)
class Chart:
    """A control chart, with what it says.

    Attributes:
        kind: What it is of.
        points: The oldest first.
        reference: What the middle line is: a share, or a mean score; None where there is none.
        said: One sentence or two.
        crossing: The limit that is passed now; None where none is.
    """

    kind: Kind
    points: tuple[Point, ...]
    reference: float | None
    said: str
    crossing: Crossing | None

    @property
    def drawing(self) -> Drawing | None:
        """The picture of it; None where there is nothing to draw."""
        if not self.points or self.reference is None:
            return None
        return draw_chart(self.points, self.reference, is_count=self.kind is Kind.RATE)


@dataclass(frozen=True)
class Drift:
    """What is known of a version in use.

    Attributes:
        rate: The chart of how many images are called anomalous.
        score: The chart of the mean score of those that are called normal.
        expected: The share that a person expects; None where nobody said one.
        is_tag_wrong: The tag that says it says none.
        since: When the decision was last changed, in epoch seconds: charts begin after it.
        total: All that was judged since.
        before: How many images were judged before it, within the time that is looked back on.
    """

    rate: Chart
    score: Chart
    expected: float | None
    is_tag_wrong: bool
    since: float | None
    total: Count
    before: int

    @property
    def unscored(self) -> int:
        """How many images were called normal and counted without their scores."""
        return self.total.images - self.total.anomalies - self.total.scored

    @property
    def charts(self) -> tuple[Chart, ...]:
        """Both."""
        return self.rate, self.score

    @property
    def is_used(self) -> bool:
        """Whether anything was judged."""
        return bool(self.rate.points)

    @property
    def alarms(self) -> list[Chart]:
        """Those that pass a limit now."""
        return [chart for chart in self.charts if chart.crossing is not None]


def first_hour(now: float) -> int:
    """Return the hour, since 1970, that a chart begins with."""
    return (int(now // HOUR) // _HOURS - DAYS + 1) * _HOURS


def find_drift(
    service: Service, project: str, version: str, counted: Mapping[Hour, Count]
) -> Drift:
    """Return how a trained version in use compares with its test.

    What was judged by another decision than today's is left out.

    Args:
        service: Of the region.
        project: Whose version it is.
        version: Its number.
        counted: What was judged, from `first_hour` on.

    Raises:
        Fault: ResourceNotFoundException.
    """
    tags = service.versions.tags(project, version)
    since = service.versions.tag_changed(project, version, DECISION)
    begins = 0 if since is None else int(since // HOUR) + 1
    ours = {
        key.hour: count
        for key, count in counted.items()
        if (key.project, str(key.version)) == (project, version)
    }
    by_hour = {hour: count for hour, count in ours.items() if hour >= begins}
    groups = list(join_days(by_hour))
    reference = find_reference(service.versions, project, version, tags)
    expected = read_expected(tags.get(EXPECTED, ""))
    rate, score = draw_charts(groups, reference, expected)
    return Drift(
        rate=rate,
        score=score,
        expected=None if expected is None else expected.share,
        is_tag_wrong=EXPECTED in tags and expected is None,
        since=since,
        total=sum(by_hour.values(), Count()),
        before=sum(count.images for hour, count in ours.items() if hour < begins),
    )


def compare_lot(service: Service, project: str, version: str, lot: Count) -> list[str]:
    """Return in which ways images that came together are other than a version's test.

    Args:
        service: Of the region.
        project: Whose version judged them.
        version: Its number.
        lot: What it made of them.

    Raises:
        Fault: ResourceNotFoundException.
    """
    tags = service.versions.tags(project, version)
    reference = find_reference(service.versions, project, version, tags)
    expected = read_expected(tags.get(EXPECTED, ""))
    charts = draw_charts([Group(0, 0, lot)], reference, expected)
    return [
        _say_of_lot(chart, is_expected=expected is not None) for chart in charts if chart.crossing
    ]


def _say_of_lot(chart: Chart, *, is_expected: bool) -> str:
    assert chart.crossing is not None
    newest = chart.crossing.newest
    assert newest.limits is not None
    side, limit = ("above", newest.limits.high) if newest.is_above else ("below", newest.limits.low)
    by = "" if chart.kind is Kind.SCORE else "expected_" if is_expected else "test_"
    return say(
        f"drift.lot_{chart.kind}_{by}{side}",
        figure=newest.figure,
        images=newest.images,
        limit=limit,
        share=chart.reference,
    )


def draw_charts(
    groups: Sequence[Group], reference: Reference, expected: Expected | None
) -> tuple[Chart, Chart]:
    """Return the charts of the share of anomalies and of the mean score."""
    return _rate(groups, reference, expected), _score(groups, reference)


def read_expected(text: str) -> Expected | None:
    """Return the share that a tag's value says, None where it says none."""
    share = read_share(text)
    return None if share is None else Expected(share)


def join_days(by_hour: Mapping[int, Count]) -> Iterator[Group]:
    """Yield days with their images; those with few are joined with the days that follow."""
    days: dict[int, Count] = {}
    for hour in sorted(by_hour):
        days[hour // _HOURS] = days.get(hour // _HOURS, Count()) + by_hour[hour]
    first, so_far = None, Count()
    for day, count in days.items():
        first, so_far = day if first is None else first, so_far + count
        if so_far.images >= LEAST or day == max(days):
            yield Group(first, day, so_far)
            first, so_far = None, Count()


def _rate(groups: Iterable[Group], test: Reference, expected: Expected | None) -> Chart:
    reference = expected or test.false_alarms
    points = tuple(
        Point(
            group.first,
            group.last,
            group.count.images,
            float(group.count.anomalies),
            reference.limits(group.count.images)
            if reference is not None and group.count.images >= LEAST
            else None,
        )
        for group in groups
    )
    crossing = find_crossing(points)
    by = "test" if expected is None else "expected"
    share = None if reference is None else reference.share
    said = (
        say("drift.unread" if test.is_unread else "drift.rate_no_reference")
        if share is None
        else _say(points, crossing, f"rate_{by}", share=share)
    )
    return Chart(Kind.RATE, points, share, said, crossing)


def _score(groups: Iterable[Group], test: Reference) -> Chart:
    reference = test.scores
    points = tuple(
        Point(
            group.first,
            group.last,
            group.count.scored,
            group.count.score / group.count.scored,
            reference.limits(group.count.scored)
            if reference is not None and group.count.scored >= LEAST
            else None,
        )
        for group in groups
        if group.count.scored
    )
    crossing = find_crossing(points)
    mean = None if reference is None else reference.mean
    said = (
        say("drift.unread" if test.is_unread else "drift.score_no_reference", least=LEAST_SCORES)
        if mean is None
        else _say(points, crossing, "score", share=mean)
    )
    return Chart(Kind.SCORE, points, mean, said, crossing)


def _say(points: Iterable[Point], crossing: Crossing | None, chart: str, *, share: float) -> str:
    """Return what a chart says, and what it cannot say."""
    told = [point for point in points if point.limits is not None]
    images = sum(point.images for point in points)
    if not told:
        return say("drift.too_few", images=images, least=LEAST)
    newest = told[-1]
    assert newest.limits is not None  # for the types
    values = {
        "figure": newest.figure,
        "images": newest.images,
        "low": newest.limits.low,
        "high": newest.limits.high,
        "share": share,
    }
    if crossing is not None:
        side = "above" if crossing.newest.is_above else "below"
        return say(f"drift.{chart}_{side}", since=name_day(crossing.since), **values)
    sentence = say(f"drift.{chart}_within", **values)
    past = [point for point in told if point.is_beyond]
    if past:
        before = say("drift.before", count=len(past), last=name_day(past[-1].last))
        return f"{sentence} {before}"
    return sentence
