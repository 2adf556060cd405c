"""What the operations and the jobs share: folders, state, locks, stores, the detector."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe.detector.protocol import DEFAULT as DEFAULT_DETECTOR
from lfvpipe.service import locks
from lfvpipe.service.errors import FolderUnusable
from lfvpipe.service.locks import OPENING, Locks
from lfvpipe.service.quotas import Quotas
from lfvpipe.service.state import models
from lfvpipe.service.state.database import Database
from lfvpipe.service.state.models import Model
from lfvpipe.storage import Buckets, reconnect

if TYPE_CHECKING:
    from lfvpipe.detector import Detector


@dataclass(frozen=True)
class Runtime:
    """One state folder, opened.

    Attributes:
        state_dir: The folder.
        clock: Returns epoch seconds.
        detector_name: Which detector new models are trained with.
        stand_in: Stands in for every detector, in tests.
    """

    state_dir: Path
    database: Database
    locks: Locks
    quotas: Quotas
    clock: Callable[[], float] = time.time
    detector_name: str = DEFAULT_DETECTOR
    stand_in: "Detector | None" = None
    _stores: dict[str, Buckets] = field(default_factory=dict)

    def detector_of(self, model: Model) -> "Detector":
        """Return the detector that the model was created for, imported on first use.

        It is the model's, not the one that this service gives to new models: the folder may have
        been served with another detector before, or be served with one by another process.

        Raises:
            UserError: It is not installed here.
        """
        if self.stand_in is not None:
            return self.stand_in
        from lfvpipe.detector import load_detector

        return load_detector(model.detector)

    def model_file(self, identity: int) -> Path:
        """Return where the model with this row id lies.

        By id, not by project name: names that differ in case only, or that Windows reserves,
        would share or break a folder.
        """
        return self.state_dir / "models" / str(identity) / "model.lfv"

    def scratch(self, name: str) -> Path:
        """Return a folder for a job's passing files; the job empties it."""
        return self.state_dir / "scratch" / name

    def remove_scratch_of_killed(self) -> None:
        """Remove what killed jobs left whose datasets or components may be gone by now.

        What a training goes on from stays, until that is over.
        """
        with self.database.read() as tx:
            wanted = {locks.model(each) for each in models.in_training(tx)}
        for folder in (self.state_dir / "scratch").glob("*"):
            if folder.name not in wanted:
                with self.locks.held(folder.name) as ours:
                    if ours:
                        shutil.rmtree(folder, ignore_errors=True)

    def remove_files_of_deleted_models(self) -> None:
        """Remove what a power cut brought back of models whose rows are gone.

        The folders are listed first: a row is there before its folder, and no id is given twice.
        Files whose number this database never gave stay: it may have been made anew, and they be
        all that is left.
        """
        folders = [each for each in self.state_dir.glob("models/*") if each.name.isdecimal()]
        if not folders:
            return
        with self.database.read() as tx:
            given = models.highest_id(tx)
            numbers = {each: int(each.name) for each in folders}
            gone = [
                folder
                for folder, number in numbers.items()
                if number <= given and models.find(tx, number) is None
            ]
        for folder in gone:
            shutil.rmtree(folder, ignore_errors=True)

    def store(self, described: str) -> Buckets:
        """Return the object store that `describe_storage` described."""
        if described not in self._stores:
            self._stores[described] = reconnect(json.loads(described))
        return self._stores[described]


def describe_storage(buckets: Buckets) -> str:
    """Return `buckets` as JSON, for a row and for another process."""
    return json.dumps(buckets.describe(), sort_keys=True)


def open_runtime(
    state_dir: Path,
    quotas: Quotas,
    *,
    clock: Callable[[], float] = time.time,
    detector_name: str = DEFAULT_DETECTOR,
    stand_in: "Detector | None" = None,
) -> Runtime:
    """Open `state_dir`, making it when absent.

    Raises:
        FolderUnusable: It cannot be made or written.
        UserError: Its state is damaged, or from a newer version.
    """
    folder = state_dir.absolute()
    try:
        (folder / "locks").mkdir(parents=True, exist_ok=True)
        held = Locks(folder / "locks")
        with held.held(OPENING, seconds=30.0):
            database = Database(folder / "service.db")
    except OSError as error:
        raise FolderUnusable(folder, error) from error
    return Runtime(folder, database, held, quotas, clock, detector_name, stand_in)
