"""How people write where work is done."""

from __future__ import annotations

from urllib.parse import urlsplit

DEFAULT_PORT = 8786
"""The port that a Dask scheduler takes where nobody says another."""
_SCHEMES = {"dask": "tcp", "tls": "tls"}


def scheduler_of(address: str) -> tuple[str, str, int]:
    """Return the scheme that Dask knows, the host and the port of a scheduler.

    Args:
        address: ``dask://HOST:PORT``, or ``tls://HOST:PORT`` where the cluster encrypts.

    Raises:
        ValueError: It is neither.
    """
    said = urlsplit(address)
    scheme = _SCHEMES.get(said.scheme)
    is_bare = not (said.path.strip("/") or said.query or said.fragment or said.username)
    if scheme is None or not said.hostname or not is_bare:
        raise ValueError(f"{address!r} is no dask://HOST:PORT or tls://HOST:PORT")
    return scheme, said.hostname, said.port or DEFAULT_PORT  # a port that is none raises, too
