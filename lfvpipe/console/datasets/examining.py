"""Looks at a project's images, a few at a time and while somebody waits, and keeps what it saw."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from lfvpipe.images import ImageError, Measures, measure
from lfvpipe.lookout.api import DATASET_TYPES
from lfvpipe.service.faults import Fault
from lfvpipe.storage import StorageError, parse_s3_uri

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfvpipe.console.datasets.derived import Derived
    from lfvpipe.service import Service
    from lfvpipe.service.images import DatasetImage

MOST_BYTES: Final = 128 * 1024 * 1024
"""What all measures may take: of some 400,000 images."""
_MOST: Final = 400_000  # images whose measures stay in memory


@dataclass(frozen=True)
class Unreadable:
    """An image that cannot be measured, and why, in words."""

    why: str


Seen = Measures | Unreadable


@dataclass(frozen=True)
class Progress:
    """How many of a project's images were looked at.

    Attributes:
        problem: Why it does not go on; "" where it does.
    """

    known: int
    total: int
    problem: str = ""


class Examining:
    """Measures the images of a region's data sets; safe to call from many threads.

    What is there of an image counts until the server ends, whatever becomes of the object.

    Args:
        service: The region's.
        kept: What was seen by earlier processes.
    """

    def __init__(self, service: Service, kept: Derived) -> None:
        self._service = service
        self._kept = kept
        self._turn = threading.Lock()  # one looks, whoever else asks
        self._seen: dict[str, Seen] = {}

    def images(self, project: str) -> Mapping[str, Sequence[DatasetImage]]:
        """Return the images of a project's data sets, by their types.

        Raises:
            Fault: There is no such project.
        """
        found: dict[str, Sequence[DatasetImage]] = {}
        for kind in DATASET_TYPES:
            try:
                found[kind] = self._service.images.catalogue(project, kind).images
            except Fault as fault:
                if fault.code != "ResourceNotFoundException":
                    raise
        return found

    def seen(self, images: Mapping[str, Sequence[DatasetImage]]) -> dict[str, Seen]:
        """Return what is known of images, by their addresses."""
        every = (image.source for each in images.values() for image in each)
        known = ((source, self._seen.get(source)) for source in every)
        return {source: seen for source, seen in known if seen is not None}

    def go_on(self, project: str, seconds: float) -> Progress:
        """Look at further images for a while, unless somebody does already.

        Raises:
            Fault: There is no such project.
        """
        images = self.images(project)
        problem = ""
        if self._turn.acquire(blocking=False):
            try:
                self._examine(images, time.monotonic() + seconds)
            except StorageError as error:
                problem = f"{error.message} {error.hint}".strip()
            finally:
                self._turn.release()
        every = {image.source for each in images.values() for image in each}
        return Progress(sum(source in self._seen for source in every), len(every), problem)

    def _examine(self, images: Mapping[str, Sequence[DatasetImage]], deadline: float) -> None:
        while len(self._seen) > _MOST:
            self._seen.pop(next(iter(self._seen)))
        for each in images.values():
            for image in each:
                if image.source not in self._seen:
                    self._seen[image.source] = self._look(image.source)
                    if time.monotonic() > deadline:
                        return

    def _look(self, source: str) -> Seen:
        bucket, key = parse_s3_uri(source)
        found = self._kept.find(self._service.buckets.bucket(bucket), key)
        if found is None:
            return Unreadable("It is not in its bucket.")
        told = json.loads(found)
        return Unreadable(told["why"]) if "why" in told else Measures(**told)


def derive(data: bytes) -> bytes:
    """Return what is kept of an image's file."""
    try:
        seen: Seen = measure(data)
    except ImageError as error:
        seen = Unreadable(f"It {error.message}.")
    return json.dumps(asdict(seen)).encode()
