"""What every bucket does, wherever it lies: a suite that a backend's tests inherit.

A backend of storage is a class with the methods of `lfvpipe.storage.Buckets`, and one with those of
`lfvpipe.storage.Bucket`. What their docstrings promise and callers rely on is held here. To have a
backend tested, inherit in a test module of its own:

    class TestMyBuckets(BucketsConformance):
        @pytest.fixture
        def buckets(self) -> Buckets:
            return MyBuckets(region=REGION)

`buckets` must be empty for each test. A backend that splits listings into pages overrides
`small_pages`, so that 25 objects are several of them; one that `lfvpipe.storage.connect` does not
know overrides `reconnect`. `test_memory.py` is the smallest example.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from lfvpipe import storage
from lfvpipe.storage import (
    Bucket,
    Buckets,
    Changed,
    InvalidKey,
    NoSuchBucket,
    NoSuchObject,
    NoVersions,
    SourceGone,
    Stored,
    TooLarge,
)

REGION = "eu-west-1"
ODD_KEYS = ["../x", "a/../../x", "a/../b", "/x", "//x", "a//b", "./a", "a/./b", "a\tb"]


class BucketsConformance:
    """Inherit it, under a name that begins with Test, and give it `buckets`."""

    @pytest.fixture
    def buckets(self) -> Buckets:
        """Return an empty store whose buckets lie in `REGION`."""
        raise NotImplementedError

    @pytest.fixture
    def bucket(self, buckets: Buckets) -> Bucket:
        """Return a bucket that is there, and empty."""
        bucket = buckets.bucket("parts-images")
        bucket.create()
        return bucket

    @pytest.fixture
    def small_pages(self) -> None:
        """Make a page of a listing hold about ten objects, where there are pages."""

    def reconnect(self, described: Mapping[str, str]) -> Buckets:
        """Return the store that `Buckets.describe` described, as another process would."""
        return storage.reconnect(described)

    def test_a_bucket_is_created_once_and_deleted_only_when_empty(self, buckets: Buckets) -> None:
        bucket = buckets.bucket("parts-images")
        assert not bucket.exists()
        bucket.create()
        bucket.create()
        assert bucket.exists()
        assert bucket.location() == REGION
        bucket.put("normal/1.png", b"x")
        assert not bucket.delete_if_empty()
        bucket.delete(["normal/1.png"])
        assert bucket.delete_if_empty()
        assert not bucket.exists()
        assert bucket.delete_if_empty()

    def test_an_object_comes_back_as_it_was_put(self, bucket: Bucket, tmp_path: Path) -> None:
        file = tmp_path / "file.bin"
        file.write_bytes(bytes(range(256)) * 4)
        bucket.put("a/bytes", b"12345")
        bucket.put("a/file", file)
        assert bucket.get("a/bytes") == b"12345"
        bucket.get_to("a/file", tmp_path / "out" / "copy.bin")
        assert (tmp_path / "out" / "copy.bin").read_bytes() == file.read_bytes()
        info = bucket.head("a/file")
        assert info is not None
        assert (info.key, info.size) == ("a/file", 1024)
        assert info.etag
        assert info.modified.tzinfo is not None
        assert list(bucket.list("a/f")) == [info]
        assert bucket.head("a") is None

    def test_a_transfer_tells_how_far_it_is_and_can_be_ended(
        self, bucket: Bucket, tmp_path: Path
    ) -> None:
        bucket.put("big", bytes(3_000_000))
        told: list[int] = []
        bucket.get_to("big", tmp_path / "copy", on_bytes=told.append)
        assert told == sorted(told)
        assert told[-1] == 3_000_000

        def stop(done: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            bucket.get_to("big", tmp_path / "half", on_bytes=stop)
        assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["copy"]

    def test_an_object_is_read_from_any_byte_on_and_only_in_its_version(
        self, bucket: Bucket
    ) -> None:
        data = bytes(range(250)) * 8_000
        bucket.put("big", data)
        info = bucket.head("big")
        assert info is not None
        assert b"".join(bucket.stream("big")) == data
        assert b"".join(bucket.stream("big", start=1_999_000, etag=info.etag)) == data[1_999_000:]
        with pytest.raises(Changed, match="big"):
            list(bucket.stream("big", etag="another"))
        with pytest.raises(NoSuchObject):
            list(bucket.stream("none"))

    def test_a_path_on_this_machine_is_told_only_where_the_object_lies_there(
        self, bucket: Bucket
    ) -> None:
        bucket.put("a/1.png", b"x")
        path = bucket.local_path("a/1.png")
        assert path is None or path.read_bytes() == b"x"

    def test_several_threads_may_use_one_bucket(self, bucket: Bucket) -> None:
        threads = [
            threading.Thread(target=bucket.put, args=(f"n/{number}", b"x" * number))
            for number in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {info.key: info.size for info in bucket.list()} == {f"n/{n}": n for n in range(16)}

    def test_an_object_over_the_limit_is_not_read(self, bucket: Bucket) -> None:
        bucket.put("a/bytes", b"12345")
        assert bucket.get("a/bytes", limit=5) == b"12345"
        with pytest.raises(TooLarge, match="a/bytes") as caught:
            bucket.get("a/bytes", limit=4)
        assert (caught.value.size, caught.value.limit) == (5, 4)

    def test_a_file_larger_than_one_part_comes_back_as_it_was_put(
        self, bucket: Bucket, tmp_path: Path
    ) -> None:
        file = tmp_path / "file.bin"
        file.write_bytes(bytes(range(256)) * 4096 * 9)  # 9 MiB
        bucket.put("big", file)
        bucket.get_to("big", tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == file.read_bytes()

    def test_putting_again_replaces_and_changes_the_etag(self, bucket: Bucket) -> None:
        bucket.put("key", b"one")
        before = bucket.head("key")
        bucket.put("key", b"three")
        after = bucket.head("key")
        assert before is not None
        assert after is not None
        assert before.etag != after.etag
        assert bucket.get("key") == b"three"

    @pytest.mark.parametrize(
        "key", ["a b+c~(1).png", "größe/ü.png", "100%/a%2Fb", "q?x=1&y", "a:b", "…/日本.png"]
    )
    def test_unusual_keys_are_kept_literally(self, bucket: Bucket, key: str) -> None:
        bucket.put(key, b"x")
        assert [info.key for info in bucket.list()] == [key]
        assert bucket.get(key) == b"x"

    @pytest.mark.parametrize("key", ["", "é" * 513, "a\ud800"])
    def test_what_no_store_can_hold_is_refused(self, bucket: Bucket, key: str) -> None:
        for act in (
            lambda: bucket.put(key, b"x"),
            lambda: bucket.get(key),
            lambda: bucket.head(key),
        ):
            with pytest.raises(InvalidKey):
                act()
        assert list(bucket.list()) == []

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_an_odd_key_is_kept_literally_or_refused(
        self, bucket: Bucket, key: str, tmp_path: Path
    ) -> None:
        """S3 takes any text; what takes keys for paths refuses those that are none."""
        bucket.put("x", b"plain")
        try:
            bucket.put(key, b"odd")
        except InvalidKey:
            for act in (
                lambda: bucket.get(key),
                lambda: bucket.head(key),
                lambda: bucket.get_to(key, tmp_path / "copy"),
                lambda: bucket.delete([key]),
            ):
                with pytest.raises(InvalidKey):
                    act()
            assert [info.key for info in bucket.list()] == ["x"]
            assert list(bucket.list(key)) == []
        else:
            file = tmp_path / "file"
            file.write_bytes(b"odd")
            bucket.put(key, file)
            info = bucket.head(key)
            assert info is not None
            assert (info.key, info.size, bucket.get(key)) == (key, 3, b"odd")
            bucket.get_to(key, tmp_path / "copy")
            assert (tmp_path / "copy").read_bytes() == b"odd"
            assert sorted(each.key for each in bucket.list()) == sorted(["x", key])
            assert [each.key for each in bucket.list(key)] == [key]
            with pytest.raises(TooLarge):
                bucket.get(key, limit=2)
            with pytest.raises(SourceGone):
                bucket.put(key, tmp_path / "absent")
            bucket.delete([key, "not there"])
            assert bucket.head(key) is None
            with pytest.raises(NoSuchObject):
                bucket.get(key)
        assert bucket.get("x") == b"plain"
        assert sorted(each.name for each in tmp_path.parent.glob("x")) == []

    def test_a_version_is_found_or_said_not_to_be(self, bucket: Bucket, tmp_path: Path) -> None:
        bucket.put("key", b"x")
        with suppress(NoVersions):
            assert bucket.head("key", version="none-such") is None
        with pytest.raises((NoVersions, NoSuchObject)):
            bucket.get_to("key", tmp_path / "copy", version="none-such")
        assert not (tmp_path / "copy").exists()

    def test_listing_takes_any_prefix(self, bucket: Bucket) -> None:
        for key in ("normal/1.png", "normal/2.png", "normal-old/1.png", "anomaly/1.png"):
            bucket.put(key, b"x")

        def keys(prefix: str) -> list[str]:
            return sorted(info.key for info in bucket.list(prefix))

        assert keys("normal/") == ["normal/1.png", "normal/2.png"]
        assert keys("normal") == ["normal-old/1.png", "normal/1.png", "normal/2.png"]
        assert keys("normal/2") == ["normal/2.png"]
        assert keys("nothing/") == []
        assert len(keys("")) == 4

    def test_listing_goes_over_pages(
        self, bucket: Bucket, tmp_path: Path, small_pages: None
    ) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"x")
        done: list[str] = []
        items = ((f"n/{i:04}", file) for i in range(25))
        bucket.put_many(items, on_done=lambda stored: done.append(stored.key))
        assert sorted(done) == [f"n/{i:04}" for i in range(25)]
        assert sorted(info.key for info in bucket.list("n/")) == sorted(done)
        bucket.delete(done)
        assert list(bucket.list()) == []

    def test_what_is_not_there_is_said_so(
        self, buckets: Buckets, bucket: Bucket, tmp_path: Path
    ) -> None:
        assert bucket.head("nothing") is None
        bucket.delete(["nothing"])
        with pytest.raises(NoSuchObject, match="parts-images/nothing"):
            bucket.get("nothing")
        with pytest.raises(NoSuchObject):
            bucket.get_to("nothing", tmp_path / "copy")
        assert not (tmp_path / "copy").exists()
        with pytest.raises(SourceGone):
            bucket.put("key", tmp_path / "absent")
        other = buckets.bucket("not-there")
        for act in (
            lambda: other.get("k"),
            lambda: other.put("k", b""),
            lambda: list(other.list()),
        ):
            with pytest.raises(NoSuchBucket, match="not-there"):
                act()
        assert not other.exists()

    def test_an_error_in_on_done_ends_the_transfer(self, bucket: Bucket, tmp_path: Path) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"x")
        taken = 0

        def items() -> Iterator[tuple[str, Path]]:
            nonlocal taken
            for number in range(10_000):
                taken += 1
                yield f"{number}", file

        def stop(_stored: Stored) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            bucket.put_many(items(), on_done=stop, jobs=4)
        assert taken <= 8
        assert threading.active_count() < 40

    def test_a_failed_transfer_names_its_object(self, bucket: Bucket, tmp_path: Path) -> None:
        with pytest.raises(InvalidKey, match="long"):
            bucket.put_many([("long" * 300, tmp_path)], on_done=lambda _: None)

    def test_another_process_can_reconnect(self, buckets: Buckets, bucket: Bucket) -> None:
        bucket.put("key", b"value")
        described = json.loads(json.dumps(buckets.describe()))
        assert "testing" not in json.dumps(described)
        assert self.reconnect(described).bucket(bucket.name).get("key") == b"value"
