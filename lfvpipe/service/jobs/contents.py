"""Makes a dataset's content: reads the manifest or the changes, checks the images, counts."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from shutil import rmtree
from typing import BinaryIO

from lfvpipe import manifest
from lfvpipe.errors import UserError
from lfvpipe.lookout.statuses import DatasetStatus
from lfvpipe.service import locks
from lfvpipe.service.jobs.messages import CREATED, status_message
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import contents, datasets, entries, tokens
from lfvpipe.service.state.contents import Content, ContentState, Counts
from lfvpipe.service.state.database import Transaction
from lfvpipe.service.state.entries import NewEntry
from lfvpipe.storage import NoSuchBucket, NoVersions, StorageError, is_path, parse_s3_uri

_BATCH = 2000  # entries of a transaction: a write of all would keep other requests waiting
_LONGEST = 1 << 20  # bytes of a line: far above what is allowed, but it is the memory it may take


class ContentError(UserError):
    """A manifest or an update that cannot become a dataset."""


def make(runtime: Runtime, identity: int) -> None:
    """Bring a pending content to ready or failed, unless somebody else is at it; idempotent."""
    with runtime.locks.held(locks.content(identity)) as ours:
        if ours:
            _make(runtime, identity)


def give_up(runtime: Runtime, identity: int, message: str) -> None:
    """Bring a pending content to failed; one that came to rest meanwhile is left alone."""
    with runtime.database.read() as tx:
        content = contents.find(tx, identity)
    if content is not None and content.state is ContentState.PENDING:
        _settle(runtime, identity, ContentState.FAILED, message)


def _make(runtime: Runtime, identity: int) -> None:
    with runtime.database.write() as tx:
        content = contents.find(tx, identity)
        if content is None or content.state is not ContentState.PENDING:
            return
        entries.delete(tx, identity)  # what a process that died had added
    tally = manifest.LabelTally()
    try:
        _fill(runtime, content, tally)
    except (ContentError, StorageError) as error:
        _settle(runtime, identity, ContentState.FAILED, status_message(error))
    else:
        _settle(runtime, identity, ContentState.READY, status_message(_remarks(tally)))


def _remarks(tally: manifest.LabelTally) -> str:
    """Return what a client must know of labels that do not count; "" where all do."""
    remarks = []
    if names := tally.unknown:
        remarks.append(
            f"{_lines_have(names.total())} a class-name other than normal and anomaly, hence no"
            f" label: {manifest.counted_names(names)}."
        )
    if attributes := tally.others:
        remarks.append(
            "Not taken for labels, since their type is not groundtruth/image-classification:"
            f" {manifest.counted_names(attributes)}."
        )
    if tally.differing:
        remarks.append(
            f"{_lines_have(tally.differing)} labels that differ: the newest by creation-date"
            f" counts, not that of {manifest.counted_names(tally.overruled)}."
        )
    if tally.guesses:
        remarks.append(
            f"{_lines_have(tally.guesses)} labels that differ, and no creation-date tells which is"
            f" newer: the first counts, not that of {manifest.counted_names(tally.passed_over)}."
        )
    return " ".join(remarks)


def _lines_have(number: int) -> str:
    return "1 line has" if number == 1 else f"{number:,} lines have"


def _fill(runtime: Runtime, content: Content, tally: manifest.LabelTally) -> None:
    """Add the entries of all lines, and check that what they name is there."""
    named: dict[str, tuple[int, str | None]] = {}  # address: line number and label
    masks: dict[str, int] = {}
    with _numbered_lines(runtime, content) as lines:
        rows = _read(runtime, lines, named, masks, tally)
        while batch := list(islice(rows, _BATCH)):
            with runtime.database.write() as tx:
                entries.put(tx, content.id, batch)
    _check_one_bucket(runtime, content, named)
    wanted = {source: number for source, (number, _) in named.items()} | masks
    _check_exist(runtime, content, wanted)


@contextmanager
def _numbered_lines(runtime: Runtime, content: Content) -> Iterator[Iterable[tuple[int, str]]]:
    """Yield the lines that are to become entries, with their numbers from 1 on."""
    if content.changes is not None:
        if content.base is not None:
            with runtime.database.write() as tx:
                entries.copy(tx, base=content.base, content=content.id)
        yield _decode(content.changes.splitlines(), "the changes")
        return
    folder = runtime.scratch(locks.content(content.id))
    try:
        file = _fetch(runtime, content, folder)
        with file.open("rb") as opened:
            name, longest = f"the manifest {content.key}", runtime.quotas.max_manifest_line
            yield _decode(_lines(opened, name, longest), name)
    finally:
        rmtree(folder, ignore_errors=True)


def _fetch(runtime: Runtime, content: Content, folder: Path) -> Path:
    bucket, key, version = content.bucket or "", content.key or "", content.version_id
    store = runtime.store(content.storage).bucket(bucket)
    with _telling_missing(bucket):
        try:
            info = store.head(key, version=version)
        except NoVersions as error:
            raise ContentError(
                f"Version {version} of the manifest s3://{bucket}/{key} cannot be read:"
                f" {error.detail}; leave VersionId out."
            ) from error
    if info is None:
        which = f"The manifest s3://{bucket}/{key}"
        if version is not None:
            raise ContentError(f"{which} does not exist, or has no version {version}.")
        raise ContentError(f"{which} does not exist; upload it first.")
    if info.size > runtime.quotas.max_manifest_bytes:
        most = runtime.quotas.max_manifest_bytes
        raise ContentError(f"The manifest has {info.size} bytes; {most} are allowed.")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "manifest"
    store.get_to(key, file, version=version)
    return file


@contextmanager
def _telling_missing(bucket: str) -> Iterator[None]:
    """Name a bucket that is missing as the client does, not by where this service keeps it."""
    try:
        yield
    except NoSuchBucket as error:
        raise ContentError(f"The bucket {bucket} does not exist.") from error


def _lines(opened: BinaryIO, name: str, longest: int) -> Iterator[bytes]:
    """Yield the lines; what has no line ends is not read into memory as a single one."""
    most = max(_LONGEST, 4 * longest)  # bytes; blanks around a line do not count
    for number, line in enumerate(iter(lambda: opened.readline(most), b""), 1):
        if len(line) == most and not line.endswith(b"\n"):
            raise ContentError(
                f"Line {number} of {name} has no end within {most} bytes; {longest} characters are"
                " allowed. Write it as JSON Lines: each image's object on a line of its own."
            )
        yield line


def _decode(lines: Iterable[bytes], name: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise ContentError(f"Line {number} of {name} is no UTF-8 text.") from error
        if text:
            yield number, text


def _read(
    runtime: Runtime,
    lines: Iterable[tuple[int, str]],
    named: dict[str, tuple[int, str | None]],
    masks: dict[str, int],
    tally: manifest.LabelTally,
) -> Iterator[NewEntry]:
    """Yield an entry for each line, and note what it names; the later of two on one image counts.

    Args:
        runtime: The state.
        lines: The lines, with their numbers.
        named: Filled with each image's last line number and label.
        masks: Filled with each mask's last line number.
        tally: Told of each line's labels.

    Raises:
        ContentError: A line is no entry, or contradicts another.
    """
    for number, text in lines:
        try:
            entry = manifest.service_entry(text, longest=runtime.quotas.max_manifest_line)
        except manifest.LineError as error:
            raise ContentError(f"Line {number} {error.problem}.") from error
        known = named.get(entry.source)
        if known is not None and known[1] != entry.label:
            raise ContentError(
                f"Lines {known[0]} and {number} give {entry.source} different labels; keep one."
            )
        named[entry.source] = (number, entry.label)
        tally.add(entry.given, entry.classifications)
        if entry.mask is not None:
            masks[entry.mask] = number
        yield NewEntry(entry.source, entry.label, entry.created, text)


def _check_one_bucket(
    runtime: Runtime, content: Content, named: Mapping[str, tuple[int, str | None]]
) -> None:
    buckets = {parse_s3_uri(source)[0]: number for source, (number, _) in named.items()}
    with runtime.database.read() as tx:
        first = entries.first_source(tx, content.id)  # of an update, perhaps the base's
    home = "" if first is None else parse_s3_uri(first)[0]
    for bucket, number in buckets.items():
        if bucket != home:
            raise ContentError(
                f"Line {number} refers to bucket {bucket}, the first image lies in {home};"
                " all images of a dataset must lie in one bucket."
            )


def _check_exist(runtime: Runtime, content: Content, wanted: Mapping[str, int]) -> None:
    """Look for every object with one listing of each bucket: a HEAD for each takes minutes."""
    by_bucket: dict[str, dict[str, int]] = {}
    for address, number in wanted.items():
        bucket, key = parse_s3_uri(address)
        by_bucket.setdefault(bucket, {})[key] = number
    for bucket, keys in by_bucket.items():
        _check_listed(runtime, content, bucket, keys)


def _check_listed(runtime: Runtime, content: Content, bucket: str, keys: dict[str, int]) -> None:
    store = runtime.store(content.storage).bucket(bucket)
    with _telling_missing(bucket):
        # Those that are no paths apart: a listing that they are in is slower, and `../` and the
        # like have no prefix in common with others.
        for group in ([k for k in keys if is_path(k)], [k for k in keys if not is_path(k)]):
            missing = set(group)
            for info in store.list(_common_prefix(group)) if group else ():
                missing.discard(info.key)
                keys.pop(info.key, None)
                if not missing:
                    break
    if keys:
        key, number = min(keys.items(), key=lambda item: item[1])
        found = "1 object that does" if len(keys) == 1 else f"{len(keys)} objects that do"
        raise ContentError(
            f"The manifest refers to {found} not exist; the first, on line {number}, is"
            f" s3://{bucket}/{key}. Upload what is missing or remove its lines."
        )


def _common_prefix(keys: Iterable[str]) -> str:
    """Return the longest folder that all keys lie in, with its slash, or nothing."""
    least, most = min(keys), max(keys)
    same = 0
    while same < min(len(least), len(most)) and least[same] == most[same]:
        same += 1
    return least[: least.rfind("/", 0, same) + 1]


def _settle(runtime: Runtime, identity: int, state: ContentState, message: str) -> None:
    """Write how it ended into the content and its dataset, in one transaction."""
    with runtime.database.write() as tx:
        if state is ContentState.READY:
            counts = entries.count(tx, identity)
        else:
            entries.delete(tx, identity)
            counts = Counts()
        contents.settle(tx, identity, state, message, counts)
        _settle_dataset(runtime, tx, identity, state, message)
        contents.collect(tx)


def _settle_dataset(
    runtime: Runtime, tx: Transaction, identity: int, state: ContentState, message: str
) -> None:
    """Give the content's dataset its status; a dataset that was deleted meanwhile has none."""
    dataset = datasets.of_content(tx, identity)
    if dataset is None:
        return
    content = identity
    if dataset.next_content != identity:
        created, failed = DatasetStatus.CREATE_COMPLETE, DatasetStatus.CREATE_FAILED
        is_ready = state is ContentState.READY
        status, text = (created, f"{CREATED} {message}".rstrip()) if is_ready else (failed, message)
    elif state is ContentState.READY:
        status = DatasetStatus.UPDATE_COMPLETE
        text = f"The dataset was updated successfully. {message}".rstrip()
    else:
        status = DatasetStatus.UPDATE_FAILED_ROLLBACK_COMPLETE
        text = f"{message} The dataset is as it was before the update."
        content = dataset.content
        tokens.forget(tx, tokens.dataset_resource(dataset), "UpdateDatasetEntries")
    now = runtime.clock()
    datasets.settle(tx, dataset, status=status, message=text, content=content, now=now)
