"""What a network does to buckets on S3: each fault of `tests.network` under each operation."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lfvpipe import patience
from lfvpipe.aws import calls
from lfvpipe.patience import OF_A_RUN, Patience, patient
from lfvpipe.storage import Bucket, connect, errors
from lfvpipe.storage.s3 import buckets as s3_buckets
from tests.network import Fault, Proxy, faulty, nameless, shorten_time_outs, slower_lines

pytestmark = pytest.mark.slow

SIZE = 3_000_000
DATA = bytes(range(250)) * (SIZE // 250)


@pytest.fixture
def proxy(s3: str) -> Iterator[Proxy]:
    """Yield a proxy before a store with one bucket and a few objects."""
    bucket = at(s3)
    bucket.create()
    for key in ("a/1", "a/2", "b/1"):
        bucket.put(key, DATA if key == "a/1" else key.encode())
    with faulty(s3) as made:
        yield made


@pytest.fixture(autouse=True)
def waits() -> Iterator[list[float]]:
    """Have everything tried as in a run, without its pauses; yield the seconds that they had."""
    waited: list[float] = []
    with patient(OF_A_RUN, tell=lambda _: None, wait=waited.append):
        yield waited


def at(url: str) -> Bucket:
    return connect(url, region="eu-west-1", root=Path("unused")).bucket("parts-images")


def exists(bucket: Bucket, _folder: Path) -> Any:
    return bucket.exists()


def listing(bucket: Bucket, _folder: Path) -> Any:
    return [(found.key, found.size) for found in bucket.list("a/")]


def whole_listing(bucket: Bucket, _folder: Path) -> Any:
    return [(found.key, found.size) for found in bucket.list()]


def head(bucket: Bucket, _folder: Path) -> Any:
    found = bucket.head("a/1")
    return found and found.size


def get(bucket: Bucket, _folder: Path) -> Any:
    return bucket.get("a/1") == DATA


def get_to(bucket: Bucket, folder: Path) -> Any:
    bucket.get_to("a/1", folder / "copy")
    return (folder / "copy").read_bytes() == DATA


def put(bucket: Bucket, _folder: Path) -> Any:
    bucket.put("new", DATA)
    return bucket.get("new") == DATA


def put_many(bucket: Bucket, folder: Path) -> Any:
    (folder / "file").write_bytes(DATA * 4)  # two parts
    done: list[Any] = []
    items = [("many/1", folder / "file")]
    bucket.put_many(items, on_done=lambda made: done.append((made.key, made.size)))
    return done, bucket.get("many/1") == DATA * 4


def delete(bucket: Bucket, _folder: Path) -> Any:
    bucket.delete(["a/2"])
    return bucket.head("a/2")


OPERATIONS = [exists, listing, whole_listing, head, get, get_to, put, put_many, delete]


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.SHORT])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_passes_changes_nothing(
    proxy: Proxy,
    tmp_path: Path,
    operation: Callable[[Bucket, Path], Any],
    fault: Fault,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    undisturbed = operation(at(proxy.url), tmp_path)
    shorten_time_outs(monkeypatch, fault)
    at(proxy.url).put("a/2", b"a/2")
    proxy.faults = [fault, None, fault, fault]
    assert operation(at(proxy.url), tmp_path) == undisturbed


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.RESET, errors.Unreachable),
        (
            Fault.CUT,
            (errors.Unreachable, errors.Busy),
        ),  # Busy: half a listing
        (Fault.HANG, errors.Unreachable),
        (Fault.FOREIGN, errors.ForeignAnswer),
        (Fault.BUSY, errors.Busy),
        (Fault.THROTTLED, errors.Busy),
        (Fault.BROKEN, errors.Busy),
        (Fault.LOST, errors.Unreachable),
    ],
)
def test_what_stays_is_told_as_what_it_is(
    proxy: Proxy, tmp_path: Path, fault: Fault, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.always = fault
    shorten_time_outs(monkeypatch, fault)
    with patient(Patience(busy=9, broken=2, away=2)):
        for operation in (listing, get, get_to, put):
            with pytest.raises(kind):
                operation(at(proxy.url), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_store_that_is_busy_is_asked_when_it_wants_to_be(
    proxy: Proxy, waits: list[float]
) -> None:
    proxy.faults = [Fault.BUSY] * 4
    assert at(proxy.url).get("a/1") == DATA
    assert [7 <= seconds < 12 for seconds in waits] == [True] * 3


def test_a_store_that_asks_for_too_much_is_told_at_once(proxy: Proxy, waits: list[float]) -> None:
    proxy.always, proxy.retry_after = Fault.BUSY, "3600"
    with pytest.raises(errors.Busy, match="a/1"):
        at(proxy.url).get("a/1")
    assert waits == []


def test_a_download_goes_on_where_it_was_cut(proxy: Proxy, tmp_path: Path) -> None:
    proxy.faults = [Fault.CUT] * 4
    assert get_to(at(proxy.url), tmp_path)
    assert len(proxy.seen) == 5


def test_a_download_that_moves_is_never_given_up(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it is cut: the patience is for what does not move, here less than a second."""
    # Which the machine's own work would take part of.
    monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=None))
    proxy.faults = [Fault.CUT] * 5
    with patient(Patience(busy=0.6, broken=0.6, away=0.6)):
        assert get_to(at(proxy.url), tmp_path)
    assert len(proxy.seen) == 6


