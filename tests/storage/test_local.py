"""What is particular to buckets in a folder."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lfvpipe import atomic
from lfvpipe.storage import (
    AccessDenied,
    Bucket,
    Buckets,
    DiskFull,
    InvalidKey,
    StorageError,
    connect,
)
from tests.storage.conformance import ODD_KEYS, REGION, BucketsConformance


class TestLocalBuckets(BucketsConformance):
    @pytest.fixture
    def buckets(self, tmp_path: Path) -> Buckets:
        return connect("local", region=REGION, root=tmp_path / "buckets")

    @pytest.fixture
    def small_pages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("lfvpipe.storage.objects.PAGE", 10)


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    bucket = connect("local", region="us-east-1", root=tmp_path / "buckets").bucket("parts")
    bucket.create()
    return bucket


def test_objects_are_plain_files(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("normal/1.png", b"x")
    path = bucket.local_path("normal/1.png")
    assert path == tmp_path / "buckets" / "parts" / "normal" / "1.png"
    assert path.read_bytes() == b"x"


@pytest.mark.parametrize("name", ["..", "a/b", "A", "ab", "a..b", "", "x" * 64, "-ab"])
def test_a_bucket_name_cannot_lead_out_of_the_root(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidKey):
        connect("local", region="us-east-1", root=tmp_path).bucket(name)


@pytest.mark.parametrize(
    "key", [*ODD_KEYS, "a/", "a\0b", "a\nb", "a\\..\\b", "image.png#1", "x" * 300]
)
def test_keys_that_a_folder_cannot_hold_are_refused(bucket: Bucket, key: str) -> None:
    with pytest.raises(InvalidKey):
        bucket.put(key, b"x")


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_links_do_not_lead_out_of_the_bucket(bucket: Bucket, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    folder = tmp_path / "buckets" / "parts"
    (folder / "link").symlink_to(outside)
    (folder / "file").symlink_to(outside / "secret")
    for key in ("link/secret", "file"):
        with pytest.raises(AccessDenied, match="leads out"):
            bucket.get(key)
    with pytest.raises(AccessDenied):
        bucket.put("link/new", b"x")
    assert "link/secret" not in [info.key for info in bucket.list()]
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]


def test_a_file_in_the_way_of_a_bucket_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "buckets").write_text("")
    bucket = connect("local", region="us-east-1", root=tmp_path / "buckets").bucket("parts")
    with pytest.raises(StorageError, match="parts"):
        bucket.create()


def test_what_a_killed_transfer_left_is_no_object_and_does_not_keep_the_bucket(
    bucket: Bucket, tmp_path: Path
) -> None:
    folder = tmp_path / "buckets" / "parts" / "normal"
    folder.mkdir()
    (folder / "1.png#1").write_bytes(b"half")
    assert list(bucket.list()) == []
    bucket.put("normal/1.png", b"whole")
    assert bucket.get("normal/1.png") == b"whole"
    bucket.delete(["normal/1.png"])
    assert bucket.delete_if_empty()
    assert not bucket.exists()


def test_a_reader_never_sees_half_an_object(bucket: Bucket, tmp_path: Path) -> None:
    """The object's own name appears by a rename, when all bytes are there."""
    bucket.put("key", b"old")
    path = bucket.local_path("key")
    assert path is not None
    with path.open("rb") as reader:
        bucket.put("key", b"new and longer")
        assert reader.read() == b"old"
    assert [child.name for child in path.parent.iterdir()] == ["key"]


def test_a_full_disk_and_a_read_only_one_are_said_so(small_disk: Path) -> None:
    bucket = connect("local", region="us-east-1", root=small_disk).bucket("parts")
    bucket.create()
    with pytest.raises(DiskFull, match="No space"):
        bucket.put("big", bytes(2_000_000))
    assert list(bucket.list()) == []
    bucket.put("small", b"x")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(AccessDenied, match="denied"):
        bucket.put("more", b"x")


def test_the_face_imports_nothing_heavy() -> None:
    code = (
        "import sys, lfvpipe.storage as b; b.parse_s3_uri('s3://b/k');"
        "print(sorted({'boto3', 'botocore', 'obstore'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform != "linux", reason="what is synced is looked up in /proc")
def test_an_object_and_the_folders_on_its_way_are_on_the_disk(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, synced = os.fsync, []

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    bucket.put("a/b/c.json", b"{}")
    folder = tmp_path / "buckets" / "parts"
    # The file before it takes the place of the one that was there.
    assert str(synced[0]).startswith(f"{folder}/a/b/c.json#")
    assert synced[1:] == [folder / "a/b", folder / "a", folder]


def test_many_objects_are_synced_together(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(os, "sync"):
        pytest.skip("this platform cannot")
    seen: list[int] = []
    monkeypatch.setattr(os, "sync", lambda: seen.append(len(list(bucket.list()))))
    file = tmp_path / "file"
    file.write_bytes(b"x")
    bucket.put_many([(f"{number}.png", file) for number in range(5)], on_done=lambda *_: None)
    assert seen == [5]


def test_many_objects_are_synced_one_by_one_where_they_cannot_be_together(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr("lfvpipe.storage.local.CAN_SYNC_ALL", False)
    monkeypatch.setattr(atomic, "sync_file", synced.append)
    items = [("a/1.png", b"x"), ("a/2.png", b"y")]
    bucket.put_many(items, on_done=lambda _: None)
    assert len(synced) >= len(items)
    assert [bucket.get(key) for key, _ in items] == [b"x", b"y"]


def test_a_file_that_may_be_shared_takes_no_second_room(bucket: Bucket, tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.write_bytes(b"x")
    link.symlink_to(file)  # what it leads to may be edited in place
    bucket.put("taken.png", b"damaged")
    keys = ("shared.png", "a/b/shared.png", "taken.png")
    stored: list[tuple[str, int]] = []
    bucket.put_many(
        [*((key, file) for key in keys), ("linked.png", link)],
        on_done=lambda made: stored.append((made.key, made.size)),
        may_share=True,
    )
    bucket.put_many([("copied.png", file)], on_done=lambda _: None)
    folder = tmp_path / "buckets" / "parts"
    same = {key for key in (*keys, "linked.png", "copied.png") if (folder / key).samefile(file)}
    assert same == {"shared.png", "a/b/shared.png"}
    assert {bucket.get(key) for key in (*keys, "linked.png", "copied.png")} == {b"x"}
    assert sorted(stored) == [(key, 1) for key in sorted((*keys, "linked.png"))]
    bucket.delete(["shared.png"])
    assert file.read_bytes() == b"x"


def test_a_disk_without_second_names_gets_a_copy(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    file = tmp_path / "file"
    file.write_bytes(b"x")
    bucket.put_many([("a/1.png", file)], on_done=lambda _: None, may_share=True)
    assert bucket.get("a/1.png") == b"x"
    assert not (tmp_path / "buckets" / "parts" / "a/1.png").samefile(file)
