"""No word leaves the machine: a run leaves nothing of anybody else's in a fresh home."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PIPELINES = Path(__file__).parents[2] / "pipelines"
# What continuous integration sets: under these names onnxruntime is quiet by itself.
QUIETING = {"CI", "TF_BUILD", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "BUILD_ID"}


def test_a_run_leaves_no_file_of_a_dependency_in_a_fresh_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copytree(PIPELINES, tmp_path / "work", ignore=shutil.ignore_patterns(".lfvpipe"))
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in QUIETING and not name.startswith(("XDG_", "LFVPIPE_", "ORT_"))
    }
    subprocess.run(
        [sys.executable, "-m", "lfvpipe", "run", "quickstart.yaml", "--until", "model"],
        cwd=tmp_path / "work",
        env={**inherited, "HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home)},
        check=True,
        capture_output=True,
    )
    foreign = [
        path.relative_to(home).as_posix()
        for path in home.rglob("*")
        if path.is_file() and "lfvpipe" not in path.relative_to(home).parts
    ]
    assert not foreign