def test_a_listing_that_is_cut_short_is_not_taken_for_a_whole_one(
    proxy: Proxy, tmp_path: Path
) -> None:
    proxy.faults = [Fault.SHORT, Fault.SHORT]
    assert listing(at(proxy.url), tmp_path) == [("a/1", SIZE), ("a/2", 3)]
    proxy.always = Fault.SHORT
    with pytest.raises(errors.Busy, match="a/"):
        listing(at(proxy.url), tmp_path)


def test_a_slow_upload_is_carried_on_by_the_patient_client(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a line that is shared by many: the first attempt's time-out counts all of it."""
    monkeypatch.setattr(s3_buckets, "_SILENT", timedelta(seconds=0.3))
    bucket = at(proxy.url)
    proxy.faults, proxy.only = [Fault.HANG], ("PUT",)
    bucket.put("slow", DATA)
    assert bucket.get("slow") == DATA
    before = len(proxy.seen)
    bucket.put("slow", DATA[:5])
    assert len(proxy.seen) == before + 1


def test_one_attempt_is_all_where_the_environment_says_so(
    proxy: Proxy, aws: pytest.MonkeyPatch
) -> None:
    aws.setenv("AWS_MAX_ATTEMPTS", "1")
    proxy.faults = [Fault.BUSY]
    with pytest.raises(errors.Busy):
        at(proxy.url).get("a/1")
    assert len(proxy.seen) == 1


def test_what_a_line_changes_for_ever_is_told(proxy: Proxy, tmp_path: Path) -> None:
    proxy.only = ("PUT",)
    proxy.always = Fault.FLIPPED
    for operation in (put, put_many):
        with pytest.raises(errors.Damaged, match="changed on its way") as raised:
            operation(at(proxy.url), tmp_path)
        assert "https" in raised.value.hint


def test_a_store_whose_tags_are_no_digests_is_believed_once_it_was_read(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As one that encrypts with KMS: a single object is read back, and no other one."""
    proxy.tags = "0123456789abcdef0123456789abcdef"
    bucket = at(proxy.url)
    told: list[str] = []
    with patient(tell=told.append):
        assert get(bucket, tmp_path)
        assert put(bucket, tmp_path)
        before = len(proxy.seen)
        bucket.put("another", DATA)
        assert get(bucket, tmp_path)
    assert len(proxy.seen) == before + 2
    assert told == []


def test_a_bucket_whose_creation_was_answered_too_late_is_ours(proxy: Proxy) -> None:
    """Some stores say of one's own bucket, too, that the name is taken."""
    bucket = connect(proxy.url, region="eu-west-1", root=Path("unused")).bucket("created")
    for fault in (Fault.TWICE, Fault.LOST):
        proxy.faults = [fault]
        bucket.create()
        assert bucket.delete_if_empty()
    proxy.taken = True
    proxy.faults = [Fault.TWICE]
    bucket.create()


def test_an_upload_in_parts_that_is_completed_twice_is_there(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_time_outs(monkeypatch, Fault.HANG)
    (tmp_path / "file").write_bytes(DATA * 4)
    for faults in ([Fault.TWICE] * 4, [Fault.HANG, *[Fault.LOST] * 8]):
        bucket = at(proxy.url)
        proxy.faults, proxy.only = list(faults), ("POST",)
        bucket.put("parts", tmp_path / "file")
        assert bucket.get("parts") == DATA * 4


NAME = "store.lfvpipe.invalid"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_name_that_is_not_resolved_for_a_while_changes_nothing(
    proxy: Proxy, tmp_path: Path, operation: Callable[[Bucket, Path], Any]
) -> None:
    undisturbed = operation(at(proxy.url), tmp_path)
    at(proxy.url).put("a/2", b"a/2")
    with nameless(NAME, 3):
        assert operation(at(proxy.url.replace("127.0.0.1", NAME)), tmp_path) == undisturbed


@pytest.mark.parametrize("operation", [exists, listing, get, get_to, put])
def test_a_name_that_does_not_exist_is_told(
    aws: pytest.MonkeyPatch, tmp_path: Path, operation: Callable[[Bucket, Path], Any]
) -> None:
    with (
        nameless(NAME, 1000),
        patient(Patience(busy=9, broken=9, away=1)),
        pytest.raises(errors.Unreachable, match=f"no host is called {NAME}"),
    ):
        operation(at(f"http://{NAME}:9"), tmp_path)


def test_sixteen_uploads_over_a_slow_line_never_fail(
    s3: str,
    proxy: Proxy,
    tmp_path: Path,
    waits: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each by itself would take longer than any time-out, since all share the line."""
    files = [tmp_path / str(number) for number in range(16)]
    for number, file in enumerate(files):
        file.write_bytes(bytes([number]) * 200_000)
    items = [(f"slow/{file.name}", file) for file in files]
    for line, seconds in slower_lines(s3, 16 * 200_000, monkeypatch):
        # What the first attempts left in buffers goes out before the others' bytes.
        monkeypatch.setattr(calls, "SILENT_SECONDS", 7 * seconds)
        stored: list[str] = []
        waits.clear()
        at(line.url).put_many(items, on_done=lambda made: stored.append(made.key), jobs=16)  # noqa: B023
        if waits == []:
            break
    assert sorted(stored) == sorted(key for key, _ in items)
    assert all(at(s3).get(key) == file.read_bytes() for key, file in items)
    assert waits == []


def test_a_download_over_a_slow_line_takes_as_long_as_it_takes(
    proxy: Proxy, tmp_path: Path, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer in all than any time-out, without a single byte asked for twice."""
    for line, _ in slower_lines(proxy.url, SIZE, monkeypatch):
        proxy.seen.clear()
        waits.clear()
        assert get_to(at(line.url), tmp_path)
        if len(proxy.seen) == 1:
            break
    assert (len(proxy.seen), waits) == (1, [])


def test_a_slow_download_that_is_cut_goes_on_by_range(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for line, _ in slower_lines(proxy.url, SIZE, monkeypatch):
        proxy.ranges.clear()
        proxy.faults = [Fault.CUT] * 3
        assert get_to(at(line.url), tmp_path)
        if len(proxy.ranges) == 3:
            break
    assert [int(said.removeprefix("bytes=").partition("-")[0]) > 0 for said in proxy.ranges] == [
        True
    ] * 3
