"""A Lookout for Vision service of our own: the same wire protocol, our own anomaly detector."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.service import embedded, log, runtime
    from lfvpipe.service.service import Service
else:
    __getattr__ = lazy.face(
        __name__, {"embedded": [], "log": [], "runtime": [], "service": ["Service"]}
    )

__all__ = ["Service", "embedded", "log", "runtime"]
