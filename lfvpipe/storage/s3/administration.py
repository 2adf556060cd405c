"""Buckets as such on an S3 endpoint: found, created, guarded and deleted.

Through boto3, since obstore knows objects only. Not every store has every operation: what one
refuses of a bucket's settings is said and no failure; what it does not let us read is not known.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from botocore.exceptions import ClientError

from lfvpipe.storage.buckets import Protection
from lfvpipe.storage.errors import StorageError
from lfvpipe.storage.failures import translating

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfvpipe.storage.buckets import Terms

S3Client: TypeAlias = Any  # boto3 makes its clients at run time
_NOT_SUPPORTED = frozenset({"NotImplemented", "MethodNotAllowed", "XNotImplemented", "501", "405"})
_REFUSALS = frozenset({400, 403, 409})
_NO_SUCH_PLACE = frozenset(
    {"InvalidLocationConstraint", "IllegalLocationConstraintException", "InvalidRegion"}
)


def find(client: S3Client, name: str) -> str | None:
    """Return the bucket's region ("" if the store tells none), None if there is no bucket."""
    with translating(f"s3://{name}"):
        try:
            answer = _head(client, name)
        except ClientError as error:
            if _status(error) == 404:
                return None
            raise
    return str(answer.get("BucketRegion") or "")


def _head(client: S3Client, name: str) -> dict[str, Any]:
    """Ask for the bucket, and where that is refused for what is in it.

    An answer to HEAD has no body, hence does not say why. A store that refuses this alone is used.
    """
    try:
        answer: dict[str, Any] = client.head_bucket(Bucket=name)
    except ClientError as error:
        if _status(error) not in _REFUSALS:
            raise
        answer = client.list_objects_v2(Bucket=name, MaxKeys=1)
    return answer


def location(client: S3Client, name: str) -> str:
    """Return the region of a bucket that is there, "" if the store tells none."""
    with translating(f"s3://{name}"):
        answer = _head(client, name)
    return str(answer.get("BucketRegion") or "")


def create(
    client: S3Client, name: str, region: str, terms: Terms, *, is_amazons: bool
) -> tuple[str, ...]:
    """Create the bucket, block public access, and encrypt by default, where the store can.

    Idempotent: a kill may have come between the bucket and its guards.

    Args:
        client: Of the store.
        name: The bucket's.
        region: To create it in.
        terms: How it is to encrypt.
        is_amazons: Whether the store has regions in more than name.

    Returns:
        What the store refused, in sentences.

    Raises:
        BucketNameTaken: Somebody else owns a bucket of this name.
    """
    encryption = {"SSEAlgorithm": terms.encryption or "AES256"}
    if terms.key:
        encryption["KMSMasterKeyID"] = terms.key
    guards: tuple[tuple[str, Callable[[], object]], ...] = (
        (
            "to block public access",
            lambda: client.put_public_access_block(
                Bucket=name,
                PublicAccessBlockConfiguration={
                    "BlockPublicAcls": True,
                    "IgnorePublicAcls": True,
                    "BlockPublicPolicy": True,
                    "RestrictPublicBuckets": True,
                },
            ),
        ),
        (
            f"to encrypt by default ({encryption['SSEAlgorithm']})",
            lambda: client.put_bucket_encryption(
                Bucket=name,
                ServerSideEncryptionConfiguration={
                    "Rules": [{"ApplyServerSideEncryptionByDefault": encryption}]
                },
            ),
        ),
    )
    with translating(f"s3://{name}"):
        try:
            _create_somewhere(client, name, region, is_amazons=is_amazons)
        except client.exceptions.BucketAlreadyOwnedByYou:
            pass
        except client.exceptions.BucketAlreadyExists:
            # Some stores say so of one's own, too: the answer to a first request may be lost.
            if not _is_usable(client, name):
                raise
        refused = (_refusal(f"s3://{name}", what, set_guard) for what, set_guard in guards)
        return tuple(filter(None, refused))


def _is_usable(client: S3Client, name: str) -> bool:
    with suppress(StorageError):
        return find(client, name) is not None
    return False


def _create_somewhere(client: S3Client, name: str, region: str, *, is_amazons: bool) -> None:
    """Create the bucket in the region, or where a store that knows none keeps its buckets."""
    # us-east-1 is the one region that may not be named (S3 API reference, CreateBucket).
    if region != "us-east-1":
        try:
            place = {"LocationConstraint": region}
            client.create_bucket(Bucket=name, CreateBucketConfiguration=place)
        except ClientError as error:
            if is_amazons or error.response.get("Error", {}).get("Code") not in _NO_SUCH_PLACE:
                raise
        else:
            return
    client.create_bucket(Bucket=name)


def _refusal(where: str, what: str, set_guard: Callable[[], object]) -> str:
    """Set a guard of the bucket; return what to say where the store refuses it, else "".

    Stores refuse in all ways what they do not know, or what is set for the account: the bucket can
    be used all the same.
    """
    try:
        set_guard()
    except ClientError as error:
        if not _is_not_supported(error) and _status(error) not in _REFUSALS:
            raise
        facts = error.response.get("Error", {})
        said = ": ".join(filter(None, (str(facts.get("Code", "")), str(facts.get("Message", "")))))
        return f"The store refused {what} for {where} ({_status(error)} {said.rstrip('.')})."
    return ""


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


def _read_if_allowed(operation: Callable[..., dict[str, Any]], name: str) -> dict[str, Any]:
    """Return the answer, empty where there is nothing, or nothing that is ours to read."""
    try:
        return dict(operation(Bucket=name))
    except ClientError as error:
        if _is_not_supported(error) or _status(error) in {*_REFUSALS, 404}:
            return {}
        raise


def _is_not_supported(error: ClientError) -> bool:
    code = error.response.get("Error", {}).get("Code")
    return code in _NOT_SUPPORTED or _status(error) in (405, 501)


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
