"""What can go wrong with an object store, said so that the user knows what to do."""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator


class StorageError(UserError):
    """An object store did not do what it was asked to."""


class NoSuchObject(StorageError):
    """The object is not there."""


class TooLarge(StorageError):
    """The object has more bytes than the caller takes."""


class NoSuchBucket(StorageError):
    """The bucket is not there."""


class AccessDenied(StorageError):
    """The credentials, or the folder's permissions, do not allow this."""


class NoCredentials(StorageError):
    """No usable AWS credentials were found."""


class WrongRegion(StorageError):
    """The bucket lies in another region."""


class Unreachable(StorageError):
    """The endpoint does not answer."""


class BucketNameTaken(StorageError):
    """Somebody else's bucket has this name."""


class InvalidKey(StorageError):
    """The object key cannot be stored, or would lead out of the bucket."""


class DiskFull(StorageError):
    """No space is left."""


_SAYINGS: dict[type[StorageError], tuple[str, str]] = {
    NoSuchObject: ("{where} does not exist", "Check the bucket and the key."),
    TooLarge: ("{where} is too large", "Leave it out, or make it smaller."),
    NoSuchBucket: (
        "The bucket of {where} does not exist",
        "Check its name, or let `lfvpipe run` create it.",
    ),
    AccessDenied: (
        "Access to {where} is denied",
        "Check that these credentials (or this user) may list, read and write there.",
    ),
    NoCredentials: (
        "No usable AWS credentials for {where}",
        "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws sso login`.",
    ),
    WrongRegion: (
        "The bucket of {where} lies in another region",
        "Set `region:` to the bucket's region, or choose another bucket.",
    ),
    Unreachable: (
        "The endpoint of {where} does not answer",
        "Check `bucket.endpoint` and the network (proxy, certificate), and run again.",
    ),
    BucketNameTaken: (
        "The name of {where} belongs to somebody else",
        "Bucket names are unique over all accounts: choose another `bucket.name`.",
    ),
    DiskFull: ("No space is left to write {where}", "Free some space and run again."),
    InvalidKey: ("{where} cannot be an object's name", "Rename the file that it comes from."),
    StorageError: ("The store failed at {where}", "Run again; it resumes where it stopped."),
}

# From the S3 API reference, "List of error codes"; stores other than AWS use them, too.
_CODES: dict[str, type[StorageError]] = {
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
    "PermanentRedirect": WrongRegion,
    "TemporaryRedirect": WrongRegion,
    "AuthorizationHeaderMalformed": WrongRegion,
    "IllegalLocationConstraintException": WrongRegion,
    "IncorrectEndpoint": WrongRegion,
    "BucketAlreadyExists": BucketNameTaken,
    "InvalidBucketName": InvalidKey,
    "KeyTooLongError": InvalidKey,
    "QuotaExceeded": DiskFull,
    "XMinioStorageFull": DiskFull,
}
_STATUSES: dict[int, type[StorageError]] = {301: WrongRegion, 401: NoCredentials, 403: AccessDenied}
_ERRNOS: dict[int, type[StorageError]] = {
    errno.ENOSPC: DiskFull,
    getattr(errno, "EDQUOT", errno.ENOSPC): DiskFull,
    errno.EACCES: AccessDenied,
    errno.EPERM: AccessDenied,
    errno.EROFS: AccessDenied,
    errno.ENAMETOOLONG: InvalidKey,
    112: DiskFull,  # Windows: ERROR_DISK_FULL
}


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn what botocore, obstore and the disk raise into a `StorageError` that names `where`.

    Anything that is not a store's failure passes through: it is a bug.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        explanation = _explain(error, where)
        if explanation is None:
            raise
        raise explanation from error


def say(kind: type[StorageError], where: str, detail: str = "") -> StorageError:
    """Return an error of `kind` about `where`, with the store's own words in brackets."""
    message, hint = _SAYINGS[kind]
    return kind(message.format(where=where) + (f" ({detail})." if detail else "."), hint=hint)


def _explain(error: Exception, where: str) -> StorageError | None:
    package = type(error).__module__.partition(".")[0]
    if package in ("botocore", "boto3", "s3transfer"):
        return _explain_botocore(error, where)
    if package == "obstore" or isinstance(error, OSError):
        return _explain_obstore(error, where)
    return None


def _explain_botocore(error: Exception, where: str) -> StorageError:
    from botocore import exceptions as botocore

    if isinstance(error, botocore.ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        detail = str(error.response.get("Error", {}).get("Message", ""))
        return say(_kind(code, status), where, f"{code}: {detail}" if detail else code)
    unreachable = (botocore.HTTPClientError, botocore.ConnectionError)
    if isinstance(error, unreachable):
        return say(Unreachable, where, _first_line(error))
    if isinstance(error, botocore.ParamValidationError):
        return say(InvalidKey, where, _first_line(error))
    return say(NoCredentials, where, _first_line(error))


def _explain_obstore(error: Exception, where: str) -> StorageError:
    text = str(error)
    code = _found(r"<Code>(\w+)</Code>", text)
    number = getattr(error, "errno", None) or int(_found(r"\(os error (\d+)\)", text) or 0)
    status = int(_found(r"status code: (\d{3})", text) or 0)
    if code in _CODES or status in _STATUSES:
        return say(_kind(code, status), where, code or f"HTTP {status}")
    if number in _ERRNOS:
        return say(_ERRNOS[number], where, _first_line(error))
    if isinstance(error, FileNotFoundError):
        return say(NoSuchObject, where)
    if "redirect without LOCATION" in text:
        return say(WrongRegion, where)
    if "HTTP error" in text:
        return say(Unreachable, where)
    return say(StorageError, where, code or _first_line(error))


def _kind(code: str, status: int) -> type[StorageError]:
    return _CODES.get(code) or _STATUSES.get(status, StorageError)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300].rstrip(".")
