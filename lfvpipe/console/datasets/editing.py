"""What a person does with many images at once: call them something, move, remove, and undo it."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lfvpipe.console.datasets.calls import Call, call_of
from lfvpipe.console.datasets.history import Change, History
from lfvpipe.console.datasets.updates import DatasetName, Overtaken
from lfvpipe.console.wording import say
from lfvpipe.errors import UserError
from lfvpipe.lookout.api import DATASET_TYPES
from lfvpipe.manifest import NewLabel, creation_date, relabel, rename_type
from lfvpipe.service.roles import check_admin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from lfvpipe.console.datasets.updates import Updates
    from lfvpipe.service.images import DatasetImage, DatasetImages, ImageId

_TRIES = 20
"""How often somebody else may be faster with the same images."""


class TooLate(UserError):
    """A step can no longer be undone."""


@dataclass(frozen=True)
class Seen:
    """An image, and what it was called on the page that it was chosen on."""

    id: ImageId
    call: Call


@dataclass(frozen=True)
class Done:
    """What became of the images that were chosen.

    Attributes:
        changed: How many were changed.
        already: How many were as they were to be.
        differing: How many others had called something else meanwhile; they were left alone.
        gone: How many are no longer in the data set.
        undo: Takes it back; "" where there is nothing to take back.
        remark: What else a person should know, in whole sentences; "" for nothing.
    """

    changed: int
    already: int = 0
    differing: int = 0
    gone: int = 0
    undo: str = ""
    remark: str = ""


class Editing:
    """Changes the images of a region's data sets; safe to call from many threads.

    Args:
        images: What the data sets have.
        updates: Changes them.
        tell: Told of each step once it is done; returns what a person should know of that.
        clock: Returns epoch seconds.
    """

    def __init__(
        self,
        images: DatasetImages,
        updates: Updates,
        tell: Callable[[Sequence[Change]], str] = lambda _: "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._images = images
        self._updates = updates
        self._tell = tell
        self._clock = clock
        self._history = History()

    def label(self, dataset: DatasetName, chosen: Sequence[Seen], call: Call) -> Done:
        """Call images something, but for those that somebody else called something meanwhile.

        Raises:
            ClientError: The service refuses.
            UpdateFailed: Nothing was changed.
        """
        with self._updates.alone(dataset.project):
            for _ in range(_TRIES):
                self._updates.wait(dataset)  # another process' update may be under way
                with suppress(Overtaken):
                    return self._label(dataset, chosen, call)
        raise Overtaken

    def _label(self, dataset: DatasetName, chosen: Sequence[Seen], call: Call) -> Done:
        now = creation_date(datetime.fromtimestamp(self._clock(), UTC))
        wanted = NewLabel(call.label, now, call.type)
        step: list[Change] = []
        already = differing = 0
        found = self._images.entries(dataset.project, dataset.type, (each.id for each in chosen))
        for each in chosen:
            entry = found.get(each.id)
            if entry is None:
                continue
            if call.fits(entry.image):
                already += 1
            elif call_of(entry.image) != each.call:
                differing += 1
            else:
                line = relabel(entry.line, wanted)
                step.append(Change(dataset, entry.image.source, entry.line, line))
        remark = self._carry_out(step)
        gone = len(chosen) - len(found)
        return Done(len(step), already, differing, gone, self._history.add(step), remark)

    def replace(self, dataset: DatasetName, source: str, before: str, after: str) -> Done:
        """Give one image another line, if it still has the one that is known.

        Raises:
            Overtaken: It has another by now.
            ClientError: The service refuses.
            UpdateFailed: Nothing was changed.
        """
        step = [Change(dataset, source, before, after)]
        with self._updates.alone(dataset.project):
            remark = self._carry_out(step)
        return Done(1, undo=self._history.add(step), remark=remark)

    def remove(self, dataset: DatasetName, chosen: Sequence[ImageId]) -> Done:
        """Take images out of a data set; they stay in the bucket.

        Raises:
            Fault: The service refuses.
        """
        with self._updates.alone(dataset.project):
            self._updates.wait(dataset)
            found = self._images.entries(dataset.project, dataset.type, chosen).values()
            step = [Change(dataset, each.image.source, each.line, None) for each in found]
            remark = self._carry_out(step)
        gone = len(chosen) - len(step)
        return Done(len(step), gone=gone, undo=self._history.add(step), remark=remark)

    def move(self, dataset: DatasetName, chosen: Sequence[ImageId]) -> Done:
        """Move images to the project's other data set, which is created where there is none.

        Raises:
            ClientError: The service refuses.
            UpdateFailed: The other data set cannot have them, such as from another bucket.
        """
        other = dataset.other
        with self._updates.alone(dataset.project):
            self._updates.wait(dataset)
            found = self._images.entries(dataset.project, dataset.type, chosen).values()
            if not found:
                return Done(0, gone=len(chosen))
            self._updates.create(other)
            there = self._images.lines(
                other.project, other.type, (each.image.source for each in found)
            )
            step = []
            for each in found:
                source = each.image.source
                step.append(Change(other, source, there.get(source), each.line))
                step.append(Change(dataset, source, each.line, None))
            remark = self._carry_out(step)
        gone = len(chosen) - len(found)
        return Done(len(found), gone=gone, undo=self._history.add(step), remark=remark)

    def add(self, dataset: DatasetName, lines: Mapping[str, str]) -> Done:
        """Add images that the data set does not have yet, by their addresses.

        The first ones create the data set; none leave no empty one behind.

        Raises:
            ClientError: The service refuses.
            UpdateFailed: Nothing was added.
        """
        if not lines:
            return Done(0)
        with self._updates.alone(dataset.project):
            self._updates.create(dataset)
            self._updates.wait(dataset)
            there = self._images.lines(dataset.project, dataset.type, lines)
            step = [
                Change(dataset, source, None, line)
                for source, line in lines.items()
                if source not in there
            ]
            remark = self._carry_out(step)
        return Done(len(step), already=len(there), undo=self._history.add(step), remark=remark)

    def alone(self, project: str) -> AbstractContextManager[None]:
        """Let nobody else of this process change the project's data sets within the block."""
        return self._updates.alone(project)

    def rename_type(
        self, project: str, old: str, new: str, repaint: Callable[[str], str] = lambda line: line
    ) -> Done:
        """Call an anomaly type otherwise, in both data sets; one that is there takes it in.

        Args:
            project: Whose data sets they are.
            old: The type.
            new: Its name from now on.
            repaint: Returns a line of an image of the new type whose mask is as it has to be.

        Raises:
            ClientError: The service refuses.
            UpdateFailed: Nothing was changed.
            LineError: An image has a mask with both types.
        """
        step: list[Change] = []
        with self._updates.alone(project):
            for kind in DATASET_TYPES:
                dataset = DatasetName(project, kind)
                if not self._updates.exists(dataset):
                    continue
                self._updates.wait(dataset)
                images = self._images.catalogue(project, kind).images
                shown = (image.id for image in images if not _types(image).isdisjoint((old, new)))
                for entry in self._images.entries(project, kind, shown).values():
                    renames = old != new and old in _types(entry.image)
                    line = repaint(rename_type(entry.line, old, new) if renames else entry.line)
                    if line == entry.line:
                        continue
                    step.append(Change(dataset, entry.image.source, entry.line, line))
            remark = self._carry_out(step)
        return Done(len(step), undo=self._history.add(step), remark=remark)

    def undo(self, project: str, token: str) -> Done:
        """Take a step of a project back, but for images that somebody changed since.

        Raises:
            TooLate: It is forgotten, or taken back already.
            ClientError: The service refuses.
            UpdateFailed: Nothing was changed.
        """
        step = self._history.find(token)
        if step is None or step[0].dataset.project != project:
            raise TooLate(say("refusals.too_late"), hint=say("refusals.too_late_hint"))
        with self._updates.alone(project):
            present: dict[DatasetName, dict[str, str]] = {}
            for dataset, changes in _by_dataset(step).items():
                self._updates.wait(dataset)
                sources = (each.source for each in changes)
                present[dataset] = self._images.lines(dataset.project, dataset.type, sources)
            back = [
                Change(each.dataset, each.source, each.after, each.before)
                for each in step
                if present[each.dataset].get(each.source) == each.after
            ]
            remark = self._carry_out(back)
        self._history.forget(token)
        images = {each.source for each in back}
        others = {each.source for each in step} - images
        return Done(len(images), differing=len(others), remark=remark)

    def _carry_out(self, step: Sequence[Change]) -> str:
        """Put all lines first, and take images out then: what is killed between loses none.

        Returns:
            What a person should know of it beyond.

        Raises:
            Fault: Whoever asks is no admin, and images would come or go: nothing is done then.
        """
        if any(None in (each.before, each.after) for each in step):
            check_admin("add images, or take any out")
        by_dataset = _by_dataset(step)
        for dataset, changes in by_dataset.items():
            lines = {each.source: each.after for each in changes if each.after is not None}
            expected = {each.source: each.before for each in changes}
            if lines:
                self._updates.put(dataset, lines, expected)
        for dataset, changes in by_dataset.items():
            gone = [each.source for each in changes if each.after is None]
            if gone:
                self._updates.take(dataset, gone)
        return self._tell(step)


def _types(image: DatasetImage) -> set[str]:
    return {*image.types, *(name for name, _ in image.classes)}


def _by_dataset(step: Iterable[Change]) -> dict[DatasetName, list[Change]]:
    found: defaultdict[DatasetName, list[Change]] = defaultdict(list)
    for each in step:
        found[each.dataset].append(each)
    return found
