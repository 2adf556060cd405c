"""Files written whole: who may read them, and which of them a kill left."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lfvpipe import atomic

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")


@pytest.fixture(params=[0o022, 0o027, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    mask: int = request.param
    before = os.umask(mask)
    yield mask
    os.umask(before)


def _mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def test_who_may_read_a_file_is_what_the_umask_says(tmp_path: Path, umask: int) -> None:
    for _ in ("new", "replaced"):
        atomic.write_text(tmp_path / "report.html", "for people")
        assert _mode(tmp_path / "report.html") == 0o666 & ~umask


def test_a_secret_is_for_its_owner_from_its_first_byte(tmp_path: Path, umask: int) -> None:
    with atomic.replacing(tmp_path / "key", secret=True) as file:
        (being_written,) = tmp_path.iterdir()
        assert _mode(being_written) == 0o600
        file.write(b"secret")
    assert _mode(tmp_path / "key") == 0o600


HALF_WRITTEN = """
import sys, threading
from pathlib import Path
from lfvpipe import atomic
with atomic.replacing(Path(sys.argv[1])) as file:
    print("writing", flush=True)
    threading.Event().wait()
"""


def test_a_file_is_abandoned_when_its_writer_is_dead_and_not_before(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HALF_WRITTEN, str(tmp_path / "sub" / "report.html")]
    environment = {**os.environ, "PYTHONPATH": str(Path(atomic.__file__).parents[1])}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "writing\n"
        (staged,) = (tmp_path / "sub").iterdir()
        assert list(atomic.abandoned_files(tmp_path)) == []
        child.kill()
        child.wait()
    assert list(atomic.abandoned_files(tmp_path)) == [staged]


def test_a_file_taken_for_abandoned_as_it_is_made_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who looks for such files may find it after it is made and before it is locked."""
    import fcntl

    lock = fcntl.flock
    taken: list[Path] = []

    def late(descriptor: int, operation: int) -> None:
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    atomic.write_text(tmp_path / "report.html", "for people")
    assert (tmp_path / "report.html").read_text() == "for people"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_system_without_locks_can_be_written_and_nothing_there_is_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import fcntl

    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    atomic.write_text(tmp_path / "report.html", "for people")
    (tmp_path / atomic.temporary_name("report.html")).write_text("half")
    assert list(atomic.abandoned_files(tmp_path)) == []
