"""Marks where the anomaly is: masks that people paint, as the service learns from them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy

from lfvpipe import painting
from lfvpipe.console.datasets.calls import read_type
from lfvpipe.console.datasets.colouring import WHITE, colours_of
from lfvpipe.console.datasets.updates import Overtaken
from lfvpipe.console.wording import say
from lfvpipe.errors import UserError
from lfvpipe.images import SERVED, ImageError, inspect, read_mask, upright_size
from lfvpipe.manifest import (
    NewLabel,
    creation_date,
    mark,
    mask_reference,
    remask,
    service_entry,
)
from lfvpipe.service.roles import check_labelling
from lfvpipe.storage import parse_s3_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfvpipe.console.datasets.editing import Done, Editing
    from lfvpipe.console.datasets.updates import DatasetName
    from lfvpipe.service import Service
    from lfvpipe.service.images import ImageId
    from lfvpipe.storage import Buckets

MASKS: Final = "lfvpipe-masks/"
"""The folder of a bucket in which what was painted lies."""
_MOST_BYTES: Final = 64 * 1024 * 1024
_MOST_LINE: Final = 10 * 1024 * 1024
_COLOUR: Final = re.compile(r"#[0-9A-F]{6}")
ONE_TYPE: Final = "defect"
"""Where a project tells no types."""


class NotMarked(UserError):
    """What was painted cannot be kept; the data set is as it was."""


@dataclass(frozen=True)
class Sheet:
    """An image that is painted on.

    Attributes:
        name: As people call it.
        size: Width and height in pixels, as a browser shows it.
        classes: A colour (``#RRGGBB``) for each type of anomaly that the project has.
        mask: What is marked by now, in these colours, see-through: a PNG. None for nothing.
        stand: Tells what the image is like now; a painting says which stand it was made for.
    """

    name: str
    size: tuple[int, int]
    classes: Mapping[str, str]
    mask: bytes | None
    stand: str

    @classmethod
    def of(
        cls, name: str, data: bytes, stand: str, classes: Mapping[str, str], mask: Mask | None
    ) -> Sheet:
        """Return an image's sheet.

        Args:
            name: See `Sheet`.
            data: The image's file.
            stand: See `Sheet`.
            classes: See `Sheet`; those of the mask are among them.
            mask: What is marked by now.

        Raises:
            NotMarked: It is no image, or its mask is none.
        """
        try:
            inspect(data, SERVED)
            size = upright_size(data)
        except ImageError as error:
            raise NotMarked(say("refusals.bad_image", fault=error.fault)) from error
        shown = None
        if mask:
            shown = painting.see_through(recoloured(mask, classes).data)
        return cls(name, size, classes, shown, stand)


@dataclass(frozen=True)
class Mask:
    """Where anomalies are.

    Attributes:
        data: A picture with a white background.
        classes: The colours (``#RRGGBB``) that it has, by anomaly type.
    """

    data: bytes
    classes: Mapping[str, str]


@dataclass(frozen=True)
class Marked:
    """An image of a data set with what is marked in it.

    Attributes:
        line: Its JSON line.
    """

    line: str
    sheet: Sheet


@dataclass(frozen=True)
class Saved:
    """What became of a painting.

    Attributes:
        stand: Of the image's line now.
        is_masked: Whether the image has a mask now.
        remark: What else a person should know; "" for nothing.
    """

    stand: str
    is_masked: bool
    remark: str


class Marking:
    """Reads and writes the masks of a region's data sets; safe to call from many threads.

    Args:
        service: Has the data sets and the buckets.
        editing: Changes the data sets.
    """

    def __init__(self, service: Service, editing: Editing) -> None:
        self._service = service
        self._editing = editing

    def find(self, dataset: DatasetName, image: ImageId) -> Marked | None:
        """Return an image with its mask; None where the data set does not have it.

        Raises:
            StorageError: The image or its mask cannot be read.
            NotMarked: It is no image, or its mask is none.
        """
        images = self._service.images
        found = images.entries(dataset.project, dataset.type, [image]).get(image)
        if found is None:
            return None
        entry = service_entry(found.line, longest=_MOST_LINE)
        mask = None
        if entry.mask is not None:
            mask = Mask(self._read(entry.mask), entry.mask_classes)
        data, stand = self._read(found.image.source), _stand(found.line)
        wishes = dict(mask.classes) if mask else {}
        there = images.of_project(dataset.project)
        classes = colours_of(there, wishes) or colours_of((), {ONE_TYPE: ""})
        sheet = Sheet.of(found.image.name, data, stand, classes, mask)
        return Marked(found.line, sheet)

    def picture(self, marked: Marked) -> bytes:
        """Return an image's file; raises StorageError."""
        return self._read(_source_of(marked.line))

    def save(
        self,
        dataset: DatasetName,
        image: ImageId,
        painted: bytes,
        classes: Mapping[str, str],
        stand: str,
    ) -> Saved:
        """Keep what a person painted: the image is an anomaly, and the mask says where.

        The mask lies in the image's own bucket, since the service takes a data set from one
        bucket, under a name of its digest: what a model is learning from is not overwritten.

        Args:
            dataset: Whose image it is.
            image: Which one.
            painted: A PNG of the image's size, clear where nothing is marked; all clear takes the
                mask away.
            classes: The colours that it was painted with, by type of anomaly.
            stand: Of the line that it was painted for.

        Returns:
            How the image stands now.

        Raises:
            Fault: Whoever asks may not label images.
            NotMarked: The painting cannot be used, or the image is not there.
            Overtaken: Somebody else changed the image meanwhile.
            StorageError: The mask cannot be written.
        """
        check_labelling("mark anomalies")
        # Two people may name the same new type at once, each page with a colour of its own.
        with self._editing.alone(dataset.project):
            known = self.find(dataset, image)
            if known is None:
                raise NotMarked(say("refusals.image_gone"))
            if known.sheet.stand != stand:
                raise Overtaken
            mask = read_painting(painted, known.sheet, classes)
            source, made = _source_of(known.line), creation_date(datetime.now(UTC))
            reference = None
            if mask is not None:
                there = self._service.images.of_project(dataset.project)
                mask = recoloured(mask, colours_of(there, mask.classes))
                address = put_mask(self._service.buckets, source, mask.data)
                reference = mask_reference(address, mask.classes, made)
            line = mark(known.line, NewLabel("anomaly", made), reference)
            done = self._editing.replace(dataset, source, known.line, line)
        return Saved(_stand(line), mask is not None, done.remark)

    def rename_type(self, project: str, old: str, new: str) -> Done:
        """Call an anomaly type otherwise, in both data sets; one that is there takes it in.

        All masks of the type have one colour afterwards, also where it is given its own name.

        Raises:
            ClientError: The service refuses.
            UpdateFailed: Nothing was changed.
            LineError: An image has a mask with both types.
            StorageError: A mask cannot be read or written.
            NotMarked: A mask is no picture.
        """
        with self._editing.alone(project):
            images = self._service.images.of_project(project)
            colours = colours_of(images, {})
            has_masks = any(new in dict(image.classes) for image in images)
            colour = colours.get(new if has_masks else old, "")
            colours = {name: each for name, each in colours.items() if name not in (old, new)}
            wanted = {**colours, new: colour}
            return self._editing.rename_type(
                project, old, new, lambda line: self._repaint(line, wanted, new)
            )

    def _repaint(self, line: str, wanted: Mapping[str, str], name: str) -> str:
        """Return a line whose mask has the colours that are wanted; as it is where it has a type's.

        Args:
            line: The image's.
            wanted: By anomaly type.
            name: The type.
        """
        entry = service_entry(line, longest=_MOST_LINE)
        present = entry.mask_classes.get(name)
        if entry.mask is None or present in (None, wanted[name]):
            return line
        mask = recoloured(Mask(self._read(entry.mask), entry.mask_classes), wanted)
        address = put_mask(self._service.buckets, entry.source, mask.data)
        made = creation_date(datetime.now(UTC))
        return remask(line, mask_reference(address, mask.classes, made))

    def _read(self, address: str) -> bytes:
        bucket, key = parse_s3_uri(address)
        return self._service.buckets.bucket(bucket).get(key, limit=_MOST_BYTES)


def read_painting(painted: bytes, sheet: Sheet, classes: Mapping[str, str]) -> Mask | None:
    """Return what a person painted as a mask, with the types that it shows; None for nothing.

    Args:
        painted: A PNG of the sheet's size, clear where nothing is marked.
        sheet: What was painted on.
        classes: The colours that it was painted with, by type of anomaly.

    Raises:
        NotMarked: Types or colours cannot be used.
        NoPainting: It is no such PNG.
        NoCall: A type's name is none.
    """
    named = {
        name if name in sheet.classes else read_type(name): colour.upper()
        for name, colour in classes.items()
    }
    usable = [each for each in named.values() if _COLOUR.fullmatch(each) and each != WHITE]
    if not named or len(set(usable)) != len(classes):
        raise NotMarked(say("refusals.bad_colours"))
    mask = painting.mask_from_painting(painted, sheet.size, named)
    if mask is None:
        return None
    shown = _colours_in(mask)
    return Mask(mask, {name: colour for name, colour in named.items() if colour in shown})


def recoloured(mask: Mask, classes: Mapping[str, str]) -> Mask:
    """Return a mask in other colours; what has no type's is background.

    Args:
        mask: In its own colours.
        classes: The others, by anomaly type.

    Raises:
        NotMarked: It is no picture.
    """
    try:
        pixels = numpy.array(read_mask(mask.data))
    except ImageError as error:
        raise NotMarked(say("refusals.bad_mask", fault=error.fault)) from error
    result = numpy.full_like(pixels, 255)
    for name, colour in mask.classes.items():
        if colour == WHITE:  # of the API's; it is the background's as well
            continue
        result[(pixels == _code(colour)).all(axis=2)] = _code(classes[name])
    return Mask(painting.png(result), {name: classes[name] for name in mask.classes})


def put_mask(buckets: Buckets, source: str, mask: bytes) -> str:
    """Write a mask into the bucket of an image, and return its address.

    Args:
        buckets: Where both lie.
        source: The image's address.
        mask: A PNG.

    Raises:
        StorageError: The store does not take it.
    """
    bucket, key = parse_s3_uri(source)
    digest = hashlib.sha256(source.encode() + mask).hexdigest()[:24]
    stem = re.sub(r"[^a-zA-Z0-9_-]+", "-", key.rpartition("/")[2].rpartition(".")[0])[:80]
    target = f"{MASKS}{stem}-{digest}.png"
    buckets.bucket(bucket).put(target, mask)
    return f"s3://{bucket}/{target}"


def _stand(line: str) -> str:
    """Return what tells a line from others."""
    return hashlib.sha256(line.encode()).hexdigest()


def _source_of(line: str) -> str:
    return service_entry(line, longest=_MOST_LINE).source


def _colours_in(mask: bytes) -> set[str]:
    counted = read_mask(mask).getcolors(1 << 16) or []
    return {"#{:02X}{:02X}{:02X}".format(*code) for _, code in counted if isinstance(code, tuple)}


def _code(colour: str) -> numpy.ndarray[tuple[int], numpy.dtype[numpy.uint8]]:
    return numpy.frombuffer(bytes.fromhex(colour.lstrip("#")), numpy.uint8)
