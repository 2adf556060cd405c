"""The images of a dataset, for people who look at them: what the API has no operation for.

A content never changes once it is ready, so what was read of it is kept, and a look at another
part of the same images reads nothing again.
"""

import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Self

from lfvpipe import manifest
from lfvpipe.images import ImageError, read_mask
from lfvpipe.lookout.statuses import DATASET_BUSY, DatasetStatus
from lfvpipe.service import auditing
from lfvpipe.service.faults import conflict
from lfvpipe.service.quotas import Quotas
from lfvpipe.service.roles import check_admin
from lfvpipe.service.shortages import (
    Masks,
    Shortage,
    TwoColours,
    TypeShortage,
    shortages,
    two_colours,
    type_shortages,
)
from lfvpipe.service.state import contents, datasets, entries, projects, tokens
from lfvpipe.service.state.contents import Content, ContentState, Counts
from lfvpipe.service.state.database import Database, Transaction
from lfvpipe.service.state.datasets import Dataset
from lfvpipe.service.state.entries import Row
from lfvpipe.storage import Buckets, StorageError, parse_s3_uri

_KEPT = 400_000  # images whose names and labels stay in memory: some 150 MB
_LOOK = 200  # masks that one look reads: some seconds
_LARGEST_MASK = 64 * 1024 * 1024  # bytes
_NAMED = 10  # images that the log of changes names
_TYPED = ('"defect-type"', "-color-map")  # what a line has that may tell an anomaly's type


@dataclass(frozen=True, slots=True)
class ImageId:
    """An image of a dataset, for as long as it is one.

    Attributes:
        place: Its place, which it keeps over updates.
        check: Of its address: the place may come to be another image's.
    """

    place: int
    check: int

    @classmethod
    def read(cls, text: str) -> Self | None:
        """Return the id that a text spells; None where it spells none."""
        place, _, check = text.partition("-")
        if not (place.isascii() and place.isdecimal() and len(place) <= 12 and len(check) == 8):
            return None
        try:
            return cls(int(place), int(check, 16))
        except ValueError:
            return None

    def __str__(self) -> str:
        return f"{self.place}-{self.check:08x}"


@dataclass(frozen=True, slots=True)
class DatasetImage:
    """An image of a dataset.

    Attributes:
        source: Its address.
        label: ``normal``, ``anomaly`` or None.
        types: Of the anomaly: what the label says, else what the mask's colours stand for.
        classes: What may be in its mask: anomaly types with their colours, ``#RRGGBB``.
        mask: Its address; "" for none.
    """

    id: ImageId
    source: str
    label: str | None
    types: tuple[str, ...] = ()
    classes: tuple[tuple[str, str], ...] = ()
    mask: str = ""

    @property
    def key(self) -> str:
        """The object's key."""
        return self.source.split("/", 3)[-1]

    @property
    def name(self) -> str:
        """What people see it called: of its key what comes last, without folders and digests."""
        return self.key.rpartition("/")[2]


class Order(StrEnum):
    """How images are sorted."""

    ADDED = "added"
    NEWEST = "newest"
    NAME = "name"
    LABEL = "label"


class Show(StrEnum):
    """Which images are shown, by label."""

    ALL = "all"
    NORMAL = "normal"
    ANOMALY = "anomaly"
    UNLABELLED = "unlabelled"


@dataclass(frozen=True)
class Wanted:
    """Which images of a dataset are looked at, and in which order.

    Attributes:
        name: Part of the images' names; capitals do not matter.
        type: An anomaly type; "" for any.
    """

    show: Show = Show.ALL
    name: str = ""
    type: str = ""
    order: Order = Order.ADDED

    def takes(self, image: DatasetImage) -> bool:
        """Say whether an image is wanted."""
        label = Show.UNLABELLED if image.label is None else image.label
        return (
            (self.show is Show.ALL or self.show == label)
            and (not self.type or self.type in image.types)
            and self.name.casefold() in image.name.casefold()
        )


@dataclass(frozen=True)
class Catalogue:
    """The images that a dataset has at a time.

    Attributes:
        is_ready: False while the dataset is created, or where that failed.
    """

    status: DatasetStatus
    message: str
    counts: Counts
    images: tuple[DatasetImage, ...]
    is_ready: bool = True

    @property
    def is_busy(self) -> bool:
        """Whether it is being created, updated or deleted."""
        return self.status in DATASET_BUSY

    @cached_property
    def types(self) -> dict[str, int]:
        """How many images show each anomaly type, by name."""
        counted: dict[str, int] = {}
        for image in self.images:
            for name in image.types:
                counted[name] = counted.get(name, 0) + 1
        return dict(sorted(counted.items()))

    def select(self, wanted: Wanted) -> Sequence[DatasetImage]:
        """Return the images that are wanted, in their order."""
        found = self.images if wanted == Wanted() else [*filter(wanted.takes, self.images)]
        match wanted.order:
            case Order.ADDED:
                return found
            case Order.NEWEST:
                return found[::-1]
            case Order.NAME:
                return sorted(found, key=lambda image: (image.name, image.key))
            case Order.LABEL:
                return sorted(found, key=lambda image: (image.label or "", image.types))


