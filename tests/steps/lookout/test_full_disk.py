"""A disk that is full or fails, at each kind of file that the steps from `project` on write.

Each kind is refused in one of the ways, by turns; in both of them with ``LFVPIPE_CRASH_EVERY=1``.
"""

import errno
import os
import shutil
from typing import Any

import pytest

from lfvpipe.errors import UserError
from tests.faults import Disk, watching

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("way", [0, 1], ids=["ENOSPC", "EIO"])
def test_every_refusal_is_the_users_matter_and_a_rerun_finishes(way: int, world: Any) -> None:
    error = (errno.ENOSPC, errno.EIO)[way]
    root = world.root / ".lfvpipe"
    with watching(Disk(root)) as disk:
        assert not any(row.error for row in world.run().rows)
    mine = [kind for kind in disk.seen if not any(part in kind for part in ("ledger", "buckets"))]
    assert any("report.html" in kind for kind in mine)
    assert any("verdicts" in kind for kind in mine)
    is_all = os.environ.get("LFVPIPE_CRASH_EVERY") == "1"
    for kind in mine if is_all else mine[way::2]:
        shutil.rmtree(root)
        world.service.projects.clear()
        world.service.tokens.clear()
        with watching(Disk(root, kind, error)) as refusing:
            told = _told(world)
        assert refusing.hits, kind
        for message in told:
            assert os.strerror(error) in message, kind
            assert str(root) in message, kind
        assert not any(row.error for row in world.run().rows), kind


def _told(world: Any) -> list[str]:
    """Run, and return what the user is told; a bug is raised."""
    try:
        rows = world.run().rows
    except UserError as error:  # of the ledger
        return [error.message]
    return [row.error.message for row in rows if row.error is not None]
