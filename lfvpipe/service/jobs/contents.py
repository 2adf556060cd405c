"""Makes a dataset's content: reads the manifest or the changes, checks the images, counts."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from shutil import rmtree
from typing import Any, BinaryIO, cast

from lfvpipe import manifest
from lfvpipe.errors import UserError
from lfvpipe.service import locks
from lfvpipe.service.jobs.messages import status_message
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import find, tokens
from lfvpipe.service.state.database import Transaction
from lfvpipe.service.state.rows import Content, Dataset, read
from lfvpipe.storage import StorageError, parse_s3_uri

_BATCH = 2000
_LONGEST = 1 << 20  # bytes of a line: far above what is allowed, but it is the memory it may take
_Row = tuple[int, int, str, str | None, float | None, str]


class ContentError(UserError):
    """A manifest or an update that cannot become a dataset."""


def make(runtime: Runtime, identity: int) -> None:
    """Bring a pending content to ready or failed, unless somebody else is at it; idempotent."""
    with runtime.locks.held(locks.content(identity)) as ours:
        if ours:
            _make(runtime, identity)


def _make(runtime: Runtime, identity: int) -> None:
    with runtime.database.write() as tx:
        content = find.content(tx, identity)
        tx.run("DELETE FROM entries WHERE content = ? AND ? = 'pending'", identity, _state(content))
    if content is None or content.state != "pending":
        return
    try:
        _fill(runtime, content)
    except (ContentError, StorageError) as error:
        _settle(runtime, identity, "failed", status_message(error))
    except Exception:
        _settle(runtime, identity, "failed", "The service failed; its log has the details.")
        raise
    else:
        _settle(runtime, identity, "ready", "")


def _state(content: Content | None) -> str:
    return "gone" if content is None else content.state


def _fill(runtime: Runtime, content: Content) -> None:
    named: dict[str, tuple[int, str | None]] = {}
    masks: dict[str, int] = {}
    with _numbered_lines(runtime, content) as lines:
        rows = _rows(runtime, content, lines, named, masks)
        for batch in iter(lambda: list(islice(rows, _BATCH)), []):
            _insert(runtime, content.id, batch)
    _check_one_bucket(runtime, content, named)
    wanted = {source: number for source, (number, _) in named.items()} | masks
    _check_exist(runtime, content, wanted)


@contextmanager
def _numbered_lines(runtime: Runtime, content: Content) -> Iterator[Iterable[tuple[int, str]]]:
    if content.changes is not None:
        _copy_base(runtime, content)
        yield _decoded(content.changes.splitlines(), "the changes")
        return
    folder = runtime.scratch(locks.content(content.id))
    try:
        file = _fetched(runtime, content, folder)
        with file.open("rb") as opened:
            name, longest = f"the manifest {content.key}", runtime.quotas.max_manifest_line
            yield _decoded(_bounded(opened, name, longest), name)
    finally:
        rmtree(folder, ignore_errors=True)


def _copy_base(runtime: Runtime, content: Content) -> None:
    columns = "seq, source, label, created, line"
    copy = f"INSERT INTO entries SELECT ?, {columns} FROM entries WHERE content = ?"  # noqa: S608  (constants)
    with runtime.database.write() as tx:
        tx.run(copy, content.id, content.base)


def _fetched(runtime: Runtime, content: Content, folder: Path) -> Path:
    bucket, key = content.bucket or "", content.key or ""
    store = runtime.store(content.storage).bucket(bucket)
    info = store.head(key)
    if info is None:
        raise ContentError(f"The manifest s3://{bucket}/{key} does not exist; upload it first.")
    if info.size > runtime.quotas.max_manifest_bytes:
        most = runtime.quotas.max_manifest_bytes
        raise ContentError(f"The manifest has {info.size} bytes; {most} are allowed.")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "manifest"
    store.get_to(key, file)
    return file


def _bounded(opened: BinaryIO, name: str, longest: int) -> Iterator[bytes]:
    """Yield the lines; what has no line ends is not read into memory as a single one."""
    most = max(_LONGEST, 4 * longest)  # bytes; blanks around a line do not count
    for number, line in enumerate(iter(lambda: opened.readline(most), b""), 1):
        if len(line) == most and not line.endswith(b"\n"):
            raise ContentError(
                f"Line {number} of {name} has no end within {most} bytes; {longest} characters are"
                " allowed. Write it as JSON Lines: each image's object on a line of its own."
            )
        yield line


def _decoded(lines: Iterable[bytes], name: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise ContentError(f"Line {number} of {name} is no UTF-8 text.") from error
        if text:
            yield number, text


def _rows(
    runtime: Runtime,
    content: Content,
    lines: Iterable[tuple[int, str]],
    named: dict[str, tuple[int, str | None]],
    masks: dict[str, int],
) -> Iterator[_Row]:
    """Yield a row for each line; the later of two lines on one image counts."""
    for number, text in lines:
        entry = _entry(runtime, number, text)
        known = named.get(entry.source)
        if known is not None and known[1] != entry.label:
            raise ContentError(
                f"Lines {known[0]} and {number} give {entry.source} different labels; keep one."
            )
        named[entry.source] = (number, entry.label)
        if entry.mask is not None:
            masks[entry.mask] = number
        yield (content.id, number, entry.source, entry.label, entry.created, text)


def _entry(runtime: Runtime, number: int, text: str) -> manifest.Entry:
    try:
        return manifest.service_entry(text, longest=runtime.quotas.max_manifest_line)
    except manifest.LineError as error:
        raise ContentError(f"Line {number} {error.problem}.") from error


def _insert(runtime: Runtime, identity: int, rows: list[_Row]) -> None:
    """Replace an image's line where it is, or add it behind the others."""
    with runtime.database.write() as tx:
        row = tx.one("SELECT MAX(seq) FROM entries WHERE content = ?", identity)
        last = int(row[0] or 0) if row is not None else 0
        tx.many(
            "INSERT INTO entries VALUES (?, ? + ?, ?, ?, ?, ?) ON CONFLICT (content, source)"
            " DO UPDATE SET label = excluded.label, created = excluded.created,"
            " line = excluded.line",
            ((row[0], last, index, *row[2:]) for index, row in enumerate(rows, 1)),
        )


