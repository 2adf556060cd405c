"""The review of doubtful and wrong images: a page on this machine, and a file of decisions."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.review import app, detected, export, pictures, queue, session
else:
    __getattr__ = lazy.face(
        __name__,
        {
            "app": [],
            "detected": [],
            "export": [],
            "pictures": [],
            "queue": [],
            "session": [],
        },
    )

__all__ = ["app", "detected", "export", "pictures", "queue", "session"]
