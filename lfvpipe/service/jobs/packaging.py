"""Packages a model as a component."""

from lfvpipe.service.runtime import Runtime


def claim_name(identity: int) -> str:
    """Return the name of the claim on a packaging job."""
    return f"packaging-{identity}"


def package(runtime: Runtime, identity: int) -> None:
    """Bring a packaging job to SUCCEEDED or FAILED, unless somebody else is at it; idempotent."""
