"""Errors that travel to the client."""

from collections.abc import Mapping
from typing import Any


class Fault(Exception):
    """An error of the service model, or one that every AWS service knows.

    Args:
        code: The error's shape name, such as ``ValidationException``.
        message: What is wrong, and what to do about it.
        members: The other members of the error's shape.
        status: The HTTP status, where the service model does not know `code`.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 400,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = dict(members or {})


def invalid(message: str) -> Fault:
    """Return the fault of a request that breaks a rule of the API."""
    return Fault("ValidationException", message)
