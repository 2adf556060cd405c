"""One small face over object stores: folders of this machine, or S3.

Cheap to import: obstore and boto3 are loaded by `connect`. Beside the face lie the parts that bring
files to this machine and tell what they hold: `lfvpipe.storage.download`, `lfvpipe.storage.cache`
and `lfvpipe.storage.digests`.
"""

from lfvpipe.storage.addresses import check_key, parse_s3_uri, without_secrets
from lfvpipe.storage.buckets import Bucket, Buckets, ObjectInfo, Protection
from lfvpipe.storage.connecting import connect, reconnect
from lfvpipe.storage.errors import (
    AccessDenied,
    BucketNameTaken,
    DiskFull,
    InvalidKey,
    NoCredentials,
    NoSuchBucket,
    NoSuchObject,
    StorageError,
    TooLarge,
    Unreachable,
    WrongRegion,
)

__all__ = [
    "AccessDenied",
    "Bucket",
    "BucketNameTaken",
    "Buckets",
    "DiskFull",
    "InvalidKey",
    "NoCredentials",
    "NoSuchBucket",
    "NoSuchObject",
    "ObjectInfo",
    "Protection",
    "StorageError",
    "TooLarge",
    "Unreachable",
    "WrongRegion",
    "check_key",
    "connect",
    "parse_s3_uri",
    "reconnect",
    "without_secrets",
]
