"""From an endpoint's name to its object store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe import storage
from lfvpipe.storage.buckets import Terms
from lfvpipe.storage.errors import UnknownEndpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfvpipe.storage.buckets import Bucket, Buckets

NO_TERMS = Terms()


def connect(
    endpoint: str,
    *,
    region: str,
    root: Path,
    terms: Terms = NO_TERMS,
    anywhere: bool = False,
) -> Buckets:
    """Return the object store at `endpoint`; contacts nothing.

    Args:
        endpoint: ``local``, ``aws``, or the URL of an S3 endpoint.
        region: The region to create buckets in and to sign for.
        root: The folder that holds the local buckets.
        terms: What an S3 store wants to be told with requests.
        anywhere: ``aws`` is where the environment says (AWS_ENDPOINT_URL_S3), as it is for other
            programs; otherwise it is Amazon's own.

    Raises:
        UnknownEndpoint: It is none of these.
    """
    if endpoint == "local":
        return storage.LocalBuckets(root, region)
    if endpoint == "aws" or endpoint.startswith(("https://", "http://")):
        return storage.S3Buckets(endpoint, region=region, root=root, terms=terms, anywhere=anywhere)
    raise UnknownEndpoint(f"“{endpoint}”")


def bucket_of_address(buckets: Buckets, name: str, *, region: str, root: Path) -> Bucket:
    """Return the bucket that an ``s3://`` address names, in a pipeline whose own is in `buckets`.

    With a local store, a local one of that name if there is one, and otherwise one on S3: exported
    data lie where the retired service left them.
    """
    if buckets.endpoint == "local" and not (root / name).is_dir():
        # No endpoint is said to be theirs, so that the environment may name one.
        buckets = connect("aws", region=region, root=root, anywhere=True)
    return buckets.bucket(name)


def reconnect(described: Mapping[str, str]) -> Buckets:
    """Return the object store that `Buckets.describe` described."""
    return connect(
        described["endpoint"],
        region=described["region"],
        root=Path(described["root"]),
        terms=Terms(
            described.get("encryption"), described.get("key"), "requester_pays" in described
        ),
    )
