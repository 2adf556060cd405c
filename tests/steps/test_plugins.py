"""Steps that other distributions bring: found, placed, run; and what is said of broken ones."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lfvpipe import config
from lfvpipe.cli.main import main
from lfvpipe.errors import UserError
from lfvpipe.steps.pipeline import families, steps_of
from tests.workshop import write_archive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfvpipe.config.spec import Pipeline

EXAMPLE = Path(__file__).with_name("example_step.py").read_text()
PIPELINE = """\
sources: {normal: {archive: good.zip}, anomaly: {archive: bad.zip}}
split: {train: 50, test: 50}
"""


def install(folder: Path, code: str, points: str, name: str = "counting") -> None:
    """Lay a distribution out as pip installs one: its module, its metadata, its entry points."""
    info = folder / f"{name}-1.2.dist-info"
    info.mkdir()
    (folder / f"{name}.py").write_text(code)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[lfvpipe.steps]\n{points}\n")
    importlib.invalidate_caches()


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    return config.load(tmp_path / "pipeline.yaml").pipeline


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a folder whose distributions count as installed."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield folder
    sys.modules.pop("counting", None)


def test_a_step_of_an_installed_distribution_stands_after_what_it_needs(
    site: Path, pipeline: Pipeline
) -> None:
    install(site, EXAMPLE, "count = counting:CountStep")
    names = [step.name for step in steps_of(pipeline)]
    assert names[names.index("upload") + 1] == "count"
    assert "count" in families()


@pytest.mark.parametrize(("key", "count"), [("split", 1), ("mlflow", 0)])
def test_a_function_makes_steps_for_the_pipelines_that_want_them(
    site: Path, pipeline: Pipeline, key: str, count: int
) -> None:
    make = f"def make(pipeline): return [CountStep()] if pipeline.{key} else []"
    install(site, f"{EXAMPLE}\n{make}\n", "count = counting:make")
    assert [step.name for step in steps_of(pipeline)].count("count") == count


@pytest.mark.parametrize(
    ("code", "points", "why"),
    [
        ("import nothing_like_it", "count = counting:Count", "ModuleNotFoundError: No module"),
        ("", "count = counting:Count", "AttributeError: module 'counting' has no"),
        ("Count = 3", "count = counting:Count", "TypeError: 'int' object is not callable"),
        ("def count(pipeline): return 3", "count = counting:count", "makes 3, which is no Step"),
        (EXAMPLE, "other = counting:CountStep", "makes a step 'count' of another name"),
        (EXAMPLE.replace('"upload"', '"up"'), "count = counting:CountStep", "it needs 'up', which"),
        (
            EXAMPLE.replace('name = "count"', 'name = "check"'),
            "check = counting:CountStep",
            "there is another step 'check'",
        ),
    ],
)
def test_a_broken_entry_point_is_an_error_that_names_the_distribution(
    site: Path, pipeline: Pipeline, code: str, points: str, why: str
) -> None:
    install(site, code, points)
    with pytest.raises(UserError) as caught:
        steps_of(pipeline)
    assert "of the distribution counting 1.2 cannot be used" in caught.value.message
    assert why in caught.value.message
    assert "uninstall" in caught.value.hint


def test_the_guides_step_runs_once(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_archive(tmp_path / "good.zip", "good", 40, spoilt=False)
    write_archive(tmp_path / "bad.zip", "bad", 40, spoilt=True)
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    install(site, EXAMPLE, "count = counting:CountStep")
    words = ["run", str(tmp_path / "pipeline.yaml"), "--until", "count", "--json"]
    counted = []
    for _ in range(2):
        assert main(words) == 0
        (variant,) = json.loads(capsys.readouterr().out)["variants"]
        counted += [step for step in variant["steps"] if step["step"] == "count"]
    assert [step["action"] for step in counted] == ["run", "unchanged"]
    assert counted[0]["facts"] == {"objects": 81}  # of which one says whose they are
    assert main(["status", str(tmp_path / "pipeline.yaml")]) == 0
    (line,) = [each for each in capsys.readouterr().out.splitlines() if each.startswith("count ")]
    assert line.endswith("81 objects")  # as the step itself describes it