@dataclass(frozen=True)
class MaskFaults:
    """What is amiss with a project's masks, as a training would find it.

    Attributes:
        types: Anomaly types that too few images show alone.
        colours: Those of two colours.
        unread: Masks that nobody looked at yet: it is not known then.
    """

    types: Sequence[TypeShortage]
    colours: Sequence[TwoColours]
    unread: int

    @property
    def is_any(self) -> bool:
        """Whether no model can be trained for them."""
        return bool(self.types or self.colours)


@dataclass(frozen=True)
class Entry:
    """An image of a dataset with its JSON line."""

    image: DatasetImage
    line: str


class DatasetImages:
    """Looks at datasets' images, and takes single ones out; safe to call from many threads.

    Args:
        database: The state.
        quotas: What is allowed.
        clock: Returns epoch seconds.
        buckets: Where the masks lie.
    """

    def __init__(
        self, database: Database, quotas: Quotas, clock: Callable[[], float], buckets: Buckets
    ) -> None:
        self._buckets = buckets
        self._shown: OrderedDict[tuple[object, ...], Mapping[str, str]] = OrderedDict()
        self._database = database
        self._quotas = quotas
        self._clock = clock
        self._guard = threading.Lock()
        self._kept: OrderedDict[int, tuple[DatasetImage, ...]] = OrderedDict()

    def catalogue(self, project: str, dataset_type: str) -> Catalogue:
        """Return the images that a dataset has now.

        Raises:
            Fault: ResourceNotFoundException.
        """
        with self._database.read() as tx:
            dataset = datasets.get(tx, project, dataset_type)
            content = contents.find(tx, dataset.content)
            if content is None or content.state is not ContentState.READY:
                return Catalogue(dataset.status, dataset.message, Counts(), (), is_ready=False)
            images = self._known(content.id)
            if images is None:
                images = tuple(map(_image, entries.each(tx, content.id)))
                self._keep(content.id, images)
        return Catalogue(dataset.status, dataset.message, _counts(content), images)

    def of_project(self, project: str) -> list[DatasetImage]:
        """Return the images that all datasets of a project have now.

        Raises:
            Fault: ResourceNotFoundException.
        """
        with self._database.read() as tx:
            projects.get(tx, project)
            kinds = [each.type for each in datasets.of_project(tx, project)]
        return [image for kind in kinds for image in self.catalogue(project, kind).images]

    def entries(
        self, project: str, dataset_type: str, wanted: Iterable[ImageId]
    ) -> dict[ImageId, Entry]:
        """Return the images with their lines, without those that are no longer there.

        Raises:
            Fault: ResourceNotFoundException.
        """
        ids = set(wanted)
        with self._database.read() as tx:
            dataset = datasets.get(tx, project, dataset_type)
            rows = entries.find(tx, dataset.content, sorted(each.place for each in ids))
        found = (Entry(_image(row), row.line) for row in rows)
        return {each.image.id: each for each in found if each.image.id in ids}

    def lines(self, project: str, dataset_type: str, sources: Iterable[str]) -> dict[str, str]:
        """Return the JSON lines of images by their addresses, without those that are not there.

        Raises:
            Fault: ResourceNotFoundException.
        """
        with self._database.read() as tx:
            dataset = datasets.get(tx, project, dataset_type)
            rows = entries.of_sources(tx, dataset.content, sources)
        return {row.source: row.line for row in rows}

    def shortages(self, project: str) -> list[Shortage]:
        """Return which labelled images a model of the project lacks.

        Raises:
            Fault: ResourceNotFoundException.
        """
        with self._database.read() as tx:
            projects.get(tx, project)
            counted = {
                each.type: _counts(contents.find(tx, each.content))
                for each in datasets.of_project(tx, project)
            }
        train = counted.get("train", Counts())
        return list(shortages(self._quotas, train, counted.get("test")))

    def mask_faults(self, project: str) -> MaskFaults:
        """Return what is amiss with a project's masks, by the rules of a training.

        Of a mask whose map names several types its file says which it shows; a look reads some of
        those that are not known yet, and the next one others.

        Raises:
            Fault: ResourceNotFoundException.
        """
        with self._database.read() as tx:
            projects.get(tx, project)
            kinds = [each.type for each in datasets.of_project(tx, project)]
        shown: dict[str, list[Mapping[str, str]]] = {}
        unread = reads = 0
        for kind in kinds:
            masked = [i for i in self.catalogue(project, kind).images if i.label and i.classes]
            shown[kind] = []
            for image in masked:
                found = self._known_mask(image)
                if found is None and reads < _LOOK:
                    reads += 1
                    found = self._read_mask(image)
                unread += found is None
                shown[kind].append(found or {})
        if unread:
            return MaskFaults((), (), unread)
        name = "the training dataset" if "test" in shown else "the dataset"
        train = Masks(name, "train", shown.get("train", []))
        test = Masks("the test dataset", "test", shown["test"]) if "test" in shown else None
        few = list(type_shortages(self._quotas, train, test))
        return MaskFaults(few, list(two_colours(train, test)) if any(train.shown) else [], 0)

    def _known_mask(self, image: DatasetImage) -> Mapping[str, str] | None:
        if len(image.classes) == 1:
            return dict(image.classes)
        with self._guard:
            return self._shown.get((image.mask, image.classes))

    def _read_mask(self, image: DatasetImage) -> Mapping[str, str]:
        """Return the types in a mask; all that its map names where it cannot be read."""
        bucket, key = parse_s3_uri(image.mask)
        colours: set[str] | None = None
        with suppress(StorageError, ImageError):
            data = self._buckets.bucket(bucket).get(key, limit=_LARGEST_MASK)
            counted = read_mask(data).getcolors(1 << 16) or []
            colours = {
                "#{:02X}{:02X}{:02X}".format(*code)
                for _, code in counted
                if isinstance(code, tuple)
            }
        found = {n: c for n, c in image.classes if colours is None or c in colours}
        with self._guard:
            self._shown[image.mask, image.classes] = found
            while len(self._shown) > _KEPT:
                self._shown.popitem(last=False)
        return found

    def remove(self, project: str, dataset_type: str, sources: Iterable[str]) -> dict[str, str]:
        """Take images out of a dataset; they stay where they lie, and a training goes on with them.

        Args:
            project: Whose dataset it is.
            dataset_type: ``train`` or ``test``.
            sources: The images' addresses.

        Returns:
            The lines of those that were there, by their addresses.

        Raises:
            Fault: ResourceNotFoundException, ConflictException while it is being changed, or
                AccessDeniedException to who is no admin.
        """
        check_admin("remove images from a data set")
        with self._database.write() as tx:
            dataset = datasets.get(tx, project, dataset_type)
            base = contents.find(tx, dataset.content)
            is_ready = base is not None and base.state is ContentState.READY
            if base is None or not is_ready or dataset.status in DATASET_BUSY:
                state = f"the {dataset_type} dataset of project {project} is {dataset.status}"
                raise conflict("DATASET", dataset.name, f"{state}; nothing can be removed from it")
            rows = entries.of_sources(tx, base.id, sources)
            if rows:
                now = self._clock()
                asked = {
                    "ProjectName": project,
                    "DatasetType": dataset_type,
                    "Removed": len(rows),
                    "First": ", ".join(row.source for row in rows[:_NAMED]),
                }
                with auditing.written_down(tx, "RemoveDatasetEntries", asked, now):
                    _replace(tx, dataset, base, [row.seq for row in rows], now)
        return {row.source: row.line for row in rows}

    def _known(self, content: int) -> tuple[DatasetImage, ...] | None:
        with self._guard:
            found = self._kept.get(content)
            if found is not None:
                self._kept.move_to_end(content)
            return found

    def _keep(self, content: int, images: tuple[DatasetImage, ...]) -> None:
        with self._guard:
            self._kept[content] = images
            while len(self._kept) > 1 and sum(map(len, self._kept.values())) > _KEPT:
                self._kept.popitem(last=False)


