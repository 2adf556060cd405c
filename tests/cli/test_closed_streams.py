"""Standard streams that are closed, as in a daemon, under pythonw, or by a careless parent."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.workshop import command, environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell closes them")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "<&- 2>&-"])
def test_closed_streams_change_nothing(project: Path, closed: str) -> None:
    for words in (("run", project.name, "--until", "check"), ("status", project.name)):
        line = f'exec "$@" {closed}'
        done = subprocess.run(
            ["sh", "-c", line, "sh", *command(*words)],
            cwd=project.parent,
            env=environment(),
            capture_output=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
    state = project.parent / ".lfvpipe"
    assert list(state.rglob("*crash*")) == []
    for file in state.rglob("*.json"):  # nothing that was printed went into a file of the state
        assert file.read_bytes()[:1] in (b"{", b"["), file
