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
    """Return `key` if S3 can hold it: any text of 1 to 1024 bytes in UTF-8.

    Empty parts, a slash in front, ``.`` and ``..`` and control characters are letters like others
    there; what takes a key for a path must refuse them (`is_path`).

    Raises:
        InvalidKey: It is empty, too long or no Unicode.
    """
    if not key:
        raise InvalidKey("“”", "it is empty")
    try:
        length = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidKey(repr(key), "it is not valid Unicode") from error
    if length > LONGEST_KEY:
        raise InvalidKey(f"“{key[:60]}…”", f"{length} bytes, at most {LONGEST_KEY}")
    return key


def is_path(key: str) -> bool:
    """Say whether `key` reads as a path below a folder, and as no other key's path.

    That is: no part of it is empty, ``.`` or ``..``, and no character is a control character.
    """
    return not any(segment in ("", ".", "..") for segment in key.split("/")) and not (
        not key.isprintable() and any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in key)
    )
