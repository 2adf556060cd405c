"""The log on standard error: a line a request, for people or as JSON; never a secret."""

import logging
import sys
from dataclasses import dataclass

import structlog

from lfvpipe.service.log import Form, processors, service_log


@dataclass(frozen=True)
class Access:
    """What is logged of one request.

    Attributes:
        operation: The API's operation, or ``Unknown``.
        status: The HTTP status.
        ms: From the head to the answer, in milliseconds.
        bytes_in: The length of the body, as far as it was read.
        bytes_out: The length of the answer's body.
        request_id: As the client was told it.
        access_key: The id of the key that signed it; empty unless the signature was right.
        error: The error's name; empty for success.
        unlike: How far the image lies from the model's training images, in thresholds; empty where
            it is like them.
    """

    operation: str
    status: int
    ms: float
    bytes_in: int
    bytes_out: int
    request_id: str
    access_key: str = ""
    error: str = ""
    unlike: str = ""


def log_access(access: Access) -> None:
    """Write one line."""
    facts = {name: value for name, value in vars(access).items() if value != ""}
    log = service_log()
    (log.error if access.status >= 500 else log.info)("request", **facts)


def configure(form: Form) -> None:
    """Send this process's logs, uvicorn's too, to standard error."""
    structlog.configure(
        processors=processors(form),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger("uvicorn")
    root.handlers = [_Forward(logging.WARNING)]
    root.propagate = False


class _Forward(logging.Handler):
    """Hands the standard library's log records to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        log = service_log()
        log.log(record.levelno, record.getMessage(), exc_info=record.exc_info)
