"""Reads selected members from wherever they lie: archives, files beside the pipeline, objects."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from lfvpipe.dataset.selection import FILES, OBJECTS
from lfvpipe.dataset.sources import public_address, sources_of
from lfvpipe.errors import UserError
from lfvpipe.steps.fetch import FetchOutcome, FetchStep, parts_are_known, source_location

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from lfvpipe.engine.step import Work
    from lfvpipe.steps.context import Context

MAX_FILE_BYTES = 64 * 1024 * 1024  # eight times what the service takes: `resize` may still help
_CONNECTIONS = 16

MemberContent = tuple[str, bytes | UserError]


def read_members(
    context: Context, work: Work, source: str, members: Collection[str]
) -> Iterator[MemberContent]:
    """Yield name and content of each of `members`; one that cannot be read comes as the error.

    Raises:
        ArchiveError: The archive as a whole cannot be read.
        StorageError: The object store cannot be reached.
    """
    if source == FILES:
        yield from _read_files(context, members)
    elif source == OBJECTS:
        yield from _read_objects(context, members)
    else:
        from lfvpipe.archives import open_archive

        known = {each.member: each for each in sources_of(context.pipeline)}
        encoding = known[source].encoding if source in known else None
        path = source_location(context, work.upstream, source)
        fetched = FetchOutcome.of(work.upstream, source)
        if fetched is not None and fetched.read is not None:
            step = FetchStep(known[source])
            yield from _read_partial(context, step, fetched, path, members, work)
            return
        with open_archive(path, encoding=encoding) as archive:
            yield from archive.extract(members, MAX_FILE_BYTES)


def _read_partial(
    context: Context,
    step: FetchStep,
    fetched: FetchOutcome,
    path: Path,
    members: Collection[str],
    work: Work,
) -> Iterator[MemberContent]:
    """Yield members of a zip of which only parts are here; they are fetched first.

    Raises:
        ChangedMeanwhile: They are of another version, also by the end: another pipeline of this
            state may fetch one at any time.
    """
    from lfvpipe.archives import DamagedMember, open_archive
    from lfvpipe.steps.by_range import ChangedMeanwhile

    damaged: list[str] = []
    encoding = step.source.encoding
    step.complete(context, fetched, members, work)
    with open_archive(path, encoding=encoding) as archive:
        for name, data in archive.extract(members, MAX_FILE_BYTES):
            if isinstance(data, DamagedMember):
                damaged.append(name)
            else:
                yield name, data
    if damaged:  # here, or there? What comes once more tells
        step.complete(context, fetched, damaged, work, anew=True)
        with open_archive(path, encoding=encoding) as archive:
            yield from archive.extract(damaged, MAX_FILE_BYTES)
    if not parts_are_known(path, fetched):
        raise ChangedMeanwhile(public_address(step.source.address))


def _read_files(context: Context, members: Collection[str]) -> Iterator[MemberContent]:
    for member in sorted(members):
        path = context.pipeline.folder / member
        try:
            with path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            yield member, UserError(f"{path}: cannot be read ({error.strerror}).")
            continue
        too_large = len(data) > MAX_FILE_BYTES
        yield member, UserError(f"{path}: is more than 64 MiB.") if too_large else data


def _read_objects(context: Context, members: Collection[str]) -> Iterator[MemberContent]:
    from concurrent.futures import ThreadPoolExecutor

    from lfvpipe.storage import NoSuchObject, TooLarge, parse_s3_uri

    names = {parse_s3_uri(uri)[0] for uri in members}
    buckets = {name: context.source_bucket(name) for name in names}

    def read(uri: str) -> MemberContent:
        bucket, key = parse_s3_uri(uri)
        try:
            return uri, buckets[bucket].get(key, limit=MAX_FILE_BYTES)
        except (NoSuchObject, TooLarge) as error:
            return uri, error

    ordered = iter(sorted(members))
    with ThreadPoolExecutor(_CONNECTIONS) as executor:
        # A batch at a time, as the executor would otherwise read ahead of who decodes, into memory.
        while batch := list(islice(ordered, _CONNECTIONS)):
            yield from executor.map(read, batch)
