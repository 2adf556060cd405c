"""Sources that lie on this machine: identified by content, looked at by stat."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lfvpipe.dataset.sources import Source
from lfvpipe.engine.inputs import flatten
from lfvpipe.errors import UserError
from lfvpipe.steps.context import Context
from lfvpipe.steps.fetch import FetchOutcome, FetchStep
from lfvpipe.storage import digests

HOUR_NS = 3_600_000_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for name in ("1.png", "2.png", "deep/er/3.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note which files are read."""
    read: list[str] = []
    original = digests._hash

    def noted(path: Path) -> digests.Entry:
        read.append(path.name)
        return original(path)

    monkeypatch.setattr(digests, "_hash", noted)
    return read


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files that the test has written count as written an hour ago."""
    original = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: original() + HOUR_NS)


def step(path: Path, **more: Any) -> FetchStep:
    return FetchStep(Source("normal", "sources.normal.archive", str(path), **more))


def the_digest(path: Path, context: Context) -> Any:
    return flatten(step(path).inputs(context))[f"file:{path}"]


def test_a_file_is_identified_by_its_content(tmp_path: Path, context: Context, work: Any) -> None:
    file = tmp_path / "a.zip"
    file.write_bytes(b"PK")
    sha256 = hashlib.sha256(b"PK").hexdigest()
    assert the_digest(file, context) == sha256
    outcome = step(file).act(context, work)
    assert FetchOutcome.from_json(outcome.facts).location(context) == file
    assert outcome.word == "found"
    assert outcome.identity == {"sha256": sha256}
    assert outcome.facts["kind"] == "file"
    work.previous = outcome
    assert step(file).act(context, work).word == "unchanged"
    file.write_bytes(b"PK2")
    assert step(file).act(context, work).word == "updated"


def test_a_second_look_reads_nothing(
    folder: Path, context: Context, reads: list[str], later: None
) -> None:
    first = the_digest(folder, context)
    assert sorted(reads) == ["1.png", "2.png", "3.png"]
    reads.clear()
    assert the_digest(folder, context) == first
    assert reads == []


def test_a_touch_is_no_change_but_new_content_is(
    folder: Path, context: Context, reads: list[str], later: None
) -> None:
    first = the_digest(folder, context)
    reads.clear()
    os.utime(folder / "1.png", ns=(1, 1))
    assert the_digest(folder, context) == first
    assert reads == ["1.png"]
    (folder / "2.png").write_bytes(b"other")
    second = the_digest(folder, context)
    assert second != first
    (folder / "2.png").write_bytes(b"2.png")
    assert the_digest(folder, context) == first


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_change_within_the_tick_of_the_hashing_is_seen(
    folder: Path, context: Context, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stat of both versions is the same, as on a file system with a slow clock."""
    file = folder / "1.png"
    source = file if kind == "file" else folder
    status = file.stat()
    monkeypatch.setattr(time, "time_ns", lambda: status.st_ctime_ns + 1)
    first = the_digest(source, context)
    file.write_bytes(b"X.png")  # the same size
    index = context.state_dir / "fetch" / "normal.json"
    now, before = file.stat(), f"{status.st_mtime_ns},{status.st_ctime_ns}"
    said = index.read_text().replace(before, f"{now.st_mtime_ns},{now.st_ctime_ns}")
    index.write_text(said)
    assert the_digest(source, context) != first


@pytest.mark.parametrize("change", ["add", "remove", "rename"])
def test_a_folder_with_other_files_is_another_one(
    folder: Path, context: Context, change: str
) -> None:
    first = the_digest(folder, context)
    if change == "add":
        (folder / "4.png").write_bytes(b"4")
    elif change == "remove":
        (folder / "1.png").unlink()
    else:
        (folder / "1.png").rename(folder / "0.png")
    assert the_digest(folder, context) != first


def test_junk_does_not_count(folder: Path, context: Context, work: Any) -> None:
    first = the_digest(folder, context)
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "1.png").write_bytes(b"x")
    (folder / ".lfvpipe").mkdir()
    (folder / ".lfvpipe" / "copy.png").write_bytes(b"x")
    assert the_digest(folder, context) == first
    assert step(folder).act(context, work).facts["size"] == 5 + 5 + 13


