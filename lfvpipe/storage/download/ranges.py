"""Parts of a resource over HTTP, all of one version; a server that sends no parts is found out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Self

from lfvpipe.patience import Attempts
from lfvpipe.storage.download.http import Interrupted, open_client, requesting
from lfvpipe.storage.errors import Changed, NoRanges, NotReachable
from lfvpipe.storage.urls import without_secrets
from lfvpipe.storage.versions import Validators

if TYPE_CHECKING:
    from collections.abc import Mapping

    from httpx import Response

_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")


class HttpParts:
    """Reads parts of what `url` serves, over connections that are kept; a context manager."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client = open_client(url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def read_end(self, size: int) -> tuple[Validators, bytes]:
        """Return which version there is, and at most its last `size` bytes.

        Raises:
            NoRanges: The server sends no parts, or does not say of which version.
            DownloadError: It does not give it.
        """
        version, (start, data) = self._ask({"Range": f"bytes=-{size}"}, None, size)
        if not version.if_range:
            raise NoRanges("the server does not say which version it sends")
        if start + len(data) != version.total or len(data) != min(size, version.total):
            raise NoRanges("the server sends other parts than asked for")
        return version, data

    def read(self, version: Validators, start: int, end: int) -> bytes:
        """Return the bytes from `start` to before `end`.

        Raises:
            Changed: The server has another version.
            NoRanges: It sends no parts any more.
            DownloadError: It does not give it.
        """
        headers = {"Range": f"bytes={start}-{end - 1}", "If-Range": version.if_range}
        _, (begin, data) = self._ask(headers, version, end - start)
        if (begin, len(data)) != (start, end - start):
            raise NoRanges("the server sends other parts than asked for")
        return data

    def _ask(
        self, headers: Mapping[str, str], version: Validators | None, most: int
    ) -> tuple[Validators, tuple[int, bytes]]:
        attempts = Attempts(without_secrets(self._url))
        while True:
            try:
                with requesting(self._url, headers, client=self._client) as response:
                    said = response.headers.get("Content-Range", "")
                    match = _RANGE.fullmatch(said)
                    total = int(match[3]) if match else _length(response)
                    now = Validators(
                        response.headers.get("ETag", ""),
                        response.headers.get("Last-Modified", ""),
                        total,
                    )
                    if version is not None and not _agree(version, now):
                        raise Changed(without_secrets(self._url))
                    if response.status_code != 206 or match is None:
                        raise NoRanges("the server sends no parts")
                    if response.headers.get("Content-Encoding", "identity") != "identity":
                        raise NoRanges("the server sends it encoded")
                    return now, (int(match[1]), _body(response, most))
            except Interrupted as interruption:
                why = interruption.why
                if not attempts.pause(interruption.trouble, why, interruption.retry_after):
                    raise NotReachable(self._url, why) from interruption


def _length(response: Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if _is_size(length) and response.status_code == 200 else None


def _is_size(text: str) -> bool:
    """Tell whether a header's text is a number of bytes, of a length that can be one."""
    return re.fullmatch("[0-9]{1,15}", text) is not None


def _agree(before: Validators, now: Validators) -> bool:
    pairs = (
        (before.etag, now.etag),
        (before.modified, now.modified),
        (before.total, now.total),
    )
    return all(one == other for one, other in pairs if one and other)


def _body(response: Response, most: int) -> bytes:
    data = bytearray()
    for chunk in response.iter_raw():
        data += chunk
        if len(data) > most:
            raise NoRanges("the server sends more than asked for")
    length = response.headers.get("Content-Length", "")
    if _is_size(length) and len(data) != int(length):
        raise Interrupted(f"it ended after {len(data)} of {length} bytes")
    return bytes(data)
