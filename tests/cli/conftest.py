"""A small project on disk, and the command line called as a user would."""

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lfvpipe.cli.main import main
from tests import workshop
from tests.workshop import ROOT, Said

DATA = ROOT / "pipelines" / "data"

PIPELINE = """\
sources:
  normal: {archive: Texture.zip}
  anomaly: {archive: Texture_def.zip}
sample: {percent: 40}
split: {train: 60, test: 40}
evaluate: {images: [Texture/7.png]}
"""

# Four labelled anomalies to train on: from five on networks learn, which takes ten times as long.
SMALL = """\
sources:
  normal: {archive: Texture.zip}
  anomaly: {archive: Texture_def.zip}
sample: {normal: {count: 20}, anomaly: {count: 8}}
split: {train: 50, test: 50}
evaluate: {images: [Texture/7.png, Texture_def/7.png]}
"""


Call = Callable[..., Said]


@pytest.fixture
def lfvpipe(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Return a function that calls the command line inside this process."""
    monkeypatch.setenv("COLUMNS", "100")

    def call(*arguments: str | Path) -> Said:
        code = main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Said(code, printed.out, printed.err)

    return call


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder, which is the working one."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a pipeline file beside its archives."""
    for name in ("Texture.zip", "Texture_def.zip"):
        shutil.copy(DATA / name, tmp_path / name)
    file = tmp_path / "pipeline.yaml"
    file.write_text(PIPELINE)
    return file


@pytest.fixture
def prepared(project: Path, lfvpipe: Call) -> Path:
    """Return a pipeline file whose images have been selected and extracted."""
    assert lfvpipe("run", project, "--until", "extract").code == 0
    return project


@pytest.fixture
def apart() -> Call:
    """Return a function that calls the command line in a process of its own."""
    return workshop.call


@pytest.fixture
def started() -> Callable[..., subprocess.Popen[str]]:
    """Return a function that starts the command line as a process of its own."""
    return workshop.spawn


@pytest.fixture
def modules_of() -> Callable[..., set[str]]:
    """Return a function that runs the command line and says which modules it imported."""

    def modules(*arguments: str | Path) -> set[str]:
        code = (
            "import sys, json\n"
            "from lfvpipe.cli.main import main\n"
            "code = main(sys.argv[1:])\n"
            "print('\\n' + json.dumps([code, sorted(sys.modules)]))\n"
        )
        command = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(
            command,
            env=workshop.environment(),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        ended, names = json.loads(done.stdout.splitlines()[-1])
        assert ended == 0, done.stderr
        return set(names)

    return modules


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Said]:
    """Return a pipeline that was run to its end, and what that run said; share it with care."""
    folder = tmp_path_factory.mktemp("trained")
    for name in ("Texture.zip", "Texture_def.zip"):
        shutil.copy(DATA / name, folder / name)
    file = folder / "small.yaml"
    file.write_text(SMALL)
    return file, workshop.call("run", file)


@pytest.fixture
def file(trained: tuple[Path, Said], tmp_path: Path) -> Path:
    """Return a pipeline that was run to its end, for one test alone."""
    folder = tmp_path / "copy"
    shutil.copytree(trained[0].parent, folder, copy_function=shutil.copy2)
    return folder / trained[0].name


@pytest.fixture(scope="session")
def model(trained: tuple[Path, Said]) -> Path:
    """Return the file of a model."""
    return next(trained[0].parent.rglob("*.lfv"))


@pytest.fixture
def photos(trained: tuple[Path, Said], tmp_path: Path) -> Path:
    """Return a folder of seven photographs: two levels, one in the system's own folder."""
    folder = tmp_path / "photos"
    (folder / "night").mkdir(parents=True)
    with zipfile.ZipFile(trained[0].parent / "Texture_def.zip") as archive:
        for number in range(7):
            below = folder / "night" if number > 4 else folder
            data = archive.read(f"Texture_def/{number + 1}.png")
            (below / f"{number}.png").write_bytes(data)
    return folder