def _replace(
    tx: Transaction, dataset: Dataset, base: Content, places: Sequence[int], now: float
) -> None:
    """Give a dataset a content without the entries at `places`."""
    content = contents.create_empty(tx, base.storage)
    entries.copy(tx, base=base.id, content=content)
    entries.remove(tx, content, places)
    contents.settle(tx, content, ContentState.READY, base.message, entries.count(tx, content))
    number = "1 image was" if len(places) == 1 else f"{len(places):,} images were"
    datasets.settle(
        tx,
        dataset,
        status=DatasetStatus.UPDATE_COMPLETE,
        message=f"{number} removed.",
        content=content,
        now=now,
    )
    # An update with a fixed token must take effect again: what it added may be among these.
    tokens.forget(tx, tokens.dataset_resource(dataset), "UpdateDatasetEntries")
    contents.collect(tx)


def _counts(content: Content | None) -> Counts:
    if content is None or content.state is not ContentState.READY:
        return Counts()
    return Counts(content.total, content.normal, content.anomaly)


def _id(row: Row) -> ImageId:
    return ImageId(row.seq, zlib.crc32(row.source.encode()))


def _image(row: Row) -> DatasetImage:
    if row.label is None or not any(mark in row.line for mark in _TYPED):
        return DatasetImage(_id(row), row.source, row.label)
    entry = manifest.service_entry(row.line, longest=len(row.line))
    classes = tuple(entry.mask_classes.items())
    types: tuple[str, ...] = ()
    if row.label == "anomaly":
        types = (entry.given.type,) if entry.given.type else tuple(entry.mask_classes)
    return DatasetImage(_id(row), row.source, row.label, types, classes, entry.mask or "")
