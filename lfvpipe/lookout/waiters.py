"""Waits for a dataset, a model or its hosting to get where it is going, or to be gone."""

import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from threading import Event
from typing import Literal

from lfvpipe.engine.step import Cancelled
from lfvpipe.errors import UserError
from lfvpipe.lookout.api import DatasetType, LookoutClient
from lfvpipe.lookout.client import EMBEDDED_URL
from lfvpipe.lookout.descriptions import Description, describe_dataset, describe_model
from lfvpipe.lookout.failures import LookoutError, explained
from lfvpipe.lookout.statuses import (
    DATASET_BUSY,
    DATASET_COMPLETE,
    MODEL_TRAINED,
    DatasetStatus,
    ModelStatus,
)
from lfvpipe.patience import OF_A_LONG_WAIT, patient

OnStatus = Callable[[str, str], None]

_TRAINING = frozenset({ModelStatus.TRAINING, ModelStatus.SYSTEM_UPDATING})
_ON_THE_WAY = frozenset(  # into hosting, or out of it
    {ModelStatus.STARTING_HOSTING, ModelStatus.STOPPING_HOSTING, ModelStatus.SYSTEM_UPDATING}
)


@dataclass(frozen=True)
class Pace:
    """Seconds between two looks: `first`, then `growth` times more, at most `longest`."""

    first: float
    growth: float
    longest: float


EMBEDDED_PACE = Pace(first=0.02, growth=1.4, longest=1.0)
REMOTE_PACE = Pace(first=0.5, growth=1.4, longest=5.0)
# One pace for both: a deletion is documented to take moments, and its pauses grow from the start.
DELETION_PACE = Pace(first=0.02, growth=1.4, longest=5.0)
DELETION_LIMIT = 600.0  # seconds


def wait_for_dataset(
    client: LookoutClient,
    *,
    project: str,
    dataset_type: DatasetType,
    on_status: OnStatus,
    cancelled: Event,
) -> Description:
    """Wait until the dataset is created or updated; return its DatasetDescription.

    Raises:
        LookoutError: The dataset failed (with its StatusMessage), or a call did.
        Cancelled: `cancelled` was set.
    """
    name = f"{dataset_type} dataset of project {project}"

    def look() -> Description:
        described = client.describe_dataset(ProjectName=project, DatasetType=dataset_type)
        return _mapping(described["DatasetDescription"])

    return _wait(client, look, name, DATASET_BUSY, DATASET_COMPLETE, on_status, cancelled)


def wait_for_model(
    client: LookoutClient, *, project: str, version: str, on_status: OnStatus, cancelled: Event
) -> Description:
    """Wait until the model version is trained; return its ModelDescription.

    Raises:
        LookoutError: The training failed (with its StatusMessage), or a call did.
        Cancelled: `cancelled` was set; the training goes on.
    """
    look = _model(client, project, version)
    name = f"model {version} of project {project}"
    return _wait(client, look, name, _TRAINING, MODEL_TRAINED, on_status, cancelled)


def wait_for_hosting(
    client: LookoutClient,
    *,
    project: str,
    version: str,
    on_status: OnStatus,
    cancelled: Event,
    target: Literal[ModelStatus.HOSTED, ModelStatus.TRAINED] = ModelStatus.HOSTED,
) -> Description:
    """Wait until the model is hosted, or, with `target` TRAINED, no longer; return its description.

    Raises:
        LookoutError: Hosting failed (with its StatusMessage), or a call did.
        Cancelled: `cancelled` was set.
    """
    look = _model(client, project, version)
    name = f"hosting of model {version} of project {project}"
    return _wait(client, look, name, _ON_THE_WAY, frozenset({target}), on_status, cancelled)


def wait_for_dataset_deletion(
    client: LookoutClient,
    *,
    project: str,
    dataset_type: DatasetType,
    on_status: OnStatus,
    cancelled: Event | None = None,
) -> None:
    """Wait until a deleted dataset is gone: DeleteDataset answers before it is.

    Raises:
        UserError: The deletion failed (with its StatusMessage), or takes too long.
        LookoutError: A call failed.
        Cancelled: `cancelled` was set.
    """

    def look() -> Description | None:
        live = describe_dataset(client, project, dataset_type)
        if live is not None:
            status, message = str(live["Status"]), str(live.get("StatusMessage", ""))
            if status == DatasetStatus.DELETE_FAILED:
                raise UserError(
                    f"The {dataset_type} dataset of project {project} cannot be deleted:"
                    f" {message or 'no reason given'}."
                )
            on_status(status, message)
        return live

    _wait_until_gone(look, f"{dataset_type} dataset of project {project}", cancelled)


def wait_for_model_deletion(client: LookoutClient, *, project: str, version: str) -> None:
    """Wait until a deleted model version is gone: DeleteModel answers before it is.

    Raises:
        UserError: It takes too long.
        LookoutError: A call failed.
    """
    name = f"model {version} of project {project}"
    _wait_until_gone(lambda: describe_model(client, project, version), name, None)


def _wait_until_gone(
    look: Callable[[], Description | None], name: str, cancelled: Event | None
) -> None:
    seconds, began = DELETION_PACE.first, time.monotonic()

    def pause(asked: float) -> None:
        if (cancelled or Event()).wait(asked):
            raise Cancelled(f"Stopped waiting; the deletion of the {name} goes on by itself.")

    while time.monotonic() - began < DELETION_LIMIT:
        with patient(OF_A_LONG_WAIT, wait=pause):
            if look() is None:
                return
        pause(seconds)
        seconds = min(seconds * DELETION_PACE.growth, DELETION_PACE.longest)
    raise UserError(
        f"The {name} is not gone {DELETION_LIMIT:.0f} seconds after its deletion.",
        hint="Try again later.",
    )


def _model(client: LookoutClient, project: str, version: str) -> Callable[[], Description]:
    def look() -> Description:
        described = client.describe_model(ProjectName=project, ModelVersion=version)
        return _mapping(described["ModelDescription"])

    return look


def _wait(
    client: LookoutClient,
    look: Callable[[], Description],
    name: str,
    busy: Set[str],
    done: Set[str],
    on_status: OnStatus,
    cancelled: Event,
) -> Description:
    pace = EMBEDDED_PACE if client.meta.endpoint_url == EMBEDDED_URL else REMOTE_PACE
    seconds = pace.first

    def pause(asked: float) -> None:
        if cancelled.wait(asked):
            raise Cancelled(f"Stopped waiting; the {name} goes on by itself.")

    while True:
        # What waits for hours outlives a service that is restarted meanwhile.
        with explained(f"looking at the {name}"), patient(OF_A_LONG_WAIT, wait=pause):
            seen = look()
        status, message = str(seen.get("Status", "")), str(seen.get("StatusMessage", ""))
        on_status(status, message)
        if status in done:
            return seen
        if status not in busy:
            reason = message.rstrip(".") or "no reason given"
            raise LookoutError(f"The {name} ended as {status}: {reason}.", code=status)
        if cancelled.wait(seconds):
            raise Cancelled(f"Stopped waiting; the {name} is {status} and goes on by itself.")
        seconds = min(seconds * pace.growth, pace.longest)


def _mapping(value: object) -> Description:
    return value if isinstance(value, Mapping) else {}