def test_a_damaged_index_is_only_a_cache(folder: Path, context: Context) -> None:
    first = the_digest(folder, context)
    index = context.state_dir / "fetch" / "normal.json"
    for damage in ("", "[]", "{", '{"format": 99}'):
        index.write_text(damage)
        assert the_digest(folder, context) == first


def test_a_missing_source_is_named_with_what_is_near(
    tmp_path: Path, context: Context, work: Any
) -> None:
    (tmp_path / "Class3.zip").write_bytes(b"PK")
    missing = tmp_path / "Clas3.zip"
    assert the_digest(missing, context) is None
    with pytest.raises(UserError, match=r"Clas3\.zip does not exist") as raised:
        step(missing).act(context, work)
    assert "Class3.zip" in raised.value.hint
    with pytest.raises(UserError, match="nor does its folder"):
        step(tmp_path / "nowhere" / "a.zip").act(context, work)


def test_a_wrong_digest_names_both(tmp_path: Path, context: Context, work: Any) -> None:
    file = tmp_path / "a.zip"
    file.write_bytes(b"PK")
    sha256 = hashlib.sha256(b"PK").hexdigest()
    with pytest.raises(UserError, match=f"{sha256}, not {'0' * 64}"):
        step(file, sha256="0" * 64).act(context, work)
    assert step(file, sha256=sha256.upper()).act(context, work).word == "found"


def test_linked_folders_belong_to_a_folder_and_one_that_holds_itself_ends(
    folder: Path, context: Context, tmp_path: Path
) -> None:
    first = the_digest(folder, context)
    far = tmp_path / "far"
    far.mkdir()
    (far / "9.png").write_bytes(b"nine")
    try:
        (folder / "deep" / "loop").symlink_to(folder)
    except OSError:
        pytest.skip("links need a privilege here")
    assert the_digest(folder, context) == first
    (folder / "more").symlink_to(far)
    second = the_digest(folder, context)
    assert second != first
    (far / "9.png").write_bytes(b"changed")
    assert the_digest(folder, context) not in (first, second)


def test_a_link_to_itself_is_told_as_one_to_take_away(
    folder: Path, context: Context, work: Any
) -> None:
    try:
        (folder / "loop.png").symlink_to("loop.png")
    except OSError:
        pytest.skip("links need a privilege here")
    with pytest.raises(UserError, match=r"loop\.png leads nowhere") as caught:
        step(folder).act(context, work)
    assert "take one away" in caught.value.hint
    assert "failed" not in caught.value.message


def test_looking_at_inputs_imports_nothing_heavy(folder: Path, context: Context) -> None:
    code = f"""
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from lfvpipe.dataset.sources import Source
from lfvpipe.steps.fetch import FetchStep
from lfvpipe.steps import bucket
from lfvpipe.steps.upload import step as upload
context = SimpleNamespace(state_dir=Path({str(context.state_dir)!r}))
FetchStep(Source("normal", "k", {str(folder)!r})).inputs(context)
heavy = {{"boto3", "botocore", "obstore", "httpx", "urllib3", "numpy", "PIL", "filelock"}}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_many_files_are_hashed_and_remembered(
    tmp_path: Path,
    context: Context,
    monkeypatch: pytest.MonkeyPatch,
    reads: list[str],
    later: None,
) -> None:
    """An interrupted first look keeps what it has hashed."""
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}.png").write_bytes(bytes([number]))
    monkeypatch.setattr(digests, "_SAVE_EVERY", 10)
    hashed: list[Path] = []
    original = digests._hash

    def failing(path: Path) -> digests.Entry:
        if len(hashed) == 30:
            raise KeyboardInterrupt
        hashed.append(path)
        return original(path)

    with monkeypatch.context() as patch:
        patch.setattr(digests, "_hash", failing)
        patch.setattr(os, "cpu_count", lambda: 1)
        with pytest.raises(KeyboardInterrupt):
            the_digest(folder, context)
    reads.clear()
    the_digest(folder, context)
    assert 10 <= len(reads) <= 20
