"""Buckets as such on an S3 endpoint: found, created, guarded and deleted, through boto3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from lfvpipe.storage.buckets import Protection
from lfvpipe.storage.errors import explained

if TYPE_CHECKING:
    from collections.abc import Callable

S3Client: TypeAlias = Any  # boto3 makes its clients at run time
_NOT_SUPPORTED = frozenset({"NotImplemented", "MethodNotAllowed", "XNotImplemented", "501", "405"})


def find(client: S3Client, name: str) -> str | None:
    """Return the bucket's region ("" if the store tells none), None if there is no bucket."""
    from botocore.exceptions import ClientError

    with explained(f"s3://{name}"):
        try:
            answer = client.head_bucket(Bucket=name)
        except ClientError as error:
            if _status(error) == 404:
                return None
            raise
    return str(answer.get("BucketRegion") or "")


def location(client: S3Client, name: str) -> str:
    """Return the region of a bucket that is there, "" if the store tells none."""
    with explained(f"s3://{name}"):
        answer = client.head_bucket(Bucket=name)
    return str(answer.get("BucketRegion") or "")


def create(client: S3Client, name: str, region: str) -> None:
    """Create the bucket, block public access, and encrypt by default, where the store can.

    Raises:
        BucketNameTaken: Somebody else owns a bucket of this name.
    """
    with explained(f"s3://{name}"):
        _create(client, name, region)
        _where_supported(lambda: _block_public_access(client, name))
        _where_supported(lambda: _encrypt(client, name))


def protection(client: S3Client, name: str) -> Protection:
    """Read how the bucket is guarded."""
    with explained(f"s3://{name}"):
        return Protection(_public_access_blocked(client, name), _encryption(client, name))


def delete_if_empty(client: S3Client, name: str) -> bool:
    """Delete the bucket if it holds no object; return whether it is gone now."""
    from botocore.exceptions import ClientError

    with explained(f"s3://{name}"):
        try:
            client.delete_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"].get("Code") == "BucketNotEmpty":
                return False
            if _status(error) != 404:
                raise
    return True


def _create(client: S3Client, name: str, region: str) -> None:
    # us-east-1 is the one region that may not be named (S3 API reference, CreateBucket).
    place: Any = {} if region == "us-east-1" else {"LocationConstraint": region}
    more: Any = {"CreateBucketConfiguration": place} if place else {}
    try:
        client.create_bucket(Bucket=name, **more)
    except client.exceptions.BucketAlreadyOwnedByYou:
        return


def _block_public_access(client: S3Client, name: str) -> None:
    blocked: Any = dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"),
        True,
    )
    client.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=blocked)


def _encrypt(client: S3Client, name: str) -> None:
    rule: Any = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    client.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})


def _where_supported(act: Callable[[], None]) -> None:
    from botocore.exceptions import ClientError

    try:
        act()
    except ClientError as error:
        if not _is_not_supported(error):
            raise


def _public_access_blocked(client: S3Client, name: str) -> bool | None:
    answer = _read(client.get_public_access_block, name)
    settings = answer.get("PublicAccessBlockConfiguration", {})
    return None if not answer else bool(settings) and all(settings.values())


def _encryption(client: S3Client, name: str) -> str | None:
    answer = _read(client.get_bucket_encryption, name)
    rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", [{}])
    found = rules[0].get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm")
    return str(found) if found else None


def _read(operation: Callable[..., dict[str, Any]], name: str) -> dict[str, Any]:
    from botocore.exceptions import ClientError

    try:
        return dict(operation(Bucket=name))
    except ClientError as error:
        if _is_not_supported(error) or _status(error) in (403, 404):
            return {}  # not there, or not ours to read: not known
        raise


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _is_not_supported(error: Any) -> bool:
    code = error.response.get("Error", {}).get("Code")
    return code in _NOT_SUPPORTED or _status(error) in (405, 501)
