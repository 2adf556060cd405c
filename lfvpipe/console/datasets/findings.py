"""Which images of a project are worth a look: by their labels, their likeness and their light."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, defaultdict
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from statistics import median
from typing import TYPE_CHECKING, Final

from lfvpipe.console.datasets.examining import Unreadable
from lfvpipe.dataset.checks.likeness import near_hashes
from lfvpipe.images import Measures
from lfvpipe.lookout import training_verdicts
from lfvpipe.report.records import Verdict
from lfvpipe.report.suspects import contradicted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lfvpipe.console.datasets.examining import Seen
    from lfvpipe.lookout.training_verdicts import TrainingVerdict
    from lfvpipe.service.images import DatasetImage

LEAST: Final = 10
"""Images; of fewer nobody can say what is unusual."""
_SPREADS: Final = 6.0  # from the median: by chance hardly one image in a hundred million
_A_SPREAD: Final = 1.4826  # times the median deviation: as a standard deviation of what is normal
_LEAST_OFF: Final = 20.0  # of 255: less is seen by nobody
_GROUPED: Final = 8  # projects whose groups stay in memory


class Check(StrEnum):
    """For what an image is worth a look."""

    SUSPECT = "suspect"
    ALIKE = "alike"
    SAME = "same"
    SHARED = "shared"
    LIGHT = "light"
    SIZE = "size"
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class Member:
    """An image of a group, and the data set that has it."""

    type: str
    image: DatasetImage


@dataclass(frozen=True)
class Group:
    """Images that are alike, of both data sets.

    Attributes:
        number: Of its place among the groups, from 1 on.
    """

    number: int
    members: tuple[Member, ...]

    @property
    def labels_differ(self) -> bool:
        """Whether some are called normal and some anomalous."""
        return {"normal", "anomaly"} <= {each.image.label for each in self.members}

    def others(self, kind: str) -> list[Member]:
        """Return those that the other data set has."""
        return [each for each in self.members if each.type != kind]


@dataclass(frozen=True)
class Mark:
    """What is to be said of an image that is worth a look.

    Attributes:
        value: A probability of the label's opposite, a brightness, or none.
        usual: The usual brightness.
        group: Which it belongs to.
        size: The image's.
        usual_size: That of most.
        unreadable: Why it cannot be read.
    """

    value: float = 0.0
    usual: float = 0.0
    group: Group | None = None
    size: tuple[int, int] = (0, 0)
    usual_size: tuple[int, int] = (0, 0)
    unreadable: Unreadable | None = None


Marks = dict[str, Mark]


@dataclass(frozen=True)
class _Alike:
    """The groups of the same sources, seen the same: by address."""

    sources: tuple[tuple[str, ...], ...]
    known: int
    near: tuple[tuple[str, ...], ...]
    same: tuple[tuple[str, ...], ...]


class Findings:
    """Says which images of a region's projects are worth a look; safe to call from many threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._grouped: OrderedDict[str, _Alike] = OrderedDict()

    def find(
        self,
        project: str,
        images: Mapping[str, Sequence[DatasetImage]],
        seen: Mapping[str, Seen],
        kind: str,
    ) -> dict[Check, Marks]:
        """Return the images of one data set that are worth a look, by address, the worst first.

        Args:
            project: Whose images they are.
            images: Of both data sets, by type.
            seen: What is known of them.
            kind: The type of the data set that is looked at.
        """
        measured = {s: each for s, each in seen.items() if isinstance(each, Measures)}
        ours = [image.source for image in images.get(kind, ())]
        alike = self._group(project, images, measured)
        near = _groups(images, alike.near)
        same = _groups(images, alike.same)
        return {
            Check.ALIKE: _marks(near, kind),
            Check.SAME: _marks(same, kind),
            Check.SHARED: _marks([each for each in near if each.others(kind)], kind),
            Check.LIGHT: _by_light(ours, measured),
            Check.SIZE: _by_size(ours, measured),
            Check.UNREADABLE: {
                source: Mark(unreadable=each)
                for source in ours
                if isinstance(each := seen.get(source), Unreadable)
            },
        }

    def _group(
        self,
        project: str,
        images: Mapping[str, Sequence[DatasetImage]],
        measured: Mapping[str, Measures],
    ) -> _Alike:
        sources = tuple(tuple(image.source for image in each) for each in images.values())
        with self._guard:
            known = self._grouped.get(project)
            if known and known.sources == sources and known.known == len(measured):
                return known
        same: defaultdict[str, list[str]] = defaultdict(list)
        for source, each in measured.items():
            same[each.pixels].append(source)
        twice = set(sources[0]).intersection(*sources[1:]) if len(sources) > 1 else set()
        copies = [tuple(each) for each in same.values() if len(each) > 1 or each[0] in twice]
        firsts = [each[0] for each in same.values()]
        pairs = near_hashes({source: int(measured[source].likeness, 16) for source in firsts})
        near = _joined([*pairs, *copies])
        made = _Alike(sources, len(measured), tuple(near), tuple(copies))
        with self._guard:
            self._grouped[project] = made
            while len(self._grouped) > _GROUPED:
                self._grouped.popitem(last=False)
        return made


