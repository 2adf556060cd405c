"""What the service says of a project, a dataset or a model; None where it knows of none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lfvpipe.lookout.failures import LookoutError, explained

if TYPE_CHECKING:
    from lfvpipe.lookout.api import DatasetType
    from lfvpipe.steps.context import Context

ABSENT = "ResourceNotFoundException"
CONFLICT = "ConflictException"
FAILED = "InternalServerException"
Description = Mapping[str, Any]


def project(context: Context, name: str) -> Description | None:
    """Return the ProjectDescription of `name`, or None; raises `LookoutError`."""
    return _known(
        f"looking at project {name}",
        lambda: context.lookout.describe_project(ProjectName=name)["ProjectDescription"],
    )


def dataset(context: Context, name: str, split: DatasetType) -> Description | None:
    """Return the DatasetDescription of project `name`'s `split`, or None; raises `LookoutError`."""
    return _known(
        f"looking at the {split} dataset of project {name}",
        lambda: context.lookout.describe_dataset(ProjectName=name, DatasetType=split)[
            "DatasetDescription"
        ],
    )


def model(context: Context, name: str, version: str) -> Description | None:
    """Return the ModelDescription of `version`, or None; raises `LookoutError`."""
    return _known(
        f"looking at model {version} of project {name}",
        lambda: context.lookout.describe_model(ProjectName=name, ModelVersion=version)[
            "ModelDescription"
        ],
    )


def _known(doing: str, call: Callable[[], Description]) -> Description | None:
    try:
        with explained(doing):
            return call()
    except LookoutError as error:
        if error.code == ABSENT:
            return None
        raise


def moment(value: datetime | None) -> str | None:
    """Return a timestamp of the service as UTC ISO 8601 with microseconds."""
    return value.astimezone(UTC).isoformat() if value else None
