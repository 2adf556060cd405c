"""Downloads that go on where they stopped, in as many attempts as it takes.

A folder of the cache holds a download in two files: ``.part`` grows, ``.part.json`` says which
version of the resource it belongs to. A kill at any time leaves a part that the next attempt asks
the server to continue (``Range``), if it still has that version (``If-Range``); what does not fit
is thrown away, never mixed. Only a part that is whole becomes the folder's content.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from lfvpipe.atomic import sync_file, write_text
from lfvpipe.damage import parse_json
from lfvpipe.patience import Attempts
from lfvpipe.storage import cache
from lfvpipe.storage.download.http import Interrupted, requesting
from lfvpipe.storage.download.sniffing import refuse_a_page
from lfvpipe.storage.errors import DiskFullForDownload, DownloadError, NotReachable, WrongRange
from lfvpipe.storage.urls import without_secrets
from lfvpipe.storage.versions import Validators

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from httpx import Response

    from lfvpipe.storage.cache import CachedFile

LIMIT = 64 * 2**30
"""Bytes that a download may have; a server that never ends must not fill the disk."""
_CHUNK = 2**20

Progress = Callable[[int, int | None], None]


def download(
    url: str,
    folder: Path,
    *,
    archive: bool,
    progress: Progress,
    anew: bool = False,
) -> CachedFile:
    """Bring the cache in `folder` in line with what `url` serves, and return it.

    What is cached and still current is not transferred again; what an earlier attempt left is
    resumed if the server still has the same version.

    Args:
        url: An ``https://`` or ``http://`` address.
        folder: The cache's folder for this address; no other process may work in it.
        archive: The content must be something else than a text or a web page.
        progress: Told the bytes so far and, if known, in all; what it raises ends the download.
        anew: Download also what is cached and current: it is not what it should be.

    Raises:
        DownloadError: The server does not give it.
        DiskFullForDownload: What was downloaded so far is kept for the next attempt.
    """
    transfer = _Transfer(url, folder, archive, progress)
    attempts, before = Attempts(without_secrets(url)), _size(transfer.part)
    while True:
        try:
            return transfer.attempt(None if anew else cache.find(folder))
        except Interrupted as interruption:
            size = _size(transfer.part)
            if size > before >= 0 or size > 0 > before:
                attempts.progress()  # what moves is not given up
            before = size
            why = interruption.why
            if not attempts.pause(interruption.trouble, why, interruption.retry_after):
                raise NotReachable(url, why) from interruption
            progress(max(size, 0), None)


def current_version(url: str) -> Validators:
    """Return what the server tells of the version that it has; nothing where it has no HEAD.

    Raises:
        DownloadError: The server does not answer, or does not have it.
    """
    attempts = Attempts(without_secrets(url))
    while True:
        try:
            with requesting(url, {}, method="HEAD") as response:
                if response.status_code in (405, 501):
                    return Validators()
                return _validators(response, 0)
        except Interrupted as interruption:
            why = interruption.why
            if not attempts.pause(interruption.trouble, why, interruption.retry_after):
                raise NotReachable(url, why) from interruption


@dataclass(frozen=True)
class _Transfer:
    """One address on its way into one folder."""

    url: str
    folder: Path
    archive: bool
    progress: Progress

    @property
    def part(self) -> Path:
        return cache.partial_file(self.folder)

    @property
    def notes(self) -> Path:
        """The file that says of which version the part is."""
        return cache.notes_of(self.folder)

    def attempt(self, have: CachedFile | None) -> CachedFile:
        """Download once, or find that what we `have` is current."""
        self.folder.mkdir(parents=True, exist_ok=True)
        size = _size(self.part)
        partial = self._read_notes() if size >= 0 else Validators()
        with requesting(self.url, _conditions(have, partial, size)) as response:
            if response.status_code == 304 and have is not None:
                return have
            if response.status_code == 416:  # there is nothing after what we have
                if size == partial.total and partial.if_range:
                    return self._finish(partial)  # killed between the last byte and `keep`
                self.part.unlink(missing_ok=True)
                raise Interrupted("the partial download does not fit any more")
            start = self._start(response, size)
            now = _validators(response, start)
            if start and not _continues(response, partial, now):
                self.part.unlink(missing_ok=True)
                raise Interrupted("the file has changed meanwhile")
            with self._disk():
                # A kill must not leave the old version's part beside the new version's notes: the
                # next attempt would let the server continue one with the other.
                if not start:
                    self.part.unlink(missing_ok=True)
                write_text(self.notes, json.dumps(asdict(now)))
                self._receive(response, start, now.total)
        return self._finish(now)

    def _start(self, response: Response, size: int) -> int:
        """Return the offset at which the response's body begins."""
        if response.status_code != 206:
            return 0
        said = response.headers.get("Content-Range", "")
        if not said.startswith(f"bytes {size}-"):
            raise WrongRange(self.url, said, self.folder)
        return size

    def _receive(self, response: Response, start: int, total: int | None) -> None:
        self._insist_on_space(start, total)
        done = start
        with self.part.open("ab" if start else "wb") as file:
            for chunk in response.iter_raw(_CHUNK):
                if done == 0:
                    refuse_a_page(chunk, self.url, archive=self.archive)
                file.write(chunk)
                done += len(chunk)
                self._insist_on_limit(done)
                self.progress(done, total)
            file.flush()
            sync_file(file.fileno())
        if total is not None and done != total:
            raise Interrupted(f"it ended after {done} of {total} bytes")
        if done == 0:
            raise DownloadError(self.url, "is empty", hint="Check the address.")

    def _insist_on_limit(self, size: int) -> None:
        if size > LIMIT:
            raise DownloadError(
                self.url,
                f"has more than {LIMIT // 2**30} GiB",
                hint="Download it by other means and give its path.",
            )

    def _insist_on_space(self, start: int, total: int | None) -> None:
        if total is None:
            return
        self._insist_on_limit(total)
        if shutil.disk_usage(self.folder).free < total - start:
            raise DiskFullForDownload(self.url, self.folder, total - start)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
                raise
            raise DiskFullForDownload(self.url, self.folder) from error

    def _finish(self, version: Validators) -> CachedFile:
        sha256 = cache.sha256_of(self.part)
        return cache.keep(
            self.folder, self.url, sha256, etag=version.etag, modified=version.modified
        )

    def _read_notes(self) -> Validators:
        try:
            return Validators(**parse_json(self.notes.read_bytes()))
        except (OSError, ValueError, TypeError):
            return Validators()  # then the part is of no known version, and begins anew


def _conditions(have: CachedFile | None, partial: Validators, size: int) -> dict[str, str]:
    if size > 0 and partial.if_range:
        return {"Range": f"bytes={size}-", "If-Range": partial.if_range}
    if have is not None and have.etag:
        return {"If-None-Match": have.etag}
    if have is not None and have.modified:
        return {"If-Modified-Since": have.modified}
    return {}


def _continues(response: Response, partial: Validators, now: Validators) -> bool:
    """Tell whether a 206 is of the partial's version: not every server heeds If-Range."""
    total = response.headers.get("Content-Range", "").rpartition("/")[2]
    pairs = (
        (partial.etag.removeprefix("W/"), now.etag.removeprefix("W/")),
        (partial.modified, now.modified),
        (partial.total, int(total) if total.isdigit() else None),
    )
    return all(before == after for before, after in pairs if before and after)


def _validators(response: Response, start: int) -> Validators:
    length = response.headers.get("Content-Length", "")
    total = start + int(length) if length.isdigit() else None
    headers = response.headers
    return Validators(headers.get("ETag", ""), headers.get("Last-Modified", ""), total)


def _size(file: Path) -> int:
    """Return the file's bytes, -1 if there is none."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return -1
