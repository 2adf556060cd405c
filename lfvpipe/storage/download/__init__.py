"""Downloads over HTTP into a cache: resumable, verified, whole or not there."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.storage.download.resuming import Validators, current_version, download
else:
    __getattr__ = lazy.face(__name__, {"resuming": ["Validators", "current_version", "download"]})

__all__ = ["Validators", "current_version", "download"]
