"""The console: the service's projects, data sets and models in a browser, at /console."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.console.addresses import read_origin
    from lfvpipe.console.app import Console
    from lfvpipe.console.drift import Watch, Webhook
    from lfvpipe.console.guard import Origins
    from lfvpipe.console.visit import ROOT
else:
    __getattr__ = lazy.face(
        __name__,
        {
            "addresses": ["read_origin"],
            "app": ["Console"],
            "drift": ["Watch", "Webhook"],
            "guard": ["Origins"],
            "visit": ["ROOT"],
        },
    )

__all__ = ["ROOT", "Console", "Origins", "Watch", "Webhook", "read_origin"]
