"""One run at a time, and a message that says whose turn it is."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from lfvpipe.engine.lock import Holder, Locked, current_holder, hold, noted_holder
from lfvpipe.errors import UserError

ROOT = Path(__file__).parents[2]
HOLDS = """
import sys, threading
from pathlib import Path
from lfvpipe.engine.lock import hold
with hold(Path(sys.argv[1]), "lfvpipe run other.yaml"):
    print("held", flush=True)
    threading.Event().wait()
"""


def other_process(folder: Path) -> "subprocess.Popen[str]":
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def test_a_second_run_learns_who_holds_the_lock_and_a_kill_frees_it(tmp_path: Path) -> None:
    with other_process(tmp_path) as child:
        with pytest.raises(Locked) as locked, hold(tmp_path, "lfvpipe run"):
            pass
        child.kill()
        child.wait()
    said = str(locked.value)
    assert locked.value.exit_code == 4
    assert f"`lfvpipe run other.yaml` (pid {child.pid} on " in said
    assert "since 20" in said
    with hold(tmp_path, "lfvpipe run"):
        note = json.loads((tmp_path / "lock.json").read_text())
        assert (note["pid"], note["command"]) == (os.getpid(), "lfvpipe run")
    assert noted_holder(tmp_path) is None


def test_waiting_says_so_and_gets_the_lock_in_the_end(tmp_path: Path) -> None:
    waiting, got = threading.Event(), threading.Event()
    waited_for: list[Holder | None] = []

    def on_wait(who: Holder | None) -> None:
        waited_for.append(who)
        waiting.set()

    def second() -> None:
        with hold(tmp_path, "second", 60, on_wait=on_wait):
            got.set()

    with hold(tmp_path, "first"):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(60)
        assert not got.is_set()
    thread.join(60)
    assert got.is_set()
    assert [who and who.command for who in waited_for] == ["first"]


def test_who_is_at_work_is_known_only_while_it_is(tmp_path: Path) -> None:
    assert current_holder(tmp_path) is None
    with other_process(tmp_path) as child:
        who = current_holder(tmp_path)
        assert who is not None
        assert who.pid == child.pid
        child.kill()
        child.wait()
    assert noted_holder(tmp_path) is not None  # the note that the killed holder left
    assert current_holder(tmp_path) is None


def test_two_holders_in_one_process_exclude_each_other(tmp_path: Path) -> None:
    with hold(tmp_path, "first"), pytest.raises(Locked), hold(tmp_path, "second", 0.3):
        pass


def test_the_lock_is_free_after_an_error_in_the_block(tmp_path: Path) -> None:
    with pytest.raises(KeyError), hold(tmp_path, "first"):
        raise KeyError
    with hold(tmp_path / "made" / "on the way", "second"):
        pass
    with hold(tmp_path, "third"):
        pass


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"), hold(tmp_path / "file" / "x", "run"):
        pass


def test_a_note_that_cannot_be_written_frees_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(UserError, match="No space left"), hold(tmp_path, "run"):
            pass
    with hold(tmp_path, "again"):
        pass