def _check_one_bucket(
    runtime: Runtime, content: Content, named: Mapping[str, tuple[int, str | None]]
) -> None:
    buckets = {parse_s3_uri(source)[0]: number for source, (number, _) in named.items()}
    with runtime.database.read() as tx:
        query = "SELECT source FROM entries WHERE content = ? ORDER BY seq LIMIT 1"
        row = tx.one(query, content.id)
    home = parse_s3_uri(row["source"])[0] if row is not None else ""
    for bucket, number in buckets.items():
        if bucket != home:
            raise ContentError(
                f"Line {number} refers to bucket {bucket}, the first image lies in {home};"
                " all images of a dataset must lie in one bucket."
            )


def _check_exist(runtime: Runtime, content: Content, wanted: Mapping[str, int]) -> None:
    """Look for every object with one listing of each bucket."""
    by_bucket: dict[str, dict[str, int]] = {}
    for address, number in wanted.items():
        bucket, key = parse_s3_uri(address)
        by_bucket.setdefault(bucket, {})[key] = number
    for bucket, keys in by_bucket.items():
        _check_listed(runtime, content, bucket, keys)


def _check_listed(runtime: Runtime, content: Content, bucket: str, keys: dict[str, int]) -> None:
    store = runtime.store(content.storage).bucket(bucket)
    for info in store.list(_common_prefix(keys)):
        keys.pop(info.key, None)
        if not keys:
            return
    if keys:
        key, number = min(keys.items(), key=lambda item: item[1])
        count = "1 object" if len(keys) == 1 else f"{len(keys)} objects"
        raise ContentError(
            f"The manifest refers to {count} that do not exist; the first, on line {number}, is"
            f" s3://{bucket}/{key}. Upload what is missing or remove its lines."
        )


def _common_prefix(keys: Iterable[str]) -> str:
    """Return the longest folder that all keys lie in, with its slash, or nothing."""
    least, most = min(keys), max(keys)
    same = 0
    while same < min(len(least), len(most)) and least[same] == most[same]:
        same += 1
    return least[: least.rfind("/", 0, same) + 1]


def _settle(runtime: Runtime, identity: int, state: str, message: str) -> None:
    """Write how it ended into the content and its dataset, in one transaction."""
    with runtime.database.write() as tx:
        if state != "ready":
            tx.run("DELETE FROM entries WHERE content = ?", identity)
        _count(tx, identity, state, message)
        row = tx.one("SELECT * FROM datasets WHERE ? IN (content, next_content)", identity)
        if row is not None and state != "pending":
            _settle_dataset(tx, cast("Any", row), identity, state, message, runtime.clock())
        collect(tx)


def _count(tx: Transaction, identity: int, state: str, message: str) -> None:
    counts = (
        "SELECT COUNT(*), TOTAL(label = 'normal'), TOTAL(label = 'anomaly')"
        " FROM entries WHERE content = ?"
    )
    update = (
        "UPDATE contents SET state = ?, message = ?, total = ?, normal = ?, anomaly = ?"
        " WHERE id = ?"
    )
    tx.run(update, state, message, *map(int, tx.all(counts, identity)[0]), identity)


def _settle_dataset(
    tx: Transaction, row: Any, identity: int, state: str, message: str, now: float
) -> None:
    updating = row["next_content"] == identity
    if updating and state == "failed":
        tokens.forget(tx, tokens.of_dataset(read(Dataset, row)), "UpdateDatasetEntries")
    status, text = _STATUSES[updating, state]
    tx.run(
        "UPDATE datasets SET status = ?, message = ?, content = ?, next_content = NULL, updated = ?"
        " WHERE project = ? AND type = ?",
        status,
        text.format(message=message),
        identity if state == "ready" or not updating else row["content"],
        now,
        row["project"],
        row["type"],
    )


_STATUSES = {  # by whether it is an update, and how it ended
    (False, "ready"): ("CREATE_COMPLETE", "The dataset was created successfully."),
    (False, "failed"): ("CREATE_FAILED", "{message}"),
    (True, "ready"): ("UPDATE_COMPLETE", "The dataset was updated successfully."),
    (True, "failed"): (
        "UPDATE_FAILED_ROLLBACK_COMPLETE",
        "{message} The dataset is as it was before the update.",
    ),
}


def collect(tx: Transaction) -> None:
    """Remove the contents that no dataset, update or waiting training refers to.

    A training on an update that was rolled back goes back to what was to be updated, too.
    """
    tx.run(
        "WITH trained AS ("
        " SELECT train_content AS id FROM models WHERE status = 'TRAINING'"
        " UNION SELECT test_content FROM models"
        "  WHERE status = 'TRAINING' AND test_content IS NOT NULL)"
        " DELETE FROM contents WHERE id NOT IN ("
        " SELECT content FROM datasets"
        " UNION SELECT next_content FROM datasets WHERE next_content IS NOT NULL"
        " UNION SELECT id FROM trained"
        " UNION SELECT base FROM contents WHERE base IS NOT NULL"
        "  AND (state = 'pending' OR id IN (SELECT id FROM trained)))"
    )
