"""The console's own bucket, which takes what people bring by their browsers."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

from filelock import FileLock

from lfvpipe import atomic

if TYPE_CHECKING:
    from lfvpipe.service import Service
    from lfvpipe.storage import Bucket

FILE: Final = "console-bucket"
"""The file in a region's state that names its bucket."""


def console_bucket(service: Service) -> Bucket:
    """Return the console's bucket of a region, which is made when it is first asked for.

    On S3 names are everybody's: an unguessable end keeps ours from being taken by another.

    Raises:
        StorageError: It cannot be made.
    """
    file = service.folder / FILE
    with FileLock(service.folder / "locks" / f"{FILE}.lock"):
        try:
            bucket = service.buckets.bucket(file.read_text("utf-8").strip())
        except FileNotFoundError:
            name = f"lfvpipe-console-{service.region}-{secrets.token_hex(5)}"
            bucket = service.buckets.bucket(name)
            atomic.write_text(file, f"{name}\n")
        if not bucket.exists():
            bucket.create()
    return bucket
