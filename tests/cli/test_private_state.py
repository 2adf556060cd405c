"""The state is its user's alone: folders 0700, files 0600, whoever makes them."""

import os
import stat
import zipfile
from collections.abc import Callable, Iterator
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


@pytest.fixture
def umask() -> Iterator[int]:
    """The usual umask, under which others may read."""
    before = os.umask(0o022)
    yield 0o022
    os.umask(before)


READING = ["plan", "status", "graph", "validate", "doctor", "report", "history", "compare"]


@pytest.mark.parametrize("command", READING)
def test_all_that_a_first_look_makes_is_its_users(
    project: Path, lfvpipe: Call, command: str, umask: int
) -> None:
    lfvpipe(command, project)
    state = project.parent / ".lfvpipe"
    if state.exists():
        assert open_to_others(state) == []


def test_what_init_writes_into_the_state_is_its_users(
    project: Path, lfvpipe: Call, umask: int
) -> None:
    good, bad = project.with_name("Texture.zip"), project.with_name("Texture_def.zip")
    written = project.with_name("another.yaml")
    assert lfvpipe("init", good, bad, "--output", written).code == 0
    assert open_to_others(project.parent / ".lfvpipe") == []
    assert stat.S_IMODE(written.stat().st_mode) == 0o644
    assert "note:" not in lfvpipe("validate", written).err


@pytest.mark.parametrize("command", ["status", "run --until select", "destroy --yes"])
def test_a_state_that_others_could_see_is_closed_and_told(
    project: Path, lfvpipe: Call, command: str, umask: int
) -> None:
    assert lfvpipe("run", project, "--until", "select").code == 0
    state = project.parent / ".lfvpipe"
    for each in [state, *state.rglob("*")]:
        each.chmod(0o755 if each.is_dir() else 0o644)
    name, *words = command.split()
    said = lfvpipe(name, project, *words)
    assert open_to_others(state) == []
    assert f"note: {state}: others could look into it" in said.err
    assert "others could" not in lfvpipe("status", project).err


def test_a_look_into_a_closed_state_leaves_its_files_closed(
    project: Path, lfvpipe: Call, umask: int
) -> None:
    assert lfvpipe("run", project, "--until", "select").code == 0
    for command in READING:
        project.write_text(project.read_text() + "\n")
        lfvpipe(command, project)
        assert open_to_others(project.parent / ".lfvpipe") == [], command


@pytest.mark.slow
def test_all_that_a_training_makes_is_its_users(trained: tuple[Path, Said]) -> None:
    state = trained[0].parent / ".lfvpipe"
    assert [*state.glob("service/models/*/*")]
    assert open_to_others(state) == []


def test_a_folder_that_a_group_shares_stays_shared(
    project: Path, lfvpipe: Call, umask: int
) -> None:
    state = project.parent / ".lfvpipe"
    state.mkdir()
    state.chmod(0o2770)
    assert lfvpipe("run", project, "--until", "select").code == 0
    assert stat.S_IMODE(state.stat().st_mode) == 0o2770
    index = next(state.glob("pipeline/selection/*"))
    assert stat.S_IMODE(index.stat().st_mode) == 0o666 & ~umask


def test_of_a_folder_with_other_things_only_the_state_is_closed(
    project: Path, lfvpipe: Call, umask: int
) -> None:
    home = project.parent / "home"
    (home / "mine").mkdir(parents=True)
    (home / "mine" / "letter").write_text("")
    assert lfvpipe("run", project, "--until", "select", "--state-dir", home).code == 0
    for each in (home / "pipeline").rglob("*"):
        each.chmod(0o755)
    (home / "pipeline").chmod(0o755)
    lfvpipe("status", project, "--state-dir", home)
    assert open_to_others(home / "pipeline") == []
    seen = [home, home / "mine", home / "mine" / "letter"]
    assert [stat.S_IMODE(each.stat().st_mode) for each in seen] == [0o755, 0o755, 0o644]


@pytest.mark.slow
def test_what_is_written_elsewhere_is_as_the_umask_has_it(
    trained: tuple[Path, Said], lfvpipe: Call, umask: int, tmp_path: Path
) -> None:
    image, pictures = tmp_path / "a.png", tmp_path / "heat" / "maps"
    with zipfile.ZipFile(trained[0].parent / "Texture.zip") as archive:
        image.write_bytes(archive.read("Texture/7.png"))
    assert lfvpipe("detect", trained[0], image, "--heat-maps", pictures).code == 0
    made = [pictures.parent, pictures, *pictures.rglob("*.png")]
    assert [stat.S_IMODE(each.stat().st_mode) for each in made] == [0o755, 0o755, 0o644]


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
