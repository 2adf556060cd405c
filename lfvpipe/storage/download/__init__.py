"""Downloads over HTTP into a cache: resumable, verified, whole or not there."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.storage.download.ranges import HttpParts
    from lfvpipe.storage.download.resuming import current_version, download
else:
    __getattr__ = lazy.face(
        __name__, {"ranges": ["HttpParts"], "resuming": ["current_version", "download"]}
    )

__all__ = ["HttpParts", "current_version", "download"]
