"""Looks at a project's images, a few at a time and while somebody waits, and keeps what it saw."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, dataclass
from enum import StrEnum
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
_MISSES: Final = 3  # images, one after another: more is the store and no image


class Problem(StrEnum):
    """Why an image cannot be measured."""

    GONE = "gone"
    WITHHELD = "withheld"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Unreadable:
    """An image that cannot be measured; `detail` says in words what is damaged."""

    problem: Problem
    detail: str = ""


Seen = Measures | Unreadable


@dataclass(frozen=True)
class Progress:
    """How many of a project's images were looked at.

    Attributes:
        is_stuck: The store does not answer.
    """

    known: int
    total: int
    is_stuck: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether all were looked at."""
        return self.known == self.total


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
        self._missed: set[str] = set()  # what the store did not give; it is asked once more
        self._has_answered = False

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
        every = dict.fromkeys(i.source for each in self.images(project).values() for i in each)
        is_stuck = False
        if self._turn.acquire(blocking=False):
            try:
                self._examine(every, time.monotonic() + seconds)
            except StorageError:  # whose words name folders of the server
                is_stuck = True
            finally:
                self._turn.release()
        return Progress(sum(source in self._seen for source in every), len(every), is_stuck)

    def _examine(self, every: Mapping[str, None], deadline: float) -> None:
        """Look at what is not known, what the store did not give before at the end.

        Raises:
            StorageError: The store does not answer.
        """
        if len(self._seen) > _MOST:
            self._seen = {source: seen for source, seen in self._seen.items() if source in every}
        left = [source for source in every if source not in self._seen]
        misses = 0
        for source in sorted(left, key=self._missed.__contains__):
            try:
                self._seen[source] = self._look(source)
                self._has_answered, misses = True, 0
            except StorageError:
                if self._has_answered and source in self._missed:
                    self._seen[source] = Unreadable(Problem.WITHHELD)
                self._missed.add(source)
                misses += 1
                if misses == min(_MISSES, len(left)) and source not in self._seen:
                    raise
            if time.monotonic() > deadline:
                return

    def _look(self, source: str) -> Seen:
        bucket, key = parse_s3_uri(source)
        found = self._kept.find(self._service.buckets.bucket(bucket), key)
        if found is None:
            return Unreadable(Problem.GONE)
        told = json.loads(found)
        if "problem" in told:
            return Unreadable(Problem(told["problem"]), told["detail"])
        return Measures(**told)


def derive(data: bytes) -> bytes:
    """Return what is kept of an image's file."""
    try:
        seen: Seen = measure(data)
    except ImageError as error:
        seen = Unreadable(Problem.DAMAGED, error.message)
    return json.dumps(asdict(seen)).encode()
