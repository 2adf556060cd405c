"""Remote zips of which few images are wanted: the directory is fetched, then only their bytes.

On this machine lies a file as long as the zip, with holes where nothing was fetched: its directory
is read as that of a whole one, and says the same, so that the same images are selected. Those bytes
follow when they are extracted; each member's CRC-32 tells whether they are right. Whatever is odd
ends in the whole archive being fetched, which then says what is wrong, if anything is.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.dataset.sources import public_address
from lfvpipe.errors import UserError
from lfvpipe.storage.cache import CachedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from lfvpipe.config.spec import Pipeline, Share
    from lfvpipe.dataset.sources import Source
    from lfvpipe.storage.parts import PartialFile, Parts, Span

# Below it, all of it is fetched sooner than its parts.
_LEAST_BYTES = 4 * 2**20
_LARGEST_BYTES = 2**42  # that a server is believed to have
_LARGEST_DIRECTORY = 64 * 2**20  # of a million members
# What parts have to spare: a request costs time, which bytes do not show.
_MOST_OF_IT = 0.5
# One request fetches what lies so near; it moves at most so many bytes in vain.
_GAP = 32 * 2**10
_LARGEST_REQUEST = 4 * 2**20
_CONNECTIONS = 4
# Enough for the directory of about a thousand images, and for every comment (64 KiB).
_END = 128 * 2**10
_HEAD = 1024  # bytes by which an archive is told
_END_RECORD = struct.Struct("<4s4H2LH")
_ZIP64_RECORDS = 56 + 20


class ChangedMeanwhile(UserError):
    """The server has another version than that whose directory was read."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"{address} has changed since its directory was read.",
            hint="Run again: it is fetched anew.",
        )


@dataclass(frozen=True)
class RemoteDirectory(CachedFile):
    """A zip of which the directory is here.

    Attributes:
        sha256: Stands for the content that nobody read as a whole: of the version's names, the
            size, and the directory with the members' CRCs.
        read: Bytes that were fetched for it.
    """

    read: int = 0


def share_of(pipeline: Pipeline, source: Source) -> Share | None:
    """Return how much of a source's images is wanted; None where all of it may be needed."""
    if not source.is_remote or source.sha256:
        return None  # a pinned digest is that of the whole
    name = source.member.partition(".")[0].removesuffix("-masks")
    label = next((each for each in pipeline.sources.by_label if each == name), None)
    found = pipeline.sample.shares[label] if label else None
    if found and found.percent is not None and found.percent > 100 * _MOST_OF_IT:
        return None
    return found


def fetch_directory(
    pipeline: Pipeline,
    source: Source,
    partial: PartialFile,
    remote: Parts,
    warn: Callable[[str], None],
) -> RemoteDirectory | None:
    """Bring a zip's directory here where only some of its images are wanted.

    Returns:
        None where it is to be fetched as a whole: too small, no zip, or something to be unpacked
        before anybody knows what it holds.

    Raises:
        UserError: The server or store does not give it.
    """
    from lfvpipe.storage import Changed, NoRanges
    from lfvpipe.storage.errors import Refused

    share = share_of(pipeline, source)
    if share is None:
        return None
    try:
        version, end = remote.read_end(_END)
        total = version.total or 0
        if not _LEAST_BYTES <= total <= _LARGEST_BYTES:
            return None
        if partial.version != version:
            partial.begin(version)
            partial.put([(0, remote.read(version, 0, _HEAD)), (total - len(end), end)])
        start = _directory_start(end, total)
        if start is None or total - start > _LARGEST_DIRECTORY or partial.read(0, 2) != b"PK":
            return None
        lacking = _lacking(partial, [(start, total)])
        partial.put((begin, remote.read(version, begin, stop)) for begin, stop in lacking)
    except Refused:  # parts, perhaps; if it is all, the fetch of the whole says why
        partial.forget()
        return None
    except (NoRanges, Changed) as error:
        partial.forget()
        warn(f"{public_address(source.address)} is fetched as a whole: {error}.")
        return None
    if not _is_worth_it(pipeline, source, share, partial.path, total - start):
        return None
    directory = partial.read(start, total)
    named = [version.etag, version.modified, total, hashlib.sha256(directory).hexdigest()]
    sha256 = hashlib.sha256(json.dumps(named).encode()).hexdigest()
    read = total - min(start, total - len(end)) + _HEAD
    return RemoteDirectory(partial.path, total, sha256, version.etag, version.modified, read)


