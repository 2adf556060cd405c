"""One small face over object stores: folders of this machine, or S3.

Beside the buckets lie the parts that bring files to this machine and tell what they hold:
`lfvpipe.storage.download`, `lfvpipe.storage.cache` and `lfvpipe.storage.digests`.
"""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.storage import cache, digests, download, parts
    from lfvpipe.storage.addresses import check_key, is_path, parse_s3_uri
    from lfvpipe.storage.buckets import Bucket, Buckets, ObjectInfo, Protection, Stored, Terms
    from lfvpipe.storage.connecting import bucket_of_address, connect, reconnect
    from lfvpipe.storage.errors import (
        AccessDenied,
        BucketNameTaken,
        Busy,
        CertificatesUnreadable,
        Changed,
        Damaged,
        DiskFull,
        DiskFullForDownload,
        DownloadError,
        ForeignAnswer,
        InvalidAddress,
        InvalidBucketName,
        InvalidKey,
        LeadsOutside,
        NoCredentials,
        NoRanges,
        NoSuchBucket,
        NoSuchObject,
        NotReachable,
        NotTrusted,
        NoVersions,
        Refused,
        SourceGone,
        StorageError,
        TooLarge,
        UnknownEndpoint,
        Unreachable,
        WrongRange,
        WrongRegion,
    )
    from lfvpipe.storage.failures import translating
    from lfvpipe.storage.local import LocalBucket, LocalBuckets
    from lfvpipe.storage.repeating import until_sound
    from lfvpipe.storage.s3 import S3Buckets
    from lfvpipe.storage.s3.sound import fits_tag
    from lfvpipe.storage.urls import without_secrets, without_secrets_within
else:
    __getattr__ = lazy.face(
        __name__,
        {
            "addresses": ["check_key", "is_path", "parse_s3_uri"],
            "buckets": ["Bucket", "Buckets", "ObjectInfo", "Protection", "Stored", "Terms"],
            "cache": [],
            "connecting": ["bucket_of_address", "connect", "reconnect"],
            "digests": [],
            "download": [],
            "errors": [
                "AccessDenied",
                "BucketNameTaken",
                "Busy",
                "Changed",
                "CertificatesUnreadable",
                "Damaged",
                "DiskFull",
                "DiskFullForDownload",
                "DownloadError",
                "ForeignAnswer",
                "InvalidAddress",
                "InvalidBucketName",
                "InvalidKey",
                "LeadsOutside",
                "NoCredentials",
                "NoRanges",
                "NoSuchBucket",
                "NoSuchObject",
                "NoVersions",
                "NotReachable",
                "NotTrusted",
                "Refused",
                "SourceGone",
                "StorageError",
                "TooLarge",
                "UnknownEndpoint",
                "Unreachable",
                "WrongRange",
                "WrongRegion",
            ],
            "failures": ["translating"],
            "local": ["LocalBucket", "LocalBuckets"],
            "parts": [],
            "repeating": ["until_sound"],
            "s3": ["S3Buckets"],
            "s3.sound": ["fits_tag"],
            "urls": ["without_secrets", "without_secrets_within"],
        },
    )

__all__ = [
    "AccessDenied",
    "Bucket",
    "BucketNameTaken",
    "Buckets",
    "Busy",
    "CertificatesUnreadable",
    "Changed",
    "Damaged",
    "DiskFull",
    "DiskFullForDownload",
    "DownloadError",
    "ForeignAnswer",
    "InvalidAddress",
    "InvalidBucketName",
    "InvalidKey",
    "LeadsOutside",
    "LocalBucket",
    "LocalBuckets",
    "NoCredentials",
    "NoRanges",
    "NoSuchBucket",
    "NoSuchObject",
    "NoVersions",
    "NotReachable",
    "NotTrusted",
    "ObjectInfo",
    "Protection",
    "Refused",
    "S3Buckets",
    "SourceGone",
    "StorageError",
    "Stored",
    "Terms",
    "TooLarge",
    "UnknownEndpoint",
    "Unreachable",
    "WrongRange",
    "WrongRegion",
    "bucket_of_address",
    "cache",
    "check_key",
    "connect",
    "digests",
    "download",
    "fits_tag",
    "is_path",
    "parse_s3_uri",
    "parts",
    "reconnect",
    "translating",
    "until_sound",
    "without_secrets",
    "without_secrets_within",
]
