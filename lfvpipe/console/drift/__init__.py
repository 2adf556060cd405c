"""A model in use, held against its own test: control charts, and who is told of a limit passed."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.console.drift.watch import Watch
    from lfvpipe.console.drift.webhook import Webhook
else:
    __getattr__ = lazy.face(__name__, {"watch": ["Watch"], "webhook": ["Webhook"]})

__all__ = ["Watch", "Webhook"]
