"""Downloads over HTTP into a cache: resumable, verified, whole or not there."""

from lfvpipe.storage.download.http import DownloadError, NotReachable
from lfvpipe.storage.download.transfer import current, download

__all__ = ["DownloadError", "NotReachable", "current", "download"]
