"""What can go wrong with object stores and downloads: what happened, and where.

The errors name no key of a pipeline and no command: services raise them, too. Who runs a pipeline
adds what to do (`lfvpipe.steps.advice`), by an error's type and attributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lfvpipe.errors import UserError
from lfvpipe.storage.urls import without_secrets

if TYPE_CHECKING:
    from pathlib import Path


class StorageError(UserError):
    """An object store did not do what it was asked to.

    Attributes:
        where: The object, bucket or endpoint: an ``s3://`` address, a path or a URL.
        detail: The store's own words, empty if it said none.
    """

    sentence: ClassVar[str] = "The store failed at {where}"
    what_to_do: ClassVar[str] = ""

    def __init__(self, where: str, detail: str = "") -> None:
        self.where = where
        self.detail = detail
        brackets = f" ({detail})" if detail else ""
        super().__init__(f"{self.sentence.format(where=where)}{brackets}.", hint=self.what_to_do)


class NoSuchObject(StorageError):
    """The object is not there."""

    sentence = "{where} does not exist"
    what_to_do = "Check the bucket and the key."


class NoWay(StorageError):
    """The path leads nowhere: links in a circle, or a file where a folder belongs.

    That is the matter of who made it: no store failed, and another attempt is of no help.
    """

    sentence = "{where} leads nowhere"

    def __init__(self, where: str, detail: str, advice: str) -> None:
        super().__init__(where, detail)
        self.hint = advice


class NoVersions(StorageError):
    """A version of an object was asked for where there are none."""

    sentence = "{where} has no versions"
    what_to_do = "Leave the version out."


class TooLarge(StorageError):
    """The object has more bytes than the caller takes.

    Attributes:
        size: Bytes of the object.
        limit: Bytes that the caller takes.
    """

    sentence = "{where} is too large"
    what_to_do = "Leave it out, or make it smaller."

    def __init__(self, where: str, size: int, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__(where, f"{size:,} bytes, at most {limit:,}")


class NoSuchBucket(StorageError):
    """The bucket is not there."""

    sentence = "The bucket of {where} does not exist"
    what_to_do = "Check its name."


class AccessDenied(StorageError):
    """The credentials, or the folder's permissions, do not allow this."""

    sentence = "Access to {where} is denied"
    what_to_do = "Check that these credentials (or this user) may list, read and write there."


class LeadsOutside(AccessDenied):
    """A link in a local bucket's folder points elsewhere."""

    sentence = "{where} leads out of its bucket"
    what_to_do = "A link in the bucket's folder points elsewhere: remove it."


class NoCredentials(StorageError):
    """No usable AWS credentials were found."""

    sentence = "No usable AWS credentials for {where}"
    what_to_do = (
        "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws sso login`."
    )


class WrongTime(StorageError):
    """Requests are signed with a time that the store does not take for now."""

    sentence = "The store of {where} has another time than this machine"
    what_to_do = "Set this machine's clock, and try again."


class WrongRegion(StorageError):
    """The bucket lies in another region than the one that requests are signed for.

    Attributes:
        region: The bucket's region, None if the store does not tell.
    """

    sentence = "The bucket of {where} lies in another region"

    def __init__(self, where: str, detail: str = "", *, region: str | None = None) -> None:
        self.region = region
        super().__init__(where, detail)


class Unreachable(StorageError):
    """The endpoint does not answer."""

    sentence = "The endpoint of {where} does not answer"
    what_to_do = "Check the endpoint and the network (proxy, certificate)."


class NotTrusted(Unreachable):
    """The endpoint's certificate is none that either client accepts."""

    sentence = "The certificate of the endpoint of {where} is not trusted"
    what_to_do = (
        "AWS_CA_BUNDLE can name a file with the certificate of the authority that signed it."
    )


class CertificatesUnreadable(StorageError):
    """The file of certificate authorities cannot be read."""

    sentence = "The certificates in {where} cannot be read"
    what_to_do = "AWS_CA_BUNDLE, REQUESTS_CA_BUNDLE or `ca_bundle` in ~/.aws/config names the file."


class Busy(StorageError):
    """The store is too busy, or failed, also after several attempts."""

    sentence = "The store of {where} is too busy, or fails"
    what_to_do = "Try again later."


