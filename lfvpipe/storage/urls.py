"""URLs as they may be shown."""

from urllib.parse import urlsplit


def without_secrets(url: str) -> str:
    """Return `url` without what may be secret in it: user, password and query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" + ("?…" if parts.query else "")
