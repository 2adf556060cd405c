"""What a failed call to Lookout for Vision was, in a sentence and as facts."""

from collections.abc import Iterator
from contextlib import contextmanager

from lfvpipe import aws
from lfvpipe.errors import UserError

# The API's names of errors that a caller may have an answer to.
ABSENT = "ResourceNotFoundException"
CONFLICT = "ConflictException"
FAILED = "InternalServerException"

_HINTS = {
    "AccessDeniedException": "Check the credentials and their permissions.",
    CONFLICT: "Something else may be using the resource: look at its status.",
    FAILED: "The fault is the service's: run again once it is mended.",
    ABSENT: "It may have been removed meanwhile.",
    "ServiceQuotaExceededException": "Delete or stop what is not needed, or raise the quota.",
    "ThrottlingException": "There were too many requests at once: try again later.",
    "UnrecognizedClientException": "Check the credentials.",
    "InvalidSignatureException": "Check the credentials and this machine's clock.",
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


class ServiceUnreachable(LookoutError):
    """Nobody answers at the service's address, or not in time."""


class NotTheService(LookoutError):
    """Something answers at the service's address that is not the service."""


class MissingCredentials(LookoutError):
    """Requests cannot be signed."""


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn botocore's errors inside the block into `LookoutError`.

    Args:
        doing: What is being done, for the message: ``creating project demo``.

    Raises:
        LookoutError: The call failed.
    """
    # Here, as whoever looks at an unchanged pipeline calls nothing; botocore takes 0.1 s.
    from botocore import exceptions

    beginning = doing[:1].upper() + doing[1:]
    try:
        yield
    except exceptions.ClientError as error:
        facts = error.response.get("Error", {})
        code = str(facts.get("Code", "unknown error"))
        reason = str(facts.get("Message") or "the service gave no reason")
        message = f"{beginning} failed: {code}: {reason.rstrip('.')}."
        raise LookoutError(message, hint=_HINTS.get(code, ""), code=code, reason=reason) from error
    except exceptions.BotoCoreError as error:
        kind, hint = LookoutError, ""
        if isinstance(error, aws.ForeignAnswer):
            kind = NotTheService
            hint = (
                "Something between may answer in its place, such as the log-in page of a network"
                " or a proxy: open the service's address in a browser."
            )
        elif isinstance(error, exceptions.SSLError):
            hint = "The server's certificate is not trusted; AWS_CA_BUNDLE names one that is."
        elif isinstance(error, (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)):
            kind = MissingCredentials
            hint = "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name an AWS_PROFILE."
        elif isinstance(error, (exceptions.ConnectionError, exceptions.HTTPClientError)):
            kind, hint = ServiceUnreachable, "Is the service running there?"
        reason = aws.reason_of(error)
        raise kind(f"{beginning} failed: {reason}.", hint=hint, reason=reason) from error
