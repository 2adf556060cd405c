"""File systems that refuse to sync or to lock, as SMB, FUSE and NFS may."""

import errno
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workshop import Said

Call = Callable[..., Said]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="folders are not synced there")


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
@pytest.mark.parametrize("which", ["folders", "all"])
def test_a_file_system_that_refuses_to_sync_is_good_enough(
    which: str, code: int, project: Path, lfvpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync, refused = os.fsync, []

    def fsync(descriptor: int) -> None:
        if which == "all" or stat.S_ISDIR(os.fstat(descriptor).st_mode):
            refused.append(descriptor)
            raise OSError(code, os.strerror(code))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    said = lfvpipe("run", project, "--until", "manifests")
    assert said.code == 0, said.err
    assert refused


def test_a_file_system_without_locks_is_told(
    project: Path, lfvpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", flock)
    said = lfvpipe("run", project)
    assert said.code == 1
    assert os.strerror(errno.ENOLCK) in said.err
    assert "mount it with locks" in said.err
    assert "--state-dir" in said.err
    assert "Free some space" not in said.err
