"""What is kept of detected images: how much, in which order it goes, and what damage does."""

from __future__ import annotations

import json
import os
import stat
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lfvpipe.dataset.kept import Bounds, KeptVerdict, Store, digest_of, store_of

if TYPE_CHECKING:
    from pathlib import Path


def verdict(data: bytes, path: str | None = None, confidence: float = 0.9) -> KeptVerdict:
    return KeptVerdict(
        sha256=digest_of(data),
        name="x.png",
        path=path,
        width=64,
        height=64,
        is_anomalous=True,
        confidence=confidence,
        model="1",
        when="2026-11-28T00:00:00Z",
        anomalies=(("dent", 0.5),),
    )


def held(store: Store) -> list[bytes]:
    """Return the images of the store's verdicts, oldest first."""
    return [store.image(each).read_bytes() for each in store.read() if each.path is None]


def test_the_newest_verdict_on_a_photograph_is_the_only_one_and_knows_its_place(
    tmp_path: Path,
) -> None:
    store = store_of(tmp_path, "us-east-1", "p")
    store.keep(verdict(b"a", "/a.png"))
    store.keep(verdict(b"b", "/b.png"))
    store.keep(verdict(b"a", "/a.png", 0.6))
    found = store.read()
    assert [(each.path, each.confidence) for each in found] == [("/b.png", 0.9), ("/a.png", 0.6)]
    assert found[1].anomalies == (("dent", 0.5),)


def test_beyond_the_number_the_oldest_verdicts_go_with_their_images(tmp_path: Path) -> None:
    store = store_of(tmp_path, "us-east-1", "p", Bounds(verdicts=10))
    for number in range(12):
        store.keep(verdict(b"%d" % number), b"%d" % number)
    assert held(store) == [b"%d" % number for number in range(2, 12)]
    for number in range(600):  # as much as makes it look at what is beyond
        store.keep(verdict(b"%d" % number), b"%d" % number)
    there = {each.read_bytes() for each in (store.folder / "images").iterdir()}
    assert len(there) < 300
    assert there >= {b"%d" % number for number in range(590, 600)}


def test_beyond_the_bytes_the_oldest_images_go_and_what_lies_elsewhere_stays(
    tmp_path: Path,
) -> None:
    store = store_of(tmp_path, "us-east-1", "p", Bounds(bytes=1000))
    photograph = tmp_path / "mine.png"
    photograph.write_bytes(b"mine")
    store.keep(verdict(b"mine", str(photograph)))
    for number in range(30):
        data = b"%099d" % number
        store.keep(verdict(data), data)
        sizes = [each.stat().st_size for each in (store.folder / "images").iterdir()]
        assert sum(sizes) <= 1000
    numbers = list(map(int, held(store)))
    assert len(numbers) >= 8
    assert numbers == list(range(30 - len(numbers), 30))
    assert store.read()[0].path == str(photograph)
    assert photograph.read_bytes() == b"mine"


def test_a_line_that_is_cut_short_or_of_somebody_else_says_nothing(tmp_path: Path) -> None:
    store = store_of(tmp_path, "us-east-1", "p")
    store.keep(verdict(b"a", "/a.png"))
    file = store.folder / "verdicts.jsonl"
    whole = json.loads(file.read_text())
    hostile = [
        {**whole, "sha256": "../../../etc/passwd"},
        {**whole, "sha256": "0" * 63 + "/"},
        {**whole, "name": 7},
        {**whole, "unknown": 1},
        {**whole, "confidence": "high"},
        [],
        7,
    ]
    with file.open("a") as stream:
        stream.writelines(f"{json.dumps(each)}\n" for each in hostile)
        stream.write('{"sha256": "12')
    store.keep(verdict(b"b", "/b.png"))
    assert [each.path for each in store.read()] == ["/a.png", "/b.png"]


def test_verdicts_of_many_threads_are_all_kept(tmp_path: Path) -> None:
    store = store_of(tmp_path, "us-east-1", "p")

    def keep(first: int) -> None:
        for number in range(first, first + 20):
            store.keep(replace(verdict(b"%d" % number), name="y"), b"%d" % number)

    threads = [threading.Thread(target=keep, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(held(store)) == 80


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")
@pytest.mark.parametrize(("mode", "others"), [(0o755, 0), (0o2770, 0o070)])
def test_what_is_kept_is_its_users_unless_a_group_shares_the_state(
    tmp_path: Path, mode: int, others: int
) -> None:
    root = tmp_path / "state"
    root.mkdir()
    root.chmod(mode)
    before = os.umask(0o007)
    try:
        store_of(root, "us-east-1", "p").keep(verdict(b"a"), b"a")
    finally:
        os.umask(before)
    found = list((root / "kept").rglob("*"))
    assert len(found) == 6
    for each in found:
        least = others & (0o060 if each.is_file() else 0o070)
        assert stat.S_IMODE(each.stat().st_mode) & 0o077 == least, each
