"""Object keys, S3 addresses and URLs: what may be one, and what of one may be shown."""

from __future__ import annotations

from urllib.parse import urlsplit

from lfvpipe.storage.errors import InvalidKey, StorageError

LONGEST_KEY = 1024
"""Bytes of UTF-8 that S3 allows in an object key."""


def parse_s3_uri(uri: str) -> tuple[str, str]:
    """Split ``s3://bucket/key`` into bucket and key; the key may be empty.

    Raises:
        StorageError: It is no such address.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme.lower() != "s3" or not bucket:
        raise StorageError(
            f"“{uri}” is no S3 address.", hint="Write it as s3://bucket/path/of/object."
        )
    return bucket, key


def check_key(key: str) -> str:
    """Return `key` if every store can hold it and no store could be led astray by it.

    Raises:
        InvalidKey: It is empty or too long, holds control characters, or has an empty, ``.``
            or ``..`` segment.
    """
    segments = key.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        raise InvalidKey(f"“{key}” cannot be an object key: a part of it is empty, “.” or “..”.")
    if not key.isprintable() and any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in key):
        raise InvalidKey(f"{key!r} cannot be an object key: it holds control characters.")
    try:
        length = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidKey(f"{key!r} cannot be an object key: it is not valid Unicode.") from error
    if length > LONGEST_KEY:
        raise InvalidKey(f"An object key may have {LONGEST_KEY} bytes; “{key[:60]}…” has {length}.")
    return key


def without_secrets(url: str) -> str:
    """Return `url` without what may be secret in it: user, password and query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}" + ("?…" if parts.query else "")
