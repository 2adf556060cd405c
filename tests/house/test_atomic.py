"""Files written whole: who may read them."""

import os
import stat
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
