"""The state is its user's alone: folders 0700, files 0600, whoever makes them."""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.workshop import Said

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes are POSIX")

Call = Callable[..., Said]


def open_to_others(root: Path) -> list[str]:
    """Return what others may do with a folder and with all that is in it."""
    found = [root, *root.rglob("*")]
    modes = {each: stat.S_IMODE(each.stat().st_mode) for each in found}
    return [f"{mode:o} {each}" for each, mode in modes.items() if mode & 0o077]


def test_all_that_a_run_makes_is_its_users(project: Path, lfvpipe: Call) -> None:
    assert lfvpipe("run", project, "--until", "datasets").code == 0
    state = project.parent / ".lfvpipe"
    assert {each.name for each in state.iterdir()} >= {"buckets", "pipeline", "service"}
    assert open_to_others(state) == []


@pytest.mark.parametrize("command", ["plan", "status", "graph"])
def test_all_that_a_first_look_makes_is_its_users(
    project: Path, lfvpipe: Call, command: str
) -> None:
    before = os.umask(0o022)
    try:
        lfvpipe(command, project)
    finally:
        os.umask(before)
    state = project.parent / ".lfvpipe"
    assert [*state.rglob("*.json")]
    assert open_to_others(state) == []


@pytest.mark.slow
def test_all_that_a_training_makes_is_its_users(trained: tuple[Path, Said]) -> None:
    state = trained[0].parent / ".lfvpipe"
    assert [*state.glob("service/models/*/*")]
    assert open_to_others(state) == []


def test_a_folder_that_is_shared_stays_shared(project: Path, lfvpipe: Call) -> None:
    state = project.parent / ".lfvpipe"
    state.mkdir(mode=0o755)
    assert lfvpipe("run", project, "--until", "select").code == 0
    mask = os.umask(0o022)
    os.umask(mask)
    index = next(state.glob("pipeline/selection/*"))
    assert stat.S_IMODE(index.stat().st_mode) == 0o666 & ~mask


def test_what_a_run_makes_leaves_the_umask_as_it_was(project: Path, lfvpipe: Call) -> None:
    before = os.umask(0o027)
    try:
        lfvpipe("run", project, "--until", "select")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(before)


def test_all_that_a_server_makes_is_its_users(tmp_path: Path, started: Any) -> None:
    state = tmp_path / "state"
    words = ["serve", "--port", "0", "--no-auth", "--state-dir", state]
    with started(*words) as server:
        assert "http" in server.stdout.readline()
        server.terminate()
    assert [*state.rglob("*.db")] or [*state.iterdir()]
    assert open_to_others(state) == []
