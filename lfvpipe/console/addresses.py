"""Addresses that others write: taken apart, or refused."""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
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
        ValueError: It is no address with TLS, has more than a host and a port, or no browser
            would call it so; its text says what it does, as the end of a sentence.
    """
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
    except ValueError:
        raise ValueError("is no address") from None
    if parts.scheme != "https":
        raise ValueError("does not begin with https://: the console wants TLS")
    if parts.netloc != text.partition("://")[2] or "@" in parts.netloc:
        raise ValueError("has more than a host and a port")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ValueError("has a port that is none of 1 to 65535")
    shown = _read_host(host)
    return f"https://{shown}" if port in (None, 443) else f"https://{shown}:{port}"


def _read_host(host: str) -> str:
    """Return a host as browsers write it (https://url.spec.whatwg.org/#host-parsing)."""
    if ":" in host:
        try:
            address = IPv6Address(host)
        except AddressValueError:
            address = None
        if address is None or address.scope_id or address.ipv4_mapped:
            raise ValueError("has a host that browsers take for no IPv6 address")
        return f"[{address.compressed}]"
    try:
        name = host.encode("idna").decode()
    except UnicodeError:
        name = ""
    if not re.fullmatch(r"[0-9a-z._-]+", name):
        raise ValueError("has a host that is no name")
    # What ends in a number is an IPv4 address for a browser, which writes it with four.
    if re.fullmatch(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?", name):
        try:
            return str(IPv4Address(name))
        except AddressValueError:
            raise ValueError("has a host that ends in a number and is no IPv4 address") from None
    return name
