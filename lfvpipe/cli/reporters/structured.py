"""JSON lines on standard error, through structlog: one per event, progress thinned out."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import structlog

from lfvpipe import service
from lfvpipe.engine import events
from lfvpipe.wrapping import plain_stream

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRESS_SECONDS = 1.0


@contextmanager
def structured_logs() -> Iterator[None]:
    """Make JSON lines, too, of what this process logs meanwhile, such as the embedded service."""
    factory = structlog.PrintLoggerFactory(plain_stream(sys.stderr))
    before = structlog.get_config() if structlog.is_configured() else None
    structlog.configure(processors=service.log.processors("json"), logger_factory=factory)
    try:
        yield
    finally:
        structlog.reset_defaults()
        if before is not None:
            structlog.configure(**before)


class Structured:
    """A reporter for machines: a line has `event`, `timestamp`, `level`, and the event's facts."""

    def __init__(self) -> None:
        self._log = structlog.wrap_logger(
            structlog.PrintLogger(plain_stream(sys.stderr)),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
            ],
        )
        self._lock = Lock()
        self._spoke: dict[str, float] = {}

    def __call__(self, event: events.Event) -> None:
        """Take one event; from any thread."""
        with self._lock:
            if isinstance(event, events.StepProgress) and not self._is_due(event):
                return
            level = self._level(event)
            getattr(self._log, level)(_name(event), **_facts(event))

    def _is_due(self, event: events.StepProgress) -> bool:
        now = time.monotonic()
        if now - self._spoke.get(event.step, float("-inf")) < PROGRESS_SECONDS:
            return False
        self._spoke[event.step] = now
        return True

    @staticmethod
    def _level(event: events.Event) -> str:
        if isinstance(event, events.StepFailed):
            return "error"
        return "warning" if isinstance(event, events.StepWarning) else "info"


def _name(event: events.Event) -> str:
    """Return the event's name with dashes: ``step-finished``."""
    name = type(event).__name__
    return "".join(f"-{char.lower()}" if char.isupper() else char for char in name).lstrip("-")


def _facts(event: events.Event) -> dict[str, Any]:
    return {field.name: plain(getattr(event, field.name)) for field in fields(event)}


def plain(value: Any) -> Any:
    """Return `value` as JSON-able data: dataclasses as objects, errors as their message."""
    if isinstance(value, BaseException):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value
