"""Buckets on S3: obstore carries the objects, boto3 administers the buckets."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.storage.s3.buckets import S3Buckets
else:
    __getattr__ = lazy.face(__name__, {"buckets": ["S3Buckets"]})

__all__ = ["S3Buckets"]
