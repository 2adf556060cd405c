"""What every group of operations is given."""

import base64
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from lfvpipe.service.faults import invalid
from lfvpipe.service.jobs.scheduler import Scheduler
from lfvpipe.service.keeping import VerdictKeeper
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.tally import Tally
from lfvpipe.storage import Buckets, InvalidBucketName, InvalidKey, LeadsOutside, check_key

Result = Mapping[str, Any]
Key = TypeVar("Key", int, str)
PAGE = 100  # entries, when the request says nothing
ACCOUNT = "000000000000"  # ours has no accounts


@dataclass(frozen=True)
class OperationContext:
    """Where the operations find everything.

    Attributes:
        buckets: The store that new datasets, models and packages use.
        region: What new ARNs name.
        tally: Counts what others have images judged; None for a service within its caller.
        keeper: Keeps verdicts; None where nobody wants that.
    """

    runtime: Runtime
    scheduler: Scheduler
    buckets: Buckets
    region: str
    tally: Tally | None = None
    keeper: VerdictKeeper | None = None

    def arn(self, resource: str) -> str:
        """Return the ARN of ``project/NAME`` or ``model/NAME/VERSION``."""
        return f"arn:aws:lookoutvision:{self.region}:{ACCOUNT}:{resource}"


def check_output_key(buckets: Buckets, bucket: str, key: str) -> None:
    """Refuse, before any work, an object key that the store cannot hold.

    Raises:
        Fault: ValidationException; the API's pattern for a prefix allows some that no folder can
            hold.
    """
    try:
        check_key(key)
        with suppress(InvalidBucketName):  # which the job will say, as ever
            buckets.bucket(bucket).local_path(key)
    except (InvalidKey, LeadsOutside) as error:
        raise invalid(f"s3Location.prefix leads to an impossible key: {error.detail}") from error


def read_token(token: str | None, kind: str, first: Key) -> Key:
    """Return the key that `write_token` put into the token, `first` for the first page.

    Raises:
        Fault: ValidationException for a token that is not ours, or another listing's.
    """
    if not token:
        return first
    try:
        found = json.loads(base64.b64decode(token, validate=True))
    except (ValueError, RecursionError):
        found = None
    after = found.get("after") if isinstance(found, dict) and found.get("of") == kind else None
    usable = type(after) is type(first)
    if isinstance(after, int):  # what the state cannot compare with: JSON has larger numbers
        usable &= -(2**63) <= after < 2**63
    elif isinstance(after, str):  # and half surrogate pairs
        usable &= after == after.encode(errors="replace").decode()
    if not usable:
        raise invalid("nextToken is not valid; leave it out to begin again")
    return cast("Key", after)


def write_token(rows: Sequence[Any], limit: int, after: Any, kind: str) -> str | None:
    """Return the token of the page that follows, or None at the end.

    The token says after which key to go on, so it survives a restart and a changed list.

    Args:
        rows: What was read: one more than `limit` if there is more.
        limit: The page's length.
        after: The key of the page's last row.
        kind: Which listing the token belongs to.
    """
    if len(rows) <= limit:
        return None
    text = json.dumps({"of": kind, "after": after}, separators=(",", ":"))
    return base64.b64encode(text.encode()).decode()
