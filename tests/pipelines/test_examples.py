"""The example pipelines: their data can be made again, and the files say what they should."""

import io
import re
import runpy
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lfvpipe.cli.main import main
from lfvpipe.config import load

pytestmark = pytest.mark.slow

PIPELINES = Path(__file__).parents[2] / "pipelines"
EXAMPLES = sorted(PIPELINES.glob("*.yaml"))
RUNNABLE = [file for file in EXAMPLES if file.stem != "dagm-class3"]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the data made anew."""
    folder = tmp_path_factory.mktemp("made")
    runpy.run_path(str(PIPELINES / "make_textures.py"))["make"](folder)
    return folder


def _files() -> list[str]:
    data = PIPELINES / "data"
    return sorted(p.relative_to(data).as_posix() for p in data.rglob("*") if p.is_file())


def _pixels(data: bytes) -> Any:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image).astype(int)


@pytest.mark.parametrize("name", _files())
def test_the_script_makes_what_is_committed(name: str, made: Path) -> None:
    committed, again = PIPELINES / "data" / name, made / name
    if committed.suffix != ".zip":
        assert committed.read_bytes() == again.read_bytes()
        return
    with zipfile.ZipFile(committed) as before, zipfile.ZipFile(again) as after:
        assert before.namelist() == after.namelist()
        for member in before.namelist():
            old, new = before.read(member), after.read(member)
            if not member.endswith(".png"):
                assert old == new
            elif old != new:  # another zlib packs otherwise, another FFT rounds otherwise
                assert np.abs(_pixels(old) - _pixels(new)).max() <= 4


def test_the_script_is_repeatable_to_the_byte(made: Path, tmp_path: Path) -> None:
    runpy.run_path(str(PIPELINES / "make_textures.py"))["make"](tmp_path)
    for name in _files():
        assert (made / name).read_bytes() == (tmp_path / name).read_bytes()


def test_the_data_stay_small_and_look_like_the_tutorials() -> None:
    data = PIPELINES / "data"
    assert sum((data / name).stat().st_size for name in _files()) <= 4_000_000
    with (
        zipfile.ZipFile(data / "Texture.zip") as one,
        zipfile.ZipFile(data / "Texture_def.zip") as other,
    ):
        normal = {Path(name).name for name in one.namelist()}
        defective = {Path(name).name for name in other.namelist()}
        labels = other.read("Texture_def/labels.txt").decode().splitlines()
    assert defective - {"labels.txt"} <= normal  # the same file names in both
    assert len(labels) == len(defective) - 1


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_is_valid_and_has_a_modeline(file: Path) -> None:
    first = file.read_text(encoding="utf-8").splitlines()[0]
    schema = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert schema is not None
    assert (file.parent / schema[1]).is_file()
    assert load(file, env={}).pipeline.name == file.stem


def test_the_tutorial_is_the_tutorial() -> None:
    spec = load(PIPELINES / "dagm-class3.yaml", env={}).pipeline
    assert {label: source.archive for label, source in spec.sources.by_label.items()} == {
        "normal": "https://conferences.mpi-inf.mpg.de/dagm/2007/Class3.zip",
        "anomaly": "https://conferences.mpi-inf.mpg.de/dagm/2007/Class3_def.zip",
    }
    assert spec.sample.shares["normal"].percent == 40
    assert spec.split.train["anomaly"].percent == 80
    assert spec.project == spec.bucket.name == "dagm-product-images-anomalies"
    assert len(spec.evaluate.images) == 4


@pytest.mark.parametrize("file", RUNNABLE, ids=lambda file: file.stem)
def test_every_example_passes_the_data_check(file: Path, tmp_path: Path) -> None:
    assert main(["run", str(file), "--until", "check", "--state-dir", str(tmp_path)]) == 0


def test_the_quickstart_can_be_sampled_as_the_readme_does(tmp_path: Path) -> None:
    file = str(PIPELINES / "quickstart.yaml")
    for percent in (40, 100):
        options = ["--set", f"sample.percent={percent}", "--state-dir", str(tmp_path)]
        assert main(["run", file, "--until", "check", *options]) == 0
