"""The service over HTTP: authentication, limits, access log, metrics, the server itself."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.service.http import access_log, app, auth, credentials, server
else:
    __getattr__ = lazy.face(
        __name__, {"access_log": [], "app": [], "auth": [], "credentials": [], "server": []}
    )

__all__ = ["access_log", "app", "auth", "credentials", "server"]
