"""No word leaves the machine: no name is looked up, and a fresh home holds nothing but ours."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

import lfvpipe
from lfvpipe.decision import Decision
from lfvpipe.service.jobs.packaging import component
from tests.needs import LACK_NOTHING, lacks

pytestmark = pytest.mark.slow

PIPELINES = Path(__file__).parents[2] / "pipelines"
# What continuous integration sets: under these names onnxruntime is quiet by itself.
QUIETING = {"CI", "TF_BUILD", "GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "BUILD_ID"}
# Imported by every Python process that has its folder in its path.
HOOK = """
import os, sys
def look(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect"):
        if event != "socket.connect" or isinstance(arguments[1], tuple):
            with open(os.environ["WATCHED"], "a") as file:
                file.write(f"{event} {arguments[-4:]}\\n")
sys.addaudithook(look)
"""
CALLS = "connect,sendto,sendmsg,sendmmsg,openat"
OUTWARD = re.compile(r"AF_INET|/etc/resolv\.conf")


@dataclass
class Watch:
    """Runs programs in a fresh home, and notes which names they look up and what they leave."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def image(self) -> Path:
        return min(self.work.rglob(".lfvpipe/**/*.png"))

    def run(self, *arguments: str) -> None:
        """Run Python with `arguments`; what native code asks the system for, strace tells."""
        self.home.mkdir(exist_ok=True)
        (self.folder / "hook").mkdir(exist_ok=True)
        (self.folder / "hook" / "sitecustomize.py").write_text(HOOK)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in QUIETING and not name.startswith(("XDG_", "LFVPIPE_", "ORT_", "MLFLOW_"))
        }
        tracer = shutil.which("strace")
        if tracer is None and os.environ.get(LACK_NOTHING):
            lacks("strace is not installed")
        log = str(self.folder / "calls")
        trace = ["-f", "--seccomp-bpf", "-A", "-e", f"trace={CALLS}", "-o", log]
        command = [*([tracer, *trace] if tracer else []), sys.executable, *arguments]
        home = str(self.home)
        path = [str(self.folder / "hook"), str(Path(lfvpipe.__file__).parents[1])]
        inherited |= {"HOME": home, "USERPROFILE": home, "LOCALAPPDATA": home}
        inherited |= {"WATCHED": str(self.folder / "asked"), "PYTHONPATH": os.pathsep.join(path)}
        done = subprocess.run(
            command,
            cwd=self.work,
            env=inherited,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    def foreign(self) -> list[str]:
        """Return the files in the home that are not ours."""
        return [
            path.relative_to(self.home).as_posix()
            for path in self.home.rglob("*")
            if path.is_file() and "lfvpipe" not in path.relative_to(self.home).parts
        ]

    def asked(self) -> list[str]:
        """Return what any process asked of the network."""
        files = [self.folder / "asked", self.folder / "calls"]
        lines = [line for file in files if file.exists() for line in file.read_text().splitlines()]
        return [line for line in lines if OUTWARD.search(line) or line.startswith("socket.")]


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> Watch:
    """Return a watch under which the quickstart was run."""
    watch = Watch(tmp_path_factory.mktemp("telemetry"))
    shutil.copytree(PIPELINES, watch.work, ignore=shutil.ignore_patterns(".lfvpipe"))
    watch.run("-m", "lfvpipe", "run", "quickstart.yaml")
    return watch


def test_a_run_asks_no_name_and_leaves_no_file_of_a_dependency(watch: Watch) -> None:
    assert not watch.foreign()
    assert not watch.asked()


def test_a_verdict_asks_no_name_and_leaves_no_file_of_a_dependency(watch: Watch) -> None:
    watch.run("-m", "lfvpipe", "detect", "quickstart.yaml", str(watch.image))
    assert not watch.foreign()
    assert not watch.asked()


def test_a_program_with_the_detector_asks_no_name_and_leaves_no_file(watch: Watch) -> None:
    (model,) = watch.work.rglob("model.lfv")
    program = (
        "import sys; from lfvpipe.detector import load;"
        " from pathlib import Path; load(Path(sys.argv[1])).detect(Path(sys.argv[2]))"
    )
    watch.run("-c", program, str(model), str(watch.image))
    assert not watch.foreign()
    assert not watch.asked()


def test_a_packaged_model_asks_no_name_and_leaves_no_file(watch: Watch) -> None:
    (model,) = watch.work.rglob("model.lfv")
    with Image.open(watch.image) as opened:
        width, height = opened.size
    recipe = {"ImageWidth": width, "ImageHeight": height}
    folder = component.assemble(watch.folder / "component", model, recipe, Decision())
    watch.run("-P", "-B", str(folder / "run.py"), str(watch.image))
    assert not watch.foreign()
    assert not watch.asked()
