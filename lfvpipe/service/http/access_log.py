"""The log on standard error: a line a request, for people or as JSON; never a secret."""

import logging
import sys
from dataclasses import dataclass
from typing import Literal

import structlog

Form = Literal["human", "json"]
LOGGER = "lfvpipe.service"


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
    """

    operation: str
    status: int
    ms: float
    bytes_in: int
    bytes_out: int
    request_id: str
    access_key: str = ""
    error: str = ""


def log_access(access: Access) -> None:
    """Write one line."""
    facts = {name: value for name, value in vars(access).items() if value != ""}
    log = structlog.get_logger(LOGGER)
    (log.error if access.status >= 500 else log.info)("request", **facts)


def configure(form: Form) -> None:
    """Send this process's logs, uvicorn's too, to standard error."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str) if form == "json" else _human,
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger("uvicorn")
    root.handlers = [_Forward(logging.WARNING)]
    root.propagate = False


def _human(_logger: object, _name: str, event: structlog.types.EventDict) -> str:
    """Render a line as ``time level event key=value …``, an exception below it."""
    exception = event.pop("exception", None)
    start = f"{event.pop('timestamp')} {event.pop('level'):<7} {event.pop('event')}"
    line = " ".join([start, *(f"{name}={value}" for name, value in event.items())])
    return f"{line}\n{exception}" if exception else line


class _Forward(logging.Handler):
    """Hands the standard library's log records to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        log = structlog.get_logger(LOGGER)
        log.log(record.levelno, record.getMessage(), exc_info=record.exc_info)
