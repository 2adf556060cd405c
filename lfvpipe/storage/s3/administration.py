"""Buckets as such on an S3 endpoint: found, created, guarded and deleted.

Through boto3, since obstore knows objects only. Not every store has every operation: what one says
that it does not implement is no failure here, and what it does not let us read is not known.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.exceptions import ClientError

from lfvpipe.storage.buckets import Protection
from lfvpipe.storage.failures import translating

if TYPE_CHECKING:
    from collections.abc import Callable

S3Client: TypeAlias = Any  # boto3 makes its clients at run time
_NOT_SUPPORTED = frozenset({"NotImplemented", "MethodNotAllowed", "XNotImplemented", "501", "405"})


def find(client: S3Client, name: str) -> str | None:
    """Return the bucket's region ("" if the store tells none), None if there is no bucket."""
    with translating(f"s3://{name}"):
        try:
            answer = client.head_bucket(Bucket=name)
        except ClientError as error:
            if _status(error) == 404:
                return None
            raise
    return str(answer.get("BucketRegion") or "")


def location(client: S3Client, name: str) -> str:
    """Return the region of a bucket that is there, "" if the store tells none."""
    with translating(f"s3://{name}"):
        answer = client.head_bucket(Bucket=name)
    return str(answer.get("BucketRegion") or "")


def create(client: S3Client, name: str, region: str) -> None:
    """Create the bucket, block public access, and encrypt by default, where the store can.

    Idempotent: a kill may have come between the bucket and its guards.

    Raises:
        BucketNameTaken: Somebody else owns a bucket of this name.
    """
    # us-east-1 is the one region that may not be named (S3 API reference, CreateBucket).
    configuration: dict[str, Any] = {}
    if region != "us-east-1":
        configuration["CreateBucketConfiguration"] = {"LocationConstraint": region}
    with translating(f"s3://{name}"):
        with suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=name, **configuration)
        _call_where_supported(
            client.put_public_access_block,
            Bucket=name,
            PublicAccessBlockConfiguration={
                "BlockPublicAcls": True,
                "IgnorePublicAcls": True,
                "BlockPublicPolicy": True,
                "RestrictPublicBuckets": True,
            },
        )
        by_default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        _call_where_supported(
            client.put_bucket_encryption,
            Bucket=name,
            ServerSideEncryptionConfiguration={"Rules": [by_default]},
        )


def protection(client: S3Client, name: str) -> Protection:
    """Read how the bucket is guarded."""
    with translating(f"s3://{name}"):
        access = _read_if_allowed(client.get_public_access_block, name)
        encryption = _read_if_allowed(client.get_bucket_encryption, name)
    settings = access.get("PublicAccessBlockConfiguration", {})
    rules = encryption.get("ServerSideEncryptionConfiguration", {}).get("Rules", [{}])
    algorithm = rules[0].get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm")
    return Protection(
        public_access_blocked=bool(settings) and all(settings.values()) if access else None,
        encryption=str(algorithm) if algorithm else None,
    )


def delete_if_empty(client: S3Client, name: str) -> bool:
    """Delete the bucket if it holds no object; return whether it is gone now."""
    with translating(f"s3://{name}"):
        try:
            client.delete_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"].get("Code") == "BucketNotEmpty":
                return False
            if _status(error) != 404:
                raise
    return True


def _call_where_supported(operation: Callable[..., object], **parameters: object) -> None:
    try:
        operation(**parameters)
    except ClientError as error:
        if not _is_not_supported(error):
            raise


def _read_if_allowed(operation: Callable[..., dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the answer, empty where there is nothing, or nothing that is ours to read."""
    try:
        return dict(operation(Bucket=name))
    except ClientError as error:
        if _is_not_supported(error) or _status(error) in (403, 404):
            return {}
        raise


def _is_not_supported(error: ClientError) -> bool:
    code = error.response.get("Error", {}).get("Code")
    return code in _NOT_SUPPORTED or _status(error) in (405, 501)


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
