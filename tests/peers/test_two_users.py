"""Two users of one `lfvpipe serve` whose archives and pipeline files have the same names."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.seaweed import environment
from tests.workshop import write_archive

from .conftest import Serve

PIPELINE = """\
sources: {{normal: {{archive: good.zip}}, anomaly: {{archive: bad.zip}}}}
split: {{train: 50, test: 50}}
service: {{endpoint: "{url}"}}
bucket: {{endpoint: "{s3}"}}
"""


@pytest.fixture
def users(tmp_path: Path, serve: Serve, s3: str) -> tuple[Path, Path]:
    """Return the pipeline files of two users; the second has what the first has, and more."""
    server = serve(s3=s3)
    files = []
    for name, count in (("anna", 40), ("ben", 46)):
        folder = tmp_path / name
        folder.mkdir()
        write_archive(folder / "good.zip", "good", count, spoilt=False)
        write_archive(folder / "bad.zip", "bad", count, spoilt=True)
        files.append(folder / "pipeline.yaml")
        files[-1].write_text(PIPELINE.format(url=server.url, s3=s3))
    return files[0], files[1]


def lfvpipe(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lfvpipe", *map(str, words)]
    return subprocess.run(
        command, env=environment(), check=False, capture_output=True, text=True, timeout=240
    )


def test_neither_user_replaces_or_removes_what_is_the_others(users: tuple[Path, Path]) -> None:
    anna, ben = users
    done = lfvpipe("run", anna, "--until", "datasets")
    assert done.returncode == 0, done.stderr
    refused = lfvpipe("run", ben, "--until", "datasets")
    assert refused.returncode == 1
    assert "Project pipeline belongs to pipeline pipeline (of " in refused.stderr
    assert lfvpipe("plan", anna, "--until", "datasets", "--refresh").returncode == 0

    # A project of his own, and yet in the same bucket.
    text = ben.read_text().replace("bucket: {", "bucket: {name: pipeline, ")
    ben.write_text(f"{text}project: bens\n")
    done = lfvpipe("run", ben, "--until", "datasets")
    assert done.returncode == 0, done.stderr
    done = lfvpipe("destroy", anna, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert any("objects in bucket pipeline" in thing for thing in json.loads(done.stdout)["left"])
    assert lfvpipe("plan", ben, "--until", "datasets", "--refresh").returncode == 0
    done = lfvpipe("destroy", ben, "--yes")
    assert "removed project bens" in done.stdout
