"""Objects through boto3: what obstore cannot name, and what it tried once and could not do.

obstore takes a key for a path, so that ``a//b``, ``/a`` and ``../a``, which S3 keeps as they are,
cannot be said to it. And its time-outs are for a whole upload, its attempts heed no Retry-After.
boto3 takes any key, and here as long as bytes flow and as often as `lfvpipe.patience` says, at
several times the CPU.
"""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, FlexibleChecksumError

from lfvpipe import aws
from lfvpipe.patience import Attempts, Trouble
from lfvpipe.storage.buckets import ObjectInfo, Stored
from lfvpipe.storage.errors import Changed, Damaged, NoSuchObject, SourceGone, TooLarge
from lfvpipe.storage.failures import translating
from lfvpipe.storage.objects import PART

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from lfvpipe.storage.s3.administration import S3Client

_PIECE = 64 * 1024  # bytes that are lost at most where the line is cut
_NOT_FOUND = frozenset({"404", "NoSuchKey", "NoSuchVersion"})


def listing(client: S3Client, bucket: str, prefix: str, after: str) -> Iterator[ObjectInfo]:
    """Stream the objects with `prefix` whose keys come after `after`, a page at a time."""
    paginator = client.get_paginator("list_objects_v2")
    pages = iter(paginator.paginate(Bucket=bucket, Prefix=prefix, StartAfter=after))
    while True:
        with translating(f"s3://{bucket}/{prefix}"):
            page = next(pages, None)
        if page is None:
            return
        for item in page.get("Contents", ()):
            etag = item.get("ETag", "").strip('"')
            yield ObjectInfo(item["Key"], item["Size"], etag, item["LastModified"])


def head(client: S3Client, bucket: str, key: str, version: str | None = None) -> ObjectInfo:
    """Return what the store says of an object; raises `NoSuchObject`."""
    found = _ask(client.head_object, bucket, key, version)
    return ObjectInfo(key, found["ContentLength"], found["ETag"].strip('"'), found["LastModified"])


def get(
    client: S3Client,
    bucket: str,
    key: str,
    limit: int | None,
    tell_tag: Callable[[str], object],
) -> bytes:
    """Return an object's bytes; one with more than `limit` is not read at all."""
    if limit is not None and (size := head(client, bucket, key).size) > limit:
        raise TooLarge(f"s3://{bucket}/{key}", size, limit)
    return b"".join(stream(client, bucket, key, tell_tag=tell_tag))


def stream(
    client: S3Client,
    bucket: str,
    key: str,
    *,
    start: int = 0,
    stop: int | None = None,
    etag: str = "",
    version: str | None = None,
    tell_tag: Callable[[str], object] = lambda _: None,
) -> Iterator[bytes]:
    """Yield an object's bytes from `start` on; where the line is cut, it goes on after the cut.

    Args:
        client: A boto3 client that calls patiently.
        bucket: The bucket's name.
        key: The object's key.
        start: How many bytes to leave out.
        stop: Where to end, before the object does.
        etag: The entity tag that the object must have; "" for whatever it has.
        version: An older version of it.
        tell_tag: Told the entity tag, before the first bytes.

    Raises:
        NoSuchObject: It is not there.
        Changed: It has another entity tag, or came to have one on the way.
        Damaged: At the end: the bytes do not have the checksum that was stored with the object.
    """
    where = f"s3://{bucket}/{key}"
    attempts, done, end = Attempts(where), start, None
    while end is None or done < end:
        asked = {"IfMatch": f'"{etag}"'} if etag else {}
        if done or stop is not None:
            asked["Range"] = f"bytes={done}-{stop - 1 if stop is not None else ''}"
        found = _ask(client.get_object, bucket, key, version, **asked)
        now = found["ETag"].strip('"')
        if etag and now != etag:
            raise Changed(where)
        etag = now
        tell_tag(etag)
        skip = done if done and "ContentRange" not in found else 0  # no ranges there
        end = done - skip + found["ContentLength"]
        with closing(found["Body"]) as body, translating(where):
            try:
                for chunk in body.iter_chunks(_PIECE):
                    kept, skip = chunk[skip:], max(0, skip - len(chunk))
                    if kept:
                        done += len(kept)
                        attempts.progress()
                        yield kept
            except FlexibleChecksumError as error:
                raise Damaged(where) from error
            except BotoCoreError as error:
                trouble = aws.trouble_of(error)
                if trouble is None or not attempts.pause(trouble, str(error)):
                    raise
                continue
        if done < end and not attempts.pause(Trouble.BROKEN, "it ended early"):
            raise aws.ForeignAnswer(said=f"it ends after {done} of {end} bytes")


def put(client: S3Client, bucket: str, key: str, data: bytes | Path) -> Stored:
    """Store `data` under `key` and return what became of it.

    Raises:
        SourceGone: `data` is a file that is not there.
    """
    where = f"s3://{bucket}/{key}"
    to = {"Bucket": bucket, "Key": key}
    if isinstance(data, bytes):
        with translating(where):
            made = client.put_object(**to, Body=data)
        return Stored(key, len(data), made["ETag"].strip('"'))
    try:
        with data.open("rb") as file, translating(where):
            size = os.fstat(file.fileno()).st_size
            if size <= PART:
                made = client.put_object(**to, Body=file.read())
            else:
                made = _put_in_parts(client, to, iter(lambda: file.read(PART), b""))
            return Stored(key, size, made["ETag"].strip('"'))
    except FileNotFoundError as error:
        raise SourceGone(str(data)) from error


def delete(client: S3Client, bucket: str, keys: Iterable[str]) -> None:
    """Delete objects one by one: an answer for many may hide what failed of them."""
    with translating(f"s3://{bucket}"):
        for key in keys:
            client.delete_object(Bucket=bucket, Key=key)


def _put_in_parts(
    client: S3Client, to: dict[str, str], sections: Iterator[bytes]
) -> dict[str, Any]:
    """Upload one part after the other: side by side, they would only slow each other down.

    Returns:
        An answer with the object's entity tag.
    """
    upload = client.create_multipart_upload(**to)["UploadId"]
    parts = []
    try:
        for number, section in enumerate(sections, 1):
            sent = client.upload_part(**to, UploadId=upload, PartNumber=number, Body=section)
            parts.append({"ETag": sent["ETag"], "PartNumber": number})
    except BaseException:
        client.abort_multipart_upload(**to, UploadId=upload)
        raise
    try:
        made: dict[str, Any] = client.complete_multipart_upload(
            **to, UploadId=upload, MultipartUpload={"Parts": parts}
        )
    except ClientError as error:
        # An answer that was lost: the upload ended with the first request of the two.
        if error.response.get("Error", {}).get("Code") != "NoSuchUpload":
            client.abort_multipart_upload(**to, UploadId=upload)
            raise
        return dict(client.head_object(**to))
    return made


def _ask(
    operation: Callable[..., dict[str, Any]],
    bucket: str,
    key: str,
    version: str | None,
    **more: str,
) -> dict[str, Any]:
    where = f"s3://{bucket}/{key}" + (f" (version {version})" if version else "")
    named = more if version is None else {**more, "VersionId": version}
    with translating(where):
        try:
            return operation(Bucket=bucket, Key=key, **named)
        except ClientError as error:
            # A version that is no version's name is an invalid argument to S3: it is not there.
            code = str(error.response.get("Error", {}).get("Code", ""))
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if code in _NOT_FOUND or (version is not None and status == 400):
                raise NoSuchObject(where) from error
            if status in (412, 416):
                raise Changed(where) from error
            raise