def _joined(groups: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return groups without common members, of those that have some."""
    of: dict[str, list[str]] = {}
    for group in groups:
        joined: list[str] = []
        for each in {id(known): known for name in group if (known := of.get(name))}.values():
            joined.extend(each)
        joined.extend(name for name in group if name not in of)
        of.update(dict.fromkeys(joined, joined))
    return [tuple(each) for each in {id(group): group for group in of.values()}.values()]


def _groups(
    images: Mapping[str, Sequence[DatasetImage]], found: Sequence[Sequence[str]]
) -> list[Group]:
    """Return groups with the images' labels of now, those with both labels first."""
    wanted = {source for each in found for source in each}
    members: defaultdict[str, list[Member]] = defaultdict(list)
    for kind, each in images.items():
        for image in each:
            if image.source in wanted:
                members[image.source].append(Member(kind, image))
    groups = [Group(0, tuple(m for source in each for m in members[source])) for each in found]
    groups.sort(key=lambda group: not group.labels_differ)
    return [Group(number, each.members) for number, each in enumerate(groups, 1)]


def _marks(groups: Sequence[Group], kind: str) -> Marks:
    return {
        each.image.source: Mark(group=group)
        for group in groups
        for each in group.members
        if each.type == kind
    }


def _by_light(ours: Sequence[str], measured: Mapping[str, Measures]) -> Marks:
    """Return the images that are far darker or brighter than the project's others."""
    if len(measured) < LEAST:
        return {}
    usual = median(each.brightness for each in measured.values())
    deviation = median(abs(each.brightness - usual) for each in measured.values())
    most = max(_LEAST_OFF, _SPREADS * _A_SPREAD * deviation)
    off = {
        source: Mark(value=measured[source].brightness, usual=usual)
        for source in ours
        if source in measured and abs(measured[source].brightness - usual) > most
    }
    return dict(sorted(off.items(), key=lambda item: -abs(item[1].value - usual)))


def _by_size(ours: Sequence[str], measured: Mapping[str, Measures]) -> Marks:
    """Return the images of another size than most of the project have."""
    sizes = {source: (each.width, each.height) for source, each in measured.items()}
    usual = next((size for size, _ in Counter(sizes.values()).most_common(1)), (0, 0))
    return {
        source: Mark(size=sizes[source], usual_size=usual)
        for source in ours
        if source in sizes and sizes[source] != usual
    }


def find_suspects(text: str | None, images: Sequence[DatasetImage]) -> Marks | None:
    """Return the images whose labels a training's models held to be wrong, the strongest first.

    As `lfvpipe review --of training` has them; an image that is called otherwise by now is none.

    Args:
        text: The training's verdicts on its images; None where it left none.
        images: Those of a data set.

    Returns:
        None where nobody could say: there are no verdicts, or too few images of a label.
    """
    doubted = None if text is None else _contradicted(text)
    if doubted is None:
        return None
    labels = {image.source: image.label for image in images}
    return {
        source: Mark(value=value) for source, label, value in doubted if labels.get(source) == label
    }


@lru_cache(maxsize=8)
def _contradicted(text: str) -> tuple[tuple[str, str, float], ...] | None:
    try:
        said = training_verdicts.read_lines(text.encode())
    except ValueError:
        return None
    found = contradicted([*_verdicts(said)])
    if found is None:
        return None
    return tuple((each.id, each.label or "", each.confidence) for each in found)


def _verdicts(said: Sequence[TrainingVerdict]) -> Iterator[Verdict]:
    for each in said:
        is_anomalous = each.probability >= 0.5
        yield Verdict(
            id=each.source,
            name=each.source,
            label=each.label,
            is_anomalous=is_anomalous,
            confidence=each.probability if is_anomalous else 1 - each.probability,
        )
