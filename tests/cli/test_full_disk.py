"""A disk that is full, fails or forbids, at each kind of file that a run writes."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import Disk, watching
from tests.workshop import Said

pytestmark = pytest.mark.slow

Call = Callable[..., Said]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EACCES], ids=errno.errorcode.get)
def test_no_refusal_of_the_disk_is_called_a_bug_and_a_rerun_finishes(
    error: int, project: Path, lfvpipe: Call
) -> None:
    state = project.parent / ".lfvpipe"
    with watching(Disk(project.parent)) as disk:
        assert lfvpipe("run", project, "--until", "datasets").code == 0
    assert len(disk.seen) > 20
    for kind in disk.seen:
        shutil.rmtree(state)
        with watching(Disk(project.parent, kind, error)) as refusing:
            said = lfvpipe("run", project, "--until", "datasets")
        assert refusing.hits, kind
        assert "bug" not in said.err, (kind, said.err)
        assert "Traceback" not in said.err, (kind, said.err)
        if said.code:
            assert _is_told(said, error), (kind, said.out, said.err)
        again = lfvpipe("run", project, "--until", "datasets")
        assert again.code == 0, (kind, again.err)


def _is_told(said: Said, error: int) -> bool:
    return os.strerror(error) in said.out + said.err or "denied" in said.err