def fetch_spans(
    partial: PartialFile,
    remote: Parts,
    spans: Sequence[Span],
    progress: Callable[[int, int], None],
) -> None:
    """Bring these bytes here, as far as they are not.

    A kill loses what is under way, no more.

    Raises:
        Changed: The server has another version.
        NoRanges: It does not send parts any more.
        UserError: It does not give them.
    """
    from itertools import islice

    from lfvpipe.executor import in_order

    todo = _lacking(partial, spans)
    done, total = 0, sum(end - start for start, end in todo)

    def read(span: Span) -> tuple[int, bytes]:
        return span[0], remote.read(partial.version, *span)

    arriving = in_order(read, todo, _CONNECTIONS)
    while batch := list(islice(arriving, 2 * _CONNECTIONS)):
        # The disk may take a second for each; of a power cut the members' CRCs tell.
        partial.put(batch, synced=False)
        done += sum(len(data) for _, data in batch)
        progress(done, total)


def take_whole(partial: PartialFile, whole: CachedFile) -> bool:
    """Take a file fetched as a whole in place of the parts; return whether it is the same one."""
    here = [span for span in partial.spans if span[1] == partial.version.total]
    pieces = (
        (begin, min(begin + _LARGEST_REQUEST, end))
        for start, end in here
        for begin in range(start, end, _LARGEST_REQUEST)
    )
    with whole.path.open("rb") as file:
        is_same = whole.size == partial.version.total
        for start, end in pieces:
            file.seek(start)
            is_same = is_same and file.read(end - start) == partial.read(start, end)
    if is_same:
        partial.take(whole.path)
    return is_same


def foretell(pipeline: Pipeline, source: Source) -> str:
    """Return, for a plan, that a source is fetched by parts where that is possible; "" if not."""
    share = share_of(pipeline, source)
    if share is None:
        return ""
    amount = f"{share.percent:g} % of the" if share.percent is not None else f"{share.count:,}"
    return f"by range where the server can: a zip's directory, then {amount} images"


def _lacking(partial: PartialFile, spans: Sequence[Span]) -> list[Span]:
    """Return what to ask for: what is not here, neighbours as one, the large in pieces."""
    from lfvpipe.storage.parts import merge, subtract

    return [
        (start, min(start + _LARGEST_REQUEST, end))
        for begin, end in subtract(merge(spans, _GAP), partial.spans)
        for start in range(begin, end, _LARGEST_REQUEST)
    ]


def _directory_start(end: bytes, total: int) -> int | None:
    """Return where a zip's directory begins, as the records behind it tell (APPNOTE 4.3)."""
    at = end.rfind(b"PK\5\6")
    if at < 0 or at + _END_RECORD.size > len(end):
        return None
    *_, length, _, comment = _END_RECORD.unpack_from(end, at)
    if at + _END_RECORD.size + comment != len(end):
        return None
    first = at
    if end[max(0, at - 20) : at].startswith(b"PK\6\7"):
        first = at - _ZIP64_RECORDS
        if first < 0 or not end.startswith(b"PK\6\6", first):
            return None
        (length,) = struct.unpack_from("<Q", end, first + 40)
    start = total - len(end) + first - length
    return start if start >= 0 else None


def _is_worth_it(
    pipeline: Pipeline, source: Source, share: Share, archive: Path, directory: int
) -> bool:
    """Tell whether parts of an archive move fewer bytes, and its directory says all there is."""
    from lfvpipe.archives import ArchiveError, open_archive

    try:
        with open_archive(archive, encoding=source.encoding) as opened:
            members = list(opened.members())
            # What hides behind a hole: archives inside, and where links lead to.
            hidden = [*opened.inner_folders, *opened.unread]
            if hidden or opened.skipped["link out of the archive"]:
                return False
    except ArchiveError:
        return False  # fetched as a whole, it is looked at again
    wanted = share.count if share.count is not None else len(members) * (share.percent or 0) / 100
    wanted += pipeline.evaluate.unused_per_label
    total = archive.stat().st_size
    return directory + total * min(1, wanted / max(1, len(members))) <= _MOST_OF_IT * total
