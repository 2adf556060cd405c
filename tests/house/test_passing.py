"""Passing folders: gone when their block ends, and when their process was killed."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lfvpipe.passing import passing_folder
from tests.workshop import environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks of this kind are POSIX's")

HOLDS = """
import threading
from lfvpipe.passing import passing_folder
with passing_folder() as folder:
    (folder / "inner").write_bytes(b"half")
    print(folder, flush=True)
    threading.Event().wait()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_a_folder_is_removed_when_its_block_ends(place: Path) -> None:
    with passing_folder() as folder:
        (folder / "inner").write_bytes(b"whole")
    assert list(place.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_and_what_lives_stays(place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS], env=environment(), stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        left = Path(child.stdout.readline().strip())
        with passing_folder() as ours, passing_folder():
            assert (left / "inner").read_bytes() == b"half"
            assert ours.is_dir()
        child.kill()
        child.wait()
    with passing_folder():
        assert not left.exists()
