"""Brings JSON lines into data sets, by the API's own operation, and takes images out of them.

The API takes one update of a data set at a time, and says at a later look how it ended. Here one
person's change waits for another's: in this process by a lock, and beyond it by asking again.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lfvpipe.console.wording import say
from lfvpipe.errors import UserError
from lfvpipe.lookout.statuses import DATASET_BUSY, DatasetStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lfvpipe.lookout.api import DatasetType, LookoutClient, Response
    from lfvpipe.service.images import DatasetImages

_PART: Final = 8 * 1024 * 1024
"""Bytes of lines that go into one update; the API takes 10 MiB."""
_PATIENCE: Final = 120.0
"""Seconds that a change may take, or that another one is waited for."""
_PAUSES: Final = (0.01, 0.25)
"""Seconds between two looks, at first and at most: a service may bound how many there are."""


@dataclass(frozen=True)
class DatasetName:
    """Which data set is meant, of a region's."""

    project: str
    type: DatasetType

    @property
    def other(self) -> DatasetName:
        """The project's other one."""
        return DatasetName(self.project, "test" if self.type == "train" else "train")


class UpdateFailed(UserError):
    """A data set stayed as it was; the message is the service's."""


class Overtaken(UserError):
    """Somebody else changed the same images at the same moment."""

    def __init__(self) -> None:
        super().__init__(say("refusals.overtaken"), hint=say("refusals.overtaken_hint"))


class Updates:
    """Changes the data sets of one region; safe to call from many threads.

    Args:
        client: Asks the service.
        images: What the data sets have.
    """

    def __init__(self, client: LookoutClient, images: DatasetImages) -> None:
        self._client = client
        self._images = images
        self._guard = threading.Lock()
        self._locks: defaultdict[str, threading.RLock] = defaultdict(threading.RLock)

    @contextmanager
    def alone(self, project: str) -> Iterator[None]:
        """Let nobody else of this process change the project's data sets within the block."""
        with self._guard:
            lock = self._locks[project]
        with lock:
            yield

    def put(
        self, dataset: DatasetName, lines: Mapping[str, str], expected: Mapping[str, str | None]
    ) -> None:
        """Give images their lines, new ones behind the others; they have them at the return.

        Args:
            dataset: Where.
            lines: By the images' addresses.
            expected: The lines that they have by now; None for images that are new.

        Raises:
            Overtaken: They have others.
            ClientError: The service refuses.
            UpdateFailed: The data set stayed as it was; of many lines perhaps as it was in between.
        """
        with self.alone(dataset.project):
            for part in _parts(lines):
                self._put(dataset, part, expected)

    def take(self, dataset: DatasetName, sources: Iterable[str]) -> dict[str, str]:
        """Take images out of a data set, and return the lines of those that were there.

        Raises:
            Fault: The service refuses.
            UpdateFailed: Somebody else's change does not end.
        """
        with self.alone(dataset.project):
            self.wait(dataset)
            return self._images.remove(dataset.project, dataset.type, sources)

    def create(self, dataset: DatasetName) -> None:
        """Create a data set without images, unless there is one.

        Raises:
            ClientError: The service refuses.
        """
        with self.alone(dataset.project):
            if not self.exists(dataset):
                self._client.create_dataset(ProjectName=dataset.project, DatasetType=dataset.type)

    def exists(self, dataset: DatasetName) -> bool:
        """Say whether the project has such a data set.

        Raises:
            ClientError: There is no such project.
        """
        described = self._client.describe_project(ProjectName=dataset.project)
        found = described["ProjectDescription"]["Datasets"]
        return dataset.type in [each["DatasetType"] for each in found]

    def _put(
        self, dataset: DatasetName, lines: Mapping[str, str], expected: Mapping[str, str | None]
    ) -> None:
        deadline = time.monotonic() + _PATIENCE
        changes = "\n".join(lines.values())
        while True:
            self.wait(dataset)
            present = self._images.lines(dataset.project, dataset.type, lines)
            if any(present.get(source) != expected[source] for source in lines):
                raise Overtaken
            try:
                self._client.update_dataset_entries(
                    ProjectName=dataset.project, DatasetType=dataset.type, Changes=changes
                )
                break
            except self._client.exceptions.ConflictException:
                # Another process' update began between the look and ours.
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSES[0])
        described = self.wait(dataset)
        if self._images.lines(dataset.project, dataset.type, lines) == lines:
            return
        # Else somebody else's update came right behind ours, and changed the same images.
        if described["Status"] == DatasetStatus.UPDATE_FAILED_ROLLBACK_COMPLETE:
            raise UpdateFailed(described["StatusMessage"])

    def wait(self, dataset: DatasetName) -> Response:
        """Wait until nobody changes a data set; return its description.

        Raises:
            UpdateFailed: It could not be created, or somebody else's change does not end.
        """
        deadline = time.monotonic() + _PATIENCE
        pause, longest = _PAUSES
        while True:
            answer = self._client.describe_dataset(
                ProjectName=dataset.project, DatasetType=dataset.type
            )
            described: Response = answer["DatasetDescription"]
            if described["Status"] == DatasetStatus.CREATE_FAILED:
                raise UpdateFailed(
                    say(f"refusals.not_created_{dataset.type}"),
                    hint=say("refusals.not_created_hint", message=described["StatusMessage"]),
                )
            if described["Status"] not in DATASET_BUSY:
                return described
            if time.monotonic() > deadline:
                raise UpdateFailed(
                    say(f"refusals.busy_{dataset.type}", status=described["Status"]),
                    hint=say("refusals.busy_hint"),
                )
            time.sleep(pause)
            pause = min(1.25 * pause, longest)


def _parts(lines: Mapping[str, str]) -> Iterator[dict[str, str]]:
    part: dict[str, str] = {}
    size = 0
    for source, line in lines.items():
        length = len(line.encode()) + 1
        if part and size + length > _PART:
            yield part
            part, size = {}, 0
        part[source] = line
        size += length
    if part:
        yield part
