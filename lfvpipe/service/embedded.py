"""The service inside the process that calls it."""

from pathlib import Path

from lfvpipe.lookout.transport import Handler
from lfvpipe.service.service import Service
from lfvpipe.storage.buckets import Buckets

__all__ = ["Service", "open_service"]


def open_service(state_dir: Path, buckets: Buckets, *, region: str) -> Handler:
    """Open the service over `state_dir` and return what answers its requests.

    Several processes may have the same folder open. Nothing needs closing: what runs on in threads
    can be killed at any moment, and trainings run in processes of their own.

    Raises:
        UserError: The folder cannot be used, or its state is from a newer version.
    """
    return Service(state_dir, buckets, region=region, isolated=False).handle
