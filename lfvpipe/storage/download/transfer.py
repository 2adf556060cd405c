"""Downloads over HTTP into a cache: resumable, verified, whole or not there."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from lfvpipe.atomic import sync_folder, write_text
from lfvpipe.storage.addresses import without_secrets
from lfvpipe.storage.cache import Cached, cached, keep, part_of, sha256_of
from lfvpipe.storage.download.http import DownloadError, Interrupted, opened
from lfvpipe.storage.download.sniffing import refuse_a_page
from lfvpipe.storage.errors import DiskFull

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from urllib3.response import BaseHTTPResponse

LIMIT = 64 * 2**30
"""Bytes that a download may have; a server that never ends must not fill the disk."""
_CHUNK = 2**20
_ATTEMPTS = 6  # in a row without a byte of progress
_FIRST_PAUSE = 0.5  # seconds; doubles with each attempt
_LONGEST_PAUSE = 60.0

Progress = Callable[[int, int | None], None]
Pause = Callable[[float], object]


@dataclass(frozen=True)
class _Validators:
    """What identifies the version of a resource that a partial download belongs to."""

    etag: str = ""
    modified: str = ""
    total: int | None = None

    @property
    def if_range(self) -> str:
        """RFC 9110, section 13.1.5: a weak entity tag must not be used."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


def download(
    url: str,
    folder: Path,
    *,
    archive: bool,
    progress: Progress,
    pause: Pause,
    on_retry: Callable[[str], object] = lambda _: None,
    anew: bool = False,
) -> Cached:
    """Bring the cache in `folder` in line with what `url` serves, and return it.

    What is cached and still current is not transferred again; what an earlier attempt left is
    resumed if the server still has the same version.

    Args:
        url: An ``https://`` or ``http://`` address.
        folder: The cache's folder for this address; no other process may work in it.
        archive: The content must be something else than a text or a web page.
        progress: Told the bytes so far and, if known, in all; what it raises ends the download.
        pause: Waits so many seconds between two attempts.
        on_retry: Told, before each pause, what went wrong and when which attempt follows.
        anew: Download also what is cached and current: it is not what it should be.

    Raises:
        DownloadError: The server does not give it.
        DiskFull: What was downloaded so far is kept for the next attempt.
    """
    failures, before = 0, -1
    while True:
        try:
            return _attempt(url, folder, archive=archive, progress=progress, anew=anew)
        except Interrupted as interruption:
            size = _size(part_of(folder))
            failures = 1 if size > before >= 0 else failures + 1
            before = size
            if failures >= _ATTEMPTS:
                raise interruption.final() from interruption
            asked = interruption.retry_after or _FIRST_PAUSE * 2 ** (failures - 1)
            wait = min(asked, _LONGEST_PAUSE)
            attempt = f"attempt {failures + 1} of {_ATTEMPTS}"
            on_retry(f"{without_secrets(url)}: {interruption.why}; {attempt} in {wait:g} s.")
            pause(wait)
            progress(max(size, 0), None)


def current(url: str) -> tuple[str, str]:
    """Return the ETag and Last-Modified that the server tells of `url`; empty if it tells none.

    Raises:
        DownloadError: The server does not answer, or does not have it.
    """
    try:
        with closing(opened(url, {}, method="HEAD")) as response:
            if response.status in (405, 501):
                return "", ""
            return response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
    except Interrupted as interruption:
        raise interruption.final() from interruption


def _attempt(url: str, folder: Path, *, archive: bool, progress: Progress, anew: bool) -> Cached:
    folder.mkdir(parents=True, exist_ok=True)
    have, part = None if anew else cached(folder), part_of(folder)
    partial = _load(folder) if part.exists() else _Validators()
    with closing(opened(url, _conditions(have, partial, _size(part)))) as response:
        if response.status == 304 and have is not None:
            return have
        if response.status == 416:
            if _size(part) == partial.total and partial.if_range:
                return _finish(folder, url, partial)
            part.unlink(missing_ok=True)
            raise Interrupted(url, "the partial download does not fit any more")
        start = _start(response, _size(part))
        now = _validators(response, start)
        if start and not _continues(response, partial, now):
            part.unlink(missing_ok=True)
            raise Interrupted(url, "the file has changed meanwhile")
        with _disk(url, part):
            write_text(_notes(folder), json.dumps(asdict(now)))
            _receive(response, url, part, start, now, archive=archive, progress=progress)
    return _finish(folder, url, now)


