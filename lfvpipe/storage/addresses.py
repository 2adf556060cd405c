"""Object keys and S3 addresses: what may be one."""

from __future__ import annotations

from lfvpipe.storage.errors import InvalidAddress, InvalidKey

LONGEST_KEY = 1024
"""Bytes of UTF-8 that S3 allows in an object key."""


def parse_s3_uri(uri: str) -> tuple[str, str]:
    """Split ``s3://bucket/key`` into bucket and key; the key may be empty.

    Raises:
        InvalidAddress: It is none.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme.lower() != "s3" or not bucket:
        raise InvalidAddress(f"“{uri}”")
    return bucket, key


def check_key(key: str) -> str:
    """Return `key` if every store can hold it and no store could be led astray by it.

    Raises:
        InvalidKey: It is empty or too long, holds control characters, or has an empty, ``.``
            or ``..`` segment.
    """
    segments = key.split("/")
    if any(segment in ("", ".", "..") for segment in segments):
        raise InvalidKey(f"“{key}”", "a part of it is empty, “.” or “..”")
    if not key.isprintable() and any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in key):
        raise InvalidKey(repr(key), "it holds control characters")
    try:
        length = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidKey(repr(key), "it is not valid Unicode") from error
    if length > LONGEST_KEY:
        raise InvalidKey(f"“{key[:60]}…”", f"{length} bytes, at most {LONGEST_KEY}")
    return key
