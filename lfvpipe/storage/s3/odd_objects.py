"""Objects that obstore cannot name, through boto3: odd keys, and older versions.

obstore takes a key for a path, so that ``a//b``, ``/a`` and ``../a``, which S3 keeps as they are,
cannot be said to it. boto3 takes any key, at several times the CPU.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from lfvpipe.atomic import replacing
from lfvpipe.storage.buckets import ObjectInfo
from lfvpipe.storage.errors import NoSuchObject, SourceGone, TooLarge
from lfvpipe.storage.failures import translating
from lfvpipe.storage.objects import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfvpipe.storage.s3.administration import S3Client

_NOT_FOUND = frozenset({"404", "NoSuchKey", "NoSuchVersion"})


def head(client: S3Client, bucket: str, key: str, version: str | None = None) -> ObjectInfo:
    """Return what the store says of an object; raises `NoSuchObject`."""
    found = _ask(client.head_object, bucket, key, version)
    return ObjectInfo(key, found["ContentLength"], found["ETag"].strip('"'), found["LastModified"])


def get(client: S3Client, bucket: str, key: str, limit: int | None) -> bytes:
    """Return an object's bytes; one with more than `limit` is not read at all."""
    found = _ask(client.get_object, bucket, key, None)
    where, size = f"s3://{bucket}/{key}", found["ContentLength"]
    with closing(found["Body"]) as body, translating(where):
        if limit is not None and size > limit:
            raise TooLarge(where, size, limit)
        return bytes(body.read())


def get_to(
    client: S3Client,
    bucket: str,
    key: str,
    path: Path,
    on_bytes: Callable[[int], None],
    version: str | None = None,
) -> None:
    """Stream an object into `path`, which is replaced when all of it is there."""
    found = _ask(client.get_object, bucket, key, version)
    done = 0
    with (
        closing(found["Body"]) as body,
        translating(f"s3://{bucket}/{key}"),
        replacing(path) as file,
    ):
        for chunk in body.iter_chunks(CHUNK):
            done += file.write(chunk)
            on_bytes(done)


def put(client: S3Client, bucket: str, key: str, data: bytes | Path) -> int:
    """Store `data` under `key` and return its size in bytes.

    Raises:
        SourceGone: `data` is a file that is not there.
    """
    where = f"s3://{bucket}/{key}"
    if isinstance(data, Path):
        try:
            with data.open("rb") as file, translating(where):
                size = os.fstat(file.fileno()).st_size
                client.upload_fileobj(file, bucket, key)  # which closes the file
                return size
        except FileNotFoundError as error:
            raise SourceGone(str(data)) from error
    with translating(where):
        client.put_object(Bucket=bucket, Key=key, Body=data)
    return len(data)


def _ask(
    operation: Callable[..., dict[str, Any]], bucket: str, key: str, version: str | None
) -> dict[str, Any]:
    where = f"s3://{bucket}/{key}" + (f" (version {version})" if version else "")
    named = {} if version is None else {"VersionId": version}
    with translating(where):
        try:
            return operation(Bucket=bucket, Key=key, **named)
        except ClientError as error:
            # A version that is no version's name is an invalid argument to S3: it is not there.
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if code in _NOT_FOUND or (version is not None and status == 400):
                raise NoSuchObject(where) from error
            raise
