"""Where the API's operations write what they make: as a form says, or into the console's bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.console.bucket import console_bucket
from lfvpipe.console.visit import Refusal
from lfvpipe.console.wording import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfvpipe.console.visit import Visit


def output_location(visit: Visit, folder: str) -> Mapping[str, str]:
    """Return what the fields `bucket` and `prefix` of a form name, else a folder of our bucket.

    Raises:
        Refusal: A prefix is named, and no bucket.
        StorageError: The console's bucket cannot be made.
    """
    bucket, prefix = (visit.form.get(name, "").strip() for name in ("bucket", "prefix"))
    if bucket:
        return {"Bucket": bucket, **({"Prefix": prefix} if prefix else {})}
    if prefix:
        raise Refusal.of_field("bucket", say("constraints.prefix_alone", prefix=prefix))
    return {"Bucket": console_bucket(visit.service).name, "Prefix": folder}
