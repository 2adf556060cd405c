"""The errors that the operations raise, in the API's words."""

from typing import Literal

from lfvpipe.errors import UserError
from lfvpipe.service.protocol.faults import Fault, invalid

__all__ = ["Fault", "conflict", "invalid", "not_found", "over_quota", "unfit"]

ResourceType = Literal["PROJECT", "DATASET", "MODEL", "TRIAL", "MODEL_PACKAGE_JOB"]


def not_found(kind: ResourceType, identity: str, message: str) -> Fault:
    """Return a ResourceNotFoundException."""
    members = {"ResourceId": identity, "ResourceType": kind}
    return Fault("ResourceNotFoundException", message, members=members, status=404)


def unfit(error: UserError) -> Fault:
    """Return a ValidationException: an image cannot be judged, for what an error says of it."""
    said = error.message
    begins = "The image "  # as of an ImageError, in whichever process it was raised
    told = f"it {said.removeprefix(begins)}" if said.startswith(begins) else said
    return invalid(f"the image cannot be judged: {told}")


def conflict(kind: ResourceType, identity: str, message: str) -> Fault:
    """Return a ConflictException: the resource's state does not allow the operation."""
    members = {"ResourceId": identity, "ResourceType": kind}
    return Fault("ConflictException", message, members=members, status=409)


def over_quota(kind: ResourceType, identity: str, message: str, *, quota: str) -> Fault:
    """Return a ServiceQuotaExceededException; the real quota codes were never published."""
    members = {
        "ResourceId": identity,
        "ResourceType": kind,
        "QuotaCode": quota,
        "ServiceCode": "lookoutvision",
    }
    return Fault("ServiceQuotaExceededException", message, members=members)
