"""What botocore, obstore and the disk raise, turned into errors that say where it happened."""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lfvpipe import aws, disk
from lfvpipe.storage.errors import (
    AccessDenied,
    BucketNameTaken,
    Busy,
    Damaged,
    DiskFull,
    ForeignAnswer,
    InvalidBucketName,
    InvalidKey,
    NoCredentials,
    NoSuchBucket,
    NoSuchObject,
    NotTrusted,
    NoWay,
    StorageError,
    Unreachable,
    WrongRegion,
    WrongTime,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# From the S3 API reference, "List of error codes"; stores other than AWS use them, too.
_KINDS_BY_CODE: dict[str, type[StorageError]] = {
    "NoSuchKey": NoSuchObject,
    "NoSuchBucket": NoSuchBucket,
    "AccessDenied": AccessDenied,
    "AllAccessDisabled": AccessDenied,
    "AccountProblem": AccessDenied,
    "InvalidAccessKeyId": NoCredentials,
    "SignatureDoesNotMatch": NoCredentials,
    "ExpiredToken": NoCredentials,
    "InvalidToken": NoCredentials,
    "TokenRefreshRequired": NoCredentials,
    "Unauthorized": NoCredentials,
    "RequestTimeTooSkewed": WrongTime,
    "RequestExpired": WrongTime,
    "PermanentRedirect": WrongRegion,
    "TemporaryRedirect": WrongRegion,
    "AuthorizationHeaderMalformed": WrongRegion,
    "IllegalLocationConstraintException": WrongRegion,
    "IncorrectEndpoint": WrongRegion,
    "BucketAlreadyExists": BucketNameTaken,
    "InvalidBucketName": InvalidBucketName,
    "KeyTooLongError": InvalidKey,
    "QuotaExceeded": DiskFull,
    "XMinioStorageFull": DiskFull,
    "SlowDown": Busy,
    "RequestTimeout": Busy,
}
# Answers to HEAD have no body, hence no code, and older releases of obstore leave out the body of
# some others: the status is all that is known.
_KINDS_BY_STATUS: dict[int, type[StorageError]] = {
    301: WrongRegion,
    307: WrongRegion,
    401: NoCredentials,
    403: AccessDenied,
    429: Busy,
    500: Busy,
    502: Busy,
    503: Busy,
    504: Busy,
    507: DiskFull,
}
# rustls' names for what is wrong with a certificate; another one is told as it is.
_CERTIFICATE_FAULTS = {
    "UnknownIssuer": "nobody who is trusted signed it",
    "CaUsedAsEndEntity": "it is an authority's own, not a server's: make one with CA:FALSE",
    "NotValidForName": "it is for another host",
    "NotValidForNameContext": "it is for another host",
    "Expired": "it has expired",
    "ExpiredContext": "it has expired",
}
_KINDS_BY_ERRNO: dict[int, type[StorageError]] = {
    errno.ENOSPC: DiskFull,
    getattr(errno, "EDQUOT", errno.ENOSPC): DiskFull,
    errno.EACCES: AccessDenied,
    errno.EPERM: AccessDenied,
    errno.EROFS: AccessDenied,
    errno.ENAMETOOLONG: InvalidKey,
    112: DiskFull,  # Windows: ERROR_DISK_FULL
}


@contextmanager
def translating(where: str) -> Iterator[None]:
    """Turn what botocore, obstore and the disk raise into a `StorageError` that names `where`.

    Anything that is not a store's failure passes through: it is a bug.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        package = type(error).__module__.partition(".")[0]
        if package == "lfvpipe" and isinstance(error, aws.ForeignAnswer):
            raise ForeignAnswer(where, _first_line(error)) from error
        if package in ("botocore", "boto3", "s3transfer"):
            raise _from_botocore(error, where) from error
        if package == "obstore" or isinstance(error, OSError):
            raise _from_obstore(error, where) from error
        raise


def _from_botocore(error: Exception, where: str) -> StorageError:
    from botocore import exceptions as botocore
    from botocore.exceptions import IncompleteReadError as IncompleteRead
    from botocore.parsers import ResponseParserError

    if isinstance(error, botocore.ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        text = str(error.response.get("Error", {}).get("Message", "")).rstrip(".")
        kind, detail = _kind(code, status), f"{code}: {text}" if text else code
        if kind is WrongRegion:
            region = str(error.response.get("Error", {}).get("Region", ""))
            return WrongRegion(where, detail, region=region or None)
        return kind(where, detail)
    if isinstance(error, botocore.SSLError):
        return NotTrusted(where, _first_line(error))
    if isinstance(error, botocore.FlexibleChecksumError):
        return Damaged(where, _first_line(error))
    if isinstance(error, botocore.HTTPClientError | botocore.ConnectionError | IncompleteRead):
        return Unreachable(where, aws.reason_of(error))
    if isinstance(error, ResponseParserError):
        return ForeignAnswer(where, _first_line(error))
    if isinstance(error, botocore.ParamValidationError):
        return InvalidKey(where, _first_line(error))
    return NoCredentials(where, _first_line(error))  # what is left is about profiles and secrets


def _from_obstore(error: Exception, where: str) -> StorageError:
    # obstore has one exception class for most failures; what it knows besides stands in its text:
    # the store's XML, the HTTP status, the operating system's number.
    text = str(error)
    code = _group(r"<Code>(\w+)</Code>", text)
    number = getattr(error, "errno", None) or int(_group(r"\(os error (\d+)\)", text) or 0)
    status = int(_group(r"status code: (\d{3})", text) or 0)
    if code in _KINDS_BY_CODE or status in _KINDS_BY_STATUS:
        return _kind(code, status)(where, code or f"HTTP {status}")
    if number in _KINDS_BY_ERRNO:
        return _KINDS_BY_ERRNO[number](where, _first_line(error))
    if isinstance(error, FileNotFoundError):
        return NoSuchObject(where)
    refused = disk.refusal(error, where) if number in (errno.ELOOP, errno.ENOTDIR) else None
    if refused is not None:
        return NoWay(refused.where, refused.cause, f"{refused.advice}.")
    if "redirect without LOCATION" in text:
        return WrongRegion(where)
    if fault := _group(r"InvalidCertificate\(\s*(?:Other\(\s*OtherError\(\s*)?(\w+)", text):
        return NotTrusted(where, _CERTIFICATE_FAULTS.get(fault, fault))
    if "MissingEtag" in text or re.search(r"Got invalid \w+ response", text):
        return ForeignAnswer(where)
    if "HTTP error" in text:
        return Unreachable(where)
    return StorageError(where, code or _first_line(error))


def _kind(code: str, status: int) -> type[StorageError]:
    return _KINDS_BY_CODE.get(code) or _KINDS_BY_STATUS.get(status, StorageError)


def _group(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300].rstrip(".")
