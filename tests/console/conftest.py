"""A service over a temporary folder, as the tests of the service have it."""

from tests.service.conftest import one_session, waits, world

__all__ = ["one_session", "waits", "world"]
