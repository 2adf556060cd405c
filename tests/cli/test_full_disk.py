"""A disk that is full, fails or forbids, at each kind of file that a run writes.

Each kind is refused in one of the ways, by turns; in all of them with ``LFVPIPE_CRASH_EVERY=1``.
"""

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


WAYS = (errno.ENOSPC, errno.EIO, errno.EACCES)


@pytest.mark.parametrize("way", range(len(WAYS)), ids=[errno.errorcode[each] for each in WAYS])
def test_no_refusal_of_the_disk_is_called_a_bug_and_a_rerun_finishes(
    way: int, project: Path, lfvpipe: Call
) -> None:
    text = project.read_text().replace("sample: {percent: 40}", "sample: {count: 5}")
    project.write_text(text)
    error = WAYS[way]
    state = project.parent / ".lfvpipe"
    with watching(Disk(project.parent)) as disk:
        assert lfvpipe("run", project, "--until", "datasets").code == 0
    assert len(disk.seen) > 20
    is_all = os.environ.get("LFVPIPE_CRASH_EVERY") == "1"
    for kind in disk.seen if is_all else disk.seen[way :: len(WAYS)]:
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
