"""One pipeline file, three places: the verdicts are the same."""

import json
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.seaweed import environment

from .conftest import TEST, TRAIN, Images, Serve, manifest

PIPELINE = """\
name: anywhere
sources:
  manifest: {{train: train.manifest, test: test.manifest, images: {images}}}
bucket: {{name: pipeline-product-images}}
evaluate:
  images: [{images}/normal/020.png, {images}/anomaly/020.png]
"""


@pytest.fixture
def pipeline(images: Images, tmp_path: Path) -> Path:
    """Return a pipeline file with exported manifests beside it; it trains on normal images only."""
    (tmp_path / "train.manifest").write_text(manifest(images, "retired", TRAIN, slice(0)))
    (tmp_path / "test.manifest").write_text(manifest(images, "retired", TEST, TEST))
    file = tmp_path / "pipeline.yaml"
    file.write_text(PIPELINE.format(images=images.folder.as_posix()))
    return file


def run(pipeline: Path, state: Path, settings: Mapping[str, str]) -> list[str]:
    """Carry the pipeline out in a process of its own; return the lines of its verdict files."""
    overrides = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    command = [sys.executable, "-m", "lfvpipe", "run", str(pipeline), "--state-dir", str(state)]
    done = subprocess.run(
        [*command, *overrides],
        env=environment(),
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    folders = [state / "anywhere" / name for name in ("verdicts", "evaluations")]
    files = [file for folder in folders for file in folder.glob("*.jsonl")]
    return [line for file in files for line in file.read_text().splitlines()]


def test_the_verdicts_are_the_same_embedded_and_remote_with_a_folder_and_with_s3(
    pipeline: Path, serve: Serve, seaweed: str, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    beside = serve("--buckets", str(shared / "buckets"))
    apart = serve(s3=seaweed)
    places = {
        tmp_path / "embedded": {},
        shared: {"service.endpoint": beside.url},
        tmp_path / "remote": {"service.endpoint": apart.url, "bucket.endpoint": seaweed},
    }
    with ThreadPoolExecutor(len(places)) as pool:
        runs = [pool.submit(run, pipeline, state, place) for state, place in places.items()]
        embedded, with_folder, with_s3 = (each.result() for each in runs)
    assert len(embedded) == 2 + 20
    assert {json.loads(line)["is_anomalous"] for line in embedded} == {True, False}
    assert with_folder == embedded
    assert with_s3 == embedded
