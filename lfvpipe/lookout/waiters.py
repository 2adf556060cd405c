"""Waits for a dataset, a model or its hosting to get where it is going."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from threading import Event
from typing import Any, Literal

from lfvpipe.engine.step import Cancelled
from lfvpipe.lookout.api import DatasetType, LookoutClient
from lfvpipe.lookout.client import EMBEDDED_URL
from lfvpipe.lookout.failures import LookoutError, explained
from lfvpipe.lookout.statuses import DATASET_BUSY, DATASET_COMPLETE, MODEL_TRAINED, ModelStatus

Description = Mapping[str, Any]
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
    target: Literal["HOSTED", "TRAINED"] = "HOSTED",
) -> Description:
    """Wait until the model is hosted, or, with `target` TRAINED, no longer; return its description.

    Raises:
        LookoutError: Hosting failed (with its StatusMessage), or a call did.
        Cancelled: `cancelled` was set.
    """
    look = _model(client, project, version)
    name = f"hosting of model {version} of project {project}"
    return _wait(client, look, name, _ON_THE_WAY, frozenset({target}), on_status, cancelled)


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
    while True:
        with explained(f"looking at the {name}"):
            seen = look()
        status, message = str(seen.get("Status", "")), str(seen.get("StatusMessage", ""))
        on_status(status, message)
        if status in done:
            return seen
        if status not in busy:
            message = f"the {name} ended as {status}: {message or 'no reason given'}"
            raise LookoutError(message, code=status)
        if cancelled.wait(seconds):
            raise Cancelled(f"stopped waiting; the {name} is {status} and goes on by itself")
        seconds = min(seconds * pace.growth, pace.longest)


def _mapping(value: object) -> Description:
    return value if isinstance(value, Mapping) else {}