def _conditions(have: Cached | None, partial: _Validators, size: int) -> dict[str, str]:
    if size > 0 and partial.if_range:
        return {"Range": f"bytes={size}-", "If-Range": partial.if_range}
    if have is not None and have.etag:
        return {"If-None-Match": have.etag}
    if have is not None and have.modified:
        return {"If-Modified-Since": have.modified}
    return {}


def _start(response: BaseHTTPResponse, size: int) -> int:
    """Return the offset at which the response's body begins."""
    if response.status != 206:
        return 0
    said = response.headers.get("Content-Range", "")
    if not said.startswith(f"bytes {size}-"):
        raise DownloadError(
            f"The server answered with another range than asked for ({said or 'none'}).",
            hint="It does not resume downloads properly: delete the cache folder and run again.",
        )
    return size


def _continues(response: BaseHTTPResponse, partial: _Validators, now: _Validators) -> bool:
    """Tell whether a 206 is of the partial's version: not every server heeds If-Range."""
    total = response.headers.get("Content-Range", "").rpartition("/")[2]
    pairs = (
        (partial.etag.removeprefix("W/"), now.etag.removeprefix("W/")),
        (partial.modified, now.modified),
        (partial.total, int(total) if total.isdigit() else None),
    )
    return all(before == after for before, after in pairs if before and after)


def _validators(response: BaseHTTPResponse, start: int) -> _Validators:
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if length.isdigit() else None
    headers = response.headers
    return _Validators(headers.get("ETag", ""), headers.get("Last-Modified", ""), total)


def _receive(
    response: BaseHTTPResponse,
    url: str,
    part: Path,
    start: int,
    now: _Validators,
    *,
    archive: bool,
    progress: Progress,
) -> None:
    _refuse_too_large(url, now.total, part, start)
    done = start
    with part.open("ab" if start else "wb") as file:
        for chunk in _chunks(response, url):
            if done == 0:
                refuse_a_page(chunk, without_secrets(url), archive=archive)
            file.write(chunk)
            done += len(chunk)
            _refuse_too_large(url, done, None, start)
            progress(done, now.total)
        _sync(file)
    if now.total is not None and done != now.total:
        raise Interrupted(url, f"it ended after {done} of {now.total} bytes")
    if done == 0:
        raise DownloadError(f"{without_secrets(url)} is empty.", hint="Check the address.")


def _chunks(response: BaseHTTPResponse, url: str) -> Iterator[bytes]:
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    try:
        yield from response.stream(_CHUNK, decode_content=False)
    except ReadTimeoutError as error:
        raise Interrupted(url, "the server sends nothing any more") from error
    except HTTPError as error:
        raise Interrupted(url, "the connection broke off") from error


def _refuse_too_large(url: str, size: int | None, part: Path | None, start: int) -> None:
    if size is None:
        return
    if size > LIMIT:
        raise DownloadError(
            f"{without_secrets(url)} has more than {LIMIT // 2**30} GiB.",
            hint="Download it by other means and give its path.",
        )
    if part is not None and shutil.disk_usage(part.parent).free < size - start:
        raise DiskFull(
            f"{without_secrets(url)} needs {size - start:,} more bytes in {part.parent},"
            " which are not free.",
            hint="Free some space, or choose another `--state-dir`, and run again: it resumes.",
        )


@contextmanager
def _disk(url: str, part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            raise
        raise DiskFull(
            f"No space is left in {part.parent} for {without_secrets(url)}.",
            hint="Free some space and run again: the download resumes where it stopped.",
        ) from error


def _finish(folder: Path, url: str, validators: _Validators) -> Cached:
    done = keep(
        folder, url, sha256_of(part_of(folder)), etag=validators.etag, modified=validators.modified
    )
    _notes(folder).unlink(missing_ok=True)
    sync_folder(folder)
    return done


def _sync(file: IO[bytes]) -> None:
    import os

    file.flush()
    os.fsync(file.fileno())


def _notes(folder: Path) -> Path:
    return folder / ".part.json"


def _load(folder: Path) -> _Validators:
    try:
        return _Validators(**json.loads(_notes(folder).read_bytes()))
    except (OSError, ValueError, TypeError):
        return _Validators()  # then the partial download is of no known version, and begins anew


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return -1
