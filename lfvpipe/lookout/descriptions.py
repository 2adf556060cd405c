"""What the service says of a project, a dataset or a model; None where it knows of none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from lfvpipe.lookout.failures import ABSENT, LookoutError, explained

if TYPE_CHECKING:
    from lfvpipe.lookout.api import DatasetType, LookoutClient

Description: TypeAlias = Mapping[str, Any]


def describe_project(client: LookoutClient, name: str) -> Description | None:
    """Return the ProjectDescription of `name`, or None.

    Raises:
        LookoutError: The service cannot be asked, or fails.
    """
    return _unless_absent(
        f"looking at project {name}",
        lambda: client.describe_project(ProjectName=name)["ProjectDescription"],
    )


def describe_dataset(client: LookoutClient, project: str, split: DatasetType) -> Description | None:
    """Return the DatasetDescription of a project's `split`, or None.

    Raises:
        LookoutError: The service cannot be asked, or fails.
    """
    return _unless_absent(
        f"looking at the {split} dataset of project {project}",
        lambda: client.describe_dataset(ProjectName=project, DatasetType=split)[
            "DatasetDescription"
        ],
    )


def describe_model(client: LookoutClient, project: str, version: str) -> Description | None:
    """Return the ModelDescription of a project's model `version`, or None.

    Raises:
        LookoutError: The service cannot be asked, or fails.
    """
    return _unless_absent(
        f"looking at model {version} of project {project}",
        lambda: client.describe_model(ProjectName=project, ModelVersion=version)[
            "ModelDescription"
        ],
    )


def describe_tags(client: LookoutClient, model: Description) -> Mapping[str, str]:
    """Return the tags of a model, of which its metadata or description is given.

    Raises:
        LookoutError: The service cannot be asked, or fails.
    """
    arn = model["ModelArn"]
    with explained(f"reading the tags of {arn}"):
        found = client.list_tags_for_resource(ResourceArn=arn).get("Tags", ())
    return {tag["Key"]: tag["Value"] for tag in found}


def _unless_absent(doing: str, call: Callable[[], Description]) -> Description | None:
    try:
        with explained(doing):
            return call()
    except LookoutError as error:
        if error.code == ABSENT:
            return None
        raise


def timestamp(value: datetime | None) -> str | None:
    """Return a timestamp of the service as UTC ISO 8601 with microseconds, for the ledger."""
    return value.astimezone(UTC).isoformat() if value else None
