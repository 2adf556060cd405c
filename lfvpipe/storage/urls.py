"""URLs as they may be shown."""

import re
from urllib.parse import urlsplit

_WITHIN = re.compile(
    r"""([A-Za-z][A-Za-z0-9+.-]+:/{1,2})(?:[^\s/?#'"]*@)?([^\s?#'",\]}]*)(\?[^\s'",\]}]*)?"""
)


def without_secrets(url: str) -> str:
    """Return `url` without what may be secret in it: user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:  # a host in brackets that is none: what may be secret lies where it does
        scheme, _, rest = url.partition("://")
        place, has_query, _ = rest.partition("?")
        authority, slash, path = place.partition("/")
        host = authority.rpartition("@")[2]
        return f"{scheme}://{host}{slash}{path}" + ("?…" if has_query else "")
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" + ("?…" if parts.query else "")


def without_secrets_within(text: str) -> str:
    """Return `text` with each address in it, of any scheme, as `without_secrets` returns it."""
    return _WITHIN.sub(lambda found: found[1] + found[2] + ("?…" if found[3] else ""), text)
