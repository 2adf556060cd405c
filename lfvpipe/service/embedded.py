"""The service inside the process that calls it."""

from pathlib import Path

from lfvpipe.detector.protocol import DEFAULT as DEFAULT_DETECTOR
from lfvpipe.service import locks
from lfvpipe.service.faults import Fault
from lfvpipe.service.looks import find_folder
from lfvpipe.service.quotas import Quotas, read_quotas
from lfvpipe.service.regions import folder_of
from lfvpipe.service.runtime import open_runtime
from lfvpipe.service.service import Service
from lfvpipe.service.state import models
from lfvpipe.storage import Buckets

__all__ = ["Service", "model_file", "model_status", "open_service", "stands_still"]


def open_service(
    state_dir: Path,
    buckets: Buckets,
    *,
    region: str,
    detector: str = DEFAULT_DETECTOR,
    limits: str = "open",
    trains: bool = True,
) -> Service:
    """Open the service over `state_dir`.

    Several processes may have the same folder open. What runs on in threads can be killed at any
    moment, and trainings run in processes of their own.

    Args:
        state_dir: Made when absent.
        buckets: The object store of new datasets and models.
        region: Whose resources they are: each region has its own.
        detector: The name of the detector of new models.
        limits: How many images a training takes: ``documented`` or ``open``.
        trains: Starts trainings, also such as stand still because their process was killed.

    Raises:
        UserError: The folder cannot be used, or its state is from a newer version; or there is no
            such detector.
    """
    return Service(
        folder_of(state_dir, region),
        buckets,
        region=region,
        quotas=read_quotas(state_dir, limits, cancel_trainings=True),
        detector=detector,
        isolated=False,
        trains=trains,
    )


def model_file(state_dir: Path, region: str, project: str, version: str) -> Path | None:
    """Return where a trained model lies, for `lfvpipe.detector.load`; None where there is none.

    There is none for the caller either where another detector made the model.

    Raises:
        UserError: The folder cannot be used, or its state is from a newer version.
    """
    folder = find_folder(state_dir, region)
    if not (folder / "service.db").is_file():
        return None
    runtime = open_runtime(folder, Quotas())
    try:
        with runtime.database.read() as tx:
            row = models.get(tx, project, version)
    except Fault:
        return None
    finally:
        runtime.database.close()
    file = runtime.model_file(row.id)
    return file if row.detector == DEFAULT_DETECTOR and file.is_file() else None


def model_status(state_dir: Path, region: str, project: str, version: str) -> str | None:
    """Return a model version's status as the state's file has it; None where it does not tell.

    Nothing is opened for writing, and no training is looked after.
    """
    file = find_folder(state_dir, region) / "service.db"
    return models.read_status(file, project, int(version))


def stands_still(state_dir: Path, region: str, project: str, version: str) -> bool:
    """Tell whether a training was begun that no process is at any more.

    It asks who holds the training's lock, and starts nothing. One that no worker has begun, as it
    waits for its turn, does not stand still.
    """
    folder = find_folder(state_dir, region)
    identity = models.read_begun(folder / "service.db", project, int(version))
    held = locks.Locks(folder / "locks")
    return identity is not None and held.is_abandoned(locks.model(identity))
