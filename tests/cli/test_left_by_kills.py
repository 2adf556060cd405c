"""What killed commands leave is removed by the next one, by `doctor`, and by `destroy`."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe import atomic
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks of this kind are POSIX's")

STAGED = "#18446744073709551615"


@pytest.fixture
def left(prepared: Path) -> list[Path]:
    """Return files that killed commands left of every kind, and a note of the lock's holder."""
    root = prepared.parent / ".lfvpipe"
    places = [
        root / "known-valid.json",
        root / "pipeline" / "ledger.json",
        root / "pipeline" / "report.html",
        root / "pipeline" / "runs" / "20260101T000000Z-00000000.html",
        root / "pipeline" / "selection" / "lines.jsonl",
        root / "pipeline" / "images" / "normal" / "7.png",
        root / "cache" / "ab" / "entry.json",
        root / "service" / "models" / "1" / "model.lfv",
    ]
    files = [place.with_name(atomic.temporary_name(place.name)) for place in places]
    files.append(root / "buckets" / "pipeline" / "normal" / f"7.png{STAGED}")
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"half")
    note = {"pid": 1, "host": "here", "since": "2026-01-01T00:00:00Z", "command": "lfvpipe run"}
    (root / "pipeline" / "lock.json").write_text(json.dumps(note))
    return files


@pytest.mark.parametrize(
    "words", [("run", "--until", "select"), ("doctor", "--repair"), ("destroy", "--yes")]
)
def test_it_is_removed_by_whoever_holds_the_lock_next(
    prepared: Path, left: list[Path], lfvpipe: Any, words: tuple[str, ...]
) -> None:
    mine = prepared.parent / ".lfvpipe" / "buckets" / "pipeline" / ".x.0123456789abcdef.tmp"
    mine.write_bytes(b"an object")
    lfvpipe(words[0], prepared, *words[1:])
    assert [file for file in left if file.exists()] == []
    assert mine.exists()  # objects are called as their owners like


def test_what_is_being_written_stays(prepared: Path, left: list[Path], lfvpipe: Any) -> None:
    with atomic.replacing(left[2].with_name("other.html")) as file:
        file.write(b"whole")
        assert lfvpipe("run", prepared, "--until", "select").code == 0
    assert left[2].with_name("other.html").read_bytes() == b"whole"
    assert not left[2].exists()


def test_doctor_and_destroy_need_no_note_of_a_kill(
    prepared: Path, left: list[Path], lfvpipe: Any
) -> None:
    (prepared.parent / ".lfvpipe" / "pipeline" / "lock.json").unlink()
    said = lfvpipe("doctor", prepared, "--json")
    assert said.code == 2
    assert len(said.json["complaints"]) == len(left)
    removed = lfvpipe("destroy", prepared, "--yes", "--json").json["removed"]
    assert {str(file) for file in left if "images" not in file.parts} <= set(removed)


def test_images_of_an_extraction_that_did_not_finish_are_destroyed(
    prepared: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lfvpipe.steps.extract import extraction

    shutil.rmtree(prepared.parent / ".lfvpipe")
    write_index = extraction._write_index

    def fail(*_: Any) -> Any:
        raise UserError("No.")

    monkeypatch.setattr(extraction, "_write_index", fail)
    assert lfvpipe("run", prepared, "--until", "extract").code == 1
    images = prepared.parent / ".lfvpipe" / "pipeline" / "images"
    assert any(images.rglob("*.png"))
    monkeypatch.setattr(extraction, "_write_index", write_index)
    removed = lfvpipe("destroy", prepared, "--yes", "--json").json["removed"]
    assert str(images) in removed
    assert not images.exists()
