"""What of a data set is worth a look, as its gallery says it and filters by it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.console.datasets.findings import Check, find_suspects
from lfvpipe.console.wording import say
from lfvpipe.lookout import training_verdicts
from lfvpipe.lookout.statuses import MODEL_TRAINED
from lfvpipe.service.images import Order
from lfvpipe.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lfvpipe.console.datasets.findings import Mark, Marks
    from lfvpipe.console.datasets.updates import DatasetName
    from lfvpipe.console.visit import Visit
    from lfvpipe.service.images import Catalogue, DatasetImage, Wanted

_NAMED = 2  # images of a group that are in the other data set


@dataclass(frozen=True)
class Looked:
    """What is known of a data set's images, and for what they are looked at.

    Attributes:
        type: The data set's.
        check: None for all images.
        known: How many of the project's images were looked at.
        total: How many it has.
        is_near: The images lie on this machine: to read them all costs nobody anything.
        marks: Of the images that are worth a look, by check and address; None where nobody can say.
    """

    type: str
    check: Check | None
    known: int
    total: int
    is_near: bool
    marks: Mapping[Check, Marks | None]

    @property
    def is_whole(self) -> bool:
        """Whether all images were looked at."""
        return self.known == self.total

    @property
    def is_clean(self) -> bool:
        """Whether all images were looked at, and none is to be looked at for what it shows."""
        others = [check for check in Check if check is not Check.SUSPECT]
        return bool(self.total) and self.is_whole and not any(map(self.count, others))

    def count(self, check: Check) -> int | None:
        """Return how many images are worth a look for something; None where nobody can say."""
        found = self.marks[check]
        return None if found is None else len(found)

    def select(self, catalogue: Catalogue, wanted: Wanted) -> Sequence[DatasetImage]:
        """Return the images that are wanted and worth a look; as added, the worst first."""
        found = catalogue.select(wanted)
        if self.check is None:
            return found
        marks = self.marks[self.check] or {}
        shown = [image for image in found if image.source in marks]
        if wanted.order is Order.ADDED:
            places = {source: place for place, source in enumerate(marks)}
            shown.sort(key=lambda image: places[image.source])
        return shown

    def is_band(self, image: DatasetImage) -> bool:
        """Whether an image is of every other group, which a page tells by its ground."""
        mark = self._mark(image)
        return mark is not None and mark.group is not None and mark.group.number % 2 == 1

    def said(self, image: DatasetImage) -> list[str]:
        """Return what is said of an image that is looked at for something."""
        mark = self._mark(image)
        return [] if mark is None else [*_say(self.type, self.check, image, mark)]

    def _mark(self, image: DatasetImage) -> Mark | None:
        return (self.marks[self.check] or {}).get(image.source) if self.check else None


def look_through(visit: Visit, dataset: DatasetName) -> Looked:
    """Return what is known of a data set's images.

    Raises:
        Fault: There is no such project.
    """
    asked = visit.query.get("check", "")
    check = Check(asked) if asked in set(Check) else None
    desk = visit.datasets
    images = desk.examining.images(dataset.project)
    seen = desk.examining.seen(images)
    total = len({image.source for each in images.values() for image in each})
    marks: dict[Check, Marks | None] = dict.fromkeys(Check)
    # While images are still looked at, what is alike is found anew only for who asks for it.
    if len(seen) == total or check is not None:
        marks |= desk.findings.find(dataset.project, images, seen, dataset.type)
    said = _training_verdicts(visit, dataset.project)
    marks[Check.SUSPECT] = find_suspects(said, images.get(dataset.type, ()))
    is_near = visit.service.buckets.endpoint == "local"
    return Looked(dataset.type, check, len(seen), total, is_near, marks)


def _training_verdicts(visit: Visit, project: str) -> str | None:
    """Return what the newest model's training said of its images; None where it left nothing."""
    for listed in visit.client.get_paginator("list_models").paginate(ProjectName=project):
        for model in listed["Models"]:
            if model["Status"] in MODEL_TRAINED:
                version, name = model["ModelVersion"], training_verdicts.NAME
                with suppress(StorageError):
                    return visit.service.versions.evaluation(project, version, name)
                return None
    return None


def _say(kind: str, check: Check | None, image: DatasetImage, mark: Mark) -> Iterator[str]:
    match check:
        case Check.SUSPECT:
            held = "normal" if image.label == "anomaly" else "anomaly"
            yield say(f"checks.held_{held}", confidence=mark.value)
        case Check.LIGHT:
            yield say("checks.light_of", value=round(mark.value), usual=round(mark.usual))
        case Check.SIZE:
            (width, height), (wide, high) = mark.size, mark.usual_size
            yield say("checks.size_of", size=f"{width}x{height}", usual=f"{wide}x{high}")
        case Check.UNREADABLE if mark.unreadable is not None:
            found = mark.unreadable
            yield say(f"checks.why_{found.problem}", detail=found.detail)
    if mark.group is not None:
        yield say("checks.group", number=mark.group.number)
        if mark.group.labels_differ:
            yield say("checks.differ")
        others = mark.group.others(kind)
        for each in others[:_NAMED]:
            name, label = each.image.name, each.image.label or ""
            yield say(f"checks.in_{each.type}", name=name, label=say(f"datasets.called_{label}"))
        if len(others) > _NAMED:
            yield say("checks.more", count=len(others) - _NAMED)
