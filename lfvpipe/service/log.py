"""The service's log; on standard error, since standard output is for results."""

import sys
from pathlib import Path
from typing import Any, Literal

Form = Literal["human", "json"]


def service_log() -> Any:
    """Return the logger that this process has configured, or a plain one on standard error.

    A service within its caller's process must not configure structlog for it, and structlog's
    own defaults print to standard output, where rich is installed with every local variable.
    """
    import structlog

    if structlog.is_configured():
        return structlog.get_logger("lfvpipe.service")
    return structlog.wrap_logger(structlog.PrintLogger(sys.stderr), processors=processors("human"))


def log_to(file: Path, event: str, **facts: Any) -> None:
    """Append one warning to a log of its own."""
    import structlog

    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as opened:
        logger = structlog.WriteLogger(opened)
        structlog.wrap_logger(logger, processors=processors("human")).warning(event, **facts)


def processors(form: Form) -> list[Any]:
    """Return what makes a line of an event: for people, or JSON; tracebacks without locals."""
    import structlog

    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(default=str) if form == "json" else _human,
    ]


def _human(_logger: object, _name: str, event: Any) -> str:
    """Render a line as ``time level event key=value …``, an exception below it."""
    exception = event.pop("exception", None)
    start = f"{event.pop('timestamp')} {event.pop('level'):<7} {event.pop('event')}"
    line = " ".join([start, *(f"{name}={value}" for name, value in event.items())])
    return f"{line}\n{exception}" if exception else line
