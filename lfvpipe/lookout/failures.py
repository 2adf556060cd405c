"""What a failed call means to the user."""

from collections.abc import Iterator
from contextlib import contextmanager

from lfvpipe.errors import UserError

# The API's names of errors that a caller may have an answer to.
ABSENT = "ResourceNotFoundException"
CONFLICT = "ConflictException"
FAILED = "InternalServerException"

_HINTS = {
    "AccessDeniedException": "check the credentials and their permissions",
    "ConflictException": "something else may be using the resource; look at its status",
    "InternalServerException": "the service failed; its log says why",
    "ResourceNotFoundException": "it may have been removed meanwhile; `lfvpipe run --refresh` makes"
    " anew what is gone",
    "ServiceQuotaExceededException": "delete or stop what is not needed, or raise the quota",
    "ThrottlingException": "too many requests at once; run it again",
    "UnrecognizedClientException": "check the credentials",
    "InvalidSignatureException": "check the credentials and this machine's clock",
}


class LookoutError(UserError):
    """A call to Lookout for Vision failed, or what was waited for did.

    Attributes:
        code: The API's name of the error, or the status that a wait ended in; or empty.
        reason: What was wrong, in the service's words, where the message says more than that.
    """

    def __init__(self, message: str, *, hint: str = "", code: str = "", reason: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.reason = reason or message


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn botocore's errors inside the block into `LookoutError`.

    Args:
        doing: What is being done, for the message: ``creating project demo``.

    Raises:
        LookoutError: The call failed.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _refused(doing, error.response.get("Error", {})) from error
    except BotoCoreError as error:
        said = f"{doing} failed: {error}"
        raise LookoutError(said, hint=_hint(error), reason=str(error)) from error


def _refused(doing: str, error: object) -> LookoutError:
    facts = error if isinstance(error, dict) else {}
    code = str(facts.get("Code", "unknown error"))
    message = str(facts.get("Message") or "the service gave no reason")
    said = f"{doing}: {code}: {message}"
    return LookoutError(said, hint=_HINTS.get(code, ""), code=code, reason=message)


def _hint(error: Exception) -> str:
    from botocore import exceptions

    if isinstance(error, exceptions.SSLError):
        return "the server's certificate is not trusted; AWS_CA_BUNDLE names a file of authorities"
    if isinstance(error, (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)):
        return (
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name an AWS_PROFILE;"
            " `lfvpipe serve` writes a key to .lfvpipe/credentials where it was started, which"
            " AWS_SHARED_CREDENTIALS_FILE can name"
        )
    if isinstance(error, (exceptions.ConnectionError, exceptions.HTTPClientError)):
        return "is the service running there, and is service.endpoint right?"
    return ""
