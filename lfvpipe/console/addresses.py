"""Addresses that others write: taken apart, or refused."""

import re
from urllib.parse import SplitResult, urlsplit


def split_address(text: str) -> SplitResult | None:
    """Return the parts of what may be anything; None where it cannot be an address."""
    try:
        return urlsplit(text)
    except ValueError:
        return None


def read_origin(text: str) -> str:
    """Return the address of a proxy as browsers call it: small letters, no port that is usual.

    Raises:
        ValueError: It is no address with TLS, or has more than a host and a port.
    """
    parts = urlsplit(text)
    host, port = parts.hostname or "", parts.port
    if parts.scheme != "https" or parts.netloc != text.partition("://")[2] or "@" in parts.netloc:
        raise ValueError("no host of TLS alone")
    name = host if ":" in host else host.encode("idna").decode()
    if not re.fullmatch(r"[0-9a-f:.]+|[0-9a-z._-]+", name):
        raise ValueError("no name of a host")
    shown = f"[{name}]" if ":" in name else name
    return f"https://{shown}" if port in (None, 443) else f"https://{shown}:{port}"
