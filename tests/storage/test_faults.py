"""What a network does to buckets on S3: each fault of `tests.network` under each operation."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lfvpipe.aws import calls
from lfvpipe.patience import OF_A_RUN, Patience, patient
from lfvpipe.storage import Bucket, connect, errors
from lfvpipe.storage.s3 import buckets as s3_buckets
from tests.network import Fault, Proxy, faulty

pytestmark = pytest.mark.slow

SIZE = 3_000_000
DATA = bytes(range(250)) * (SIZE // 250)


@pytest.fixture
def proxy(s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Yield a proxy before a store with one bucket and a few objects; time-outs are short."""
    bucket = at(s3)
    bucket.create()
    for key in ("a/1", "a/2", "b/1"):
        bucket.put(key, DATA if key == "a/1" else key.encode())
    monkeypatch.setattr(calls, "SILENT_SECONDS", 0.3)
    monkeypatch.setattr(s3_buckets, "_SILENT", timedelta(seconds=0.3))
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
    bucket.put_many(items, on_done=lambda key, size: done.append((key, size)))
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
) -> None:
    undisturbed = operation(at(proxy.url), tmp_path)
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
    ],
)
def test_what_stays_is_told_as_what_it_is(
    proxy: Proxy, tmp_path: Path, fault: Fault, kind: Any
) -> None:
    proxy.always = fault
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


def test_a_download_that_moves_is_never_given_up(proxy: Proxy, tmp_path: Path) -> None:
    """However often it is cut: the patience is for what does not move, here less than a second."""
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


def test_a_slow_upload_is_carried_on_by_the_patient_client(proxy: Proxy, tmp_path: Path) -> None:
    """As on a line that is shared by many: the first attempt's time-out counts all of it."""
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