class ForeignAnswer(StorageError):
    """Something answers at the endpoint that is no object store."""

    sentence = "What answers in place of {where} is no object store"
    what_to_do = (
        "Something between may answer, such as the log-in page of a network or a proxy: open the"
        " endpoint in a browser."
    )


class Changed(StorageError):
    """The object is another one than it was when the transfer began."""

    sentence = "{where} has changed meanwhile"
    what_to_do = "Try again."


class Damaged(StorageError):
    """What arrives is not what was sent, also after several attempts."""

    sentence = "{where} is changed on its way"
    what_to_do = (
        "Something between changes bytes, such as a proxy or a network card that fails: take an"
        " endpoint with https://, or another way."
    )


class BucketNameTaken(StorageError):
    """Somebody else's bucket has this name."""

    sentence = "The name of {where} belongs to somebody else"
    what_to_do = "Bucket names are unique over all accounts: choose another one."


class InvalidKey(StorageError):
    """The object key cannot be stored, or would lead out of the bucket."""

    sentence = "{where} cannot be an object's name"
    what_to_do = "Rename the file that it comes from."


class InvalidBucketName(InvalidKey):
    """No bucket can have this name."""

    sentence = "{where} cannot be a bucket's name"
    what_to_do = "Use 3 to 63 lower-case letters, digits, hyphens and dots."


class InvalidAddress(StorageError):
    """It is no ``s3://`` address."""

    sentence = "{where} is no S3 address"
    what_to_do = "Write it as s3://bucket/path/of/object."


class UnknownEndpoint(StorageError):
    """There is no such kind of object store."""

    sentence = "{where} is no storage endpoint"
    what_to_do = "Give `local`, `aws`, or the http(s):// URL of an S3 endpoint."


class SourceGone(StorageError):
    """The file that was to be stored is not there any more."""

    sentence = "{where} was to be stored, and is gone"


class DiskFull(StorageError):
    """No space is left."""

    sentence = "No space is left to write {where}"
    what_to_do = "Free some space."


_ON_STATUS = {
    401: "It asks for a login: download it yourself and give the file's path.",
    403: "It is forbidden, or the link has expired: check it in a browser.",
    404: "There is nothing at this address: check its spelling, or whether it has moved.",
    407: "The proxy asks for a login: put it into HTTPS_PROXY.",
    410: "It has been removed: look for another place.",
}
_ON_OTHERS = "Check the address in a browser, or try again later."


class DownloadError(UserError):
    """An address does not give what it should.

    Attributes:
        url: The address, without what may be secret in it.
    """

    def __init__(self, url: str, what: str, *, hint: str = "") -> None:
        self.url = without_secrets(url)
        super().__init__(f"{self.url} {what}.", hint=hint)


class NotReachable(DownloadError):
    """The server does not answer, or is busy, also after several attempts."""

    def __init__(self, url: str, why: str) -> None:
        super().__init__(
            url, f"cannot be downloaded: {why}", hint="Check the network (and HTTPS_PROXY)."
        )


class Refused(DownloadError):
    """The server answers with an error, and would do so again.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, url: str, status: int) -> None:
        self.status = status
        super().__init__(
            url, f"is refused: the server answers {status}", hint=_ON_STATUS.get(status, _ON_OTHERS)
        )


class WrongRange(DownloadError):
    """The server resumed a download elsewhere than it was asked to.

    Attributes:
        folder: The cache's folder of this address, with the partial download.
    """

    def __init__(self, url: str, said: str, folder: Path) -> None:
        self.folder = folder
        super().__init__(url, f"answers with another range than asked for ({said or 'none'})")


class NoRanges(Exception):
    """A server does not send parts as a client may rely on; the text says why."""


class DiskFullForDownload(DiskFull):
    """What is downloaded does not fit; what came so far is kept for the next attempt.

    Attributes:
        folder: The cache's folder of this address.
        needed: Bytes that are still to come, None if the server does not tell.
    """

    def __init__(self, url: str, folder: Path, needed: int | None = None) -> None:
        self.folder = folder
        self.needed = needed
        more = "" if needed is None else f"{needed:,} more bytes are needed and not free"
        super().__init__(f"{folder} for {without_secrets(url)}", more)
