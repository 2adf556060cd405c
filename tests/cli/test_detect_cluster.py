"""`detect --out --compute`: judged by the workers of a Dask cluster, to the byte as by oneself."""

from __future__ import annotations

import shutil
import signal
import socket
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests import workshop
from tests.dask_cluster import POISON, DaskCluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

BUCKET = "camera"


@pytest.fixture(scope="module")
def cluster(s3_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """Yield a cluster whose workers know the store and how to open it."""
    variables = {
        "AWS_ENDPOINT_URL_S3": s3_server,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    with DaskCluster(tmp_path_factory.mktemp("dask"), variables) as cluster:
        cluster.have(2)
        yield cluster


@pytest.fixture
def many(photos: Path) -> Path:
    """Return a folder of 30 photographs."""
    for number in range(7, 30):
        shutil.copy(photos / f"{number % 5}.png", photos / f"{number}.png")
    return photos


def files_of(place: Path) -> dict[str, bytes]:
    """Return all that lies in a folder."""
    return {
        file.relative_to(place).as_posix(): file.read_bytes()
        for file in place.rglob("*")
        if file.is_file()
    }


def inodes_of(place: Path) -> dict[str, int]:
    """Return which files of verdicts are there; one that is written anew has another number."""
    return {file.name: file.stat().st_ino for file in place.glob("verdicts/part-*.jsonl")}


@pytest.mark.parametrize("by_file", [False, True])
def test_files_are_to_the_byte_those_of_a_local_run(
    trained: tuple[Path, Any],
    model: Path,
    photos: Path,
    cluster: DaskCluster,
    lfvpipe: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    by_file: bool,
) -> None:
    (photos / "1.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    monkeypatch.chdir(photos.parent)
    how = ["--model", model] if by_file else [trained[0]]
    words = ("detect", *how, "photos", "--partition", "3", "--out", "out", "--heat-maps", "heat")
    here = lfvpipe(*words)
    expected = files_of(tmp_path / "out"), files_of(tmp_path / "heat")
    for folder in ("out", "heat"):
        shutil.rmtree(tmp_path / folder)
    there = lfvpipe(*words, "--compute", cluster.address)
    assert (there.code, here.code) == (1, 1), there.err
    assert (files_of(tmp_path / "out"), files_of(tmp_path / "heat")) == expected
    assert len(expected[1]) == 6
    assert there.err.partition(", in ")[0] == here.err.partition(", in ")[0]


def test_objects_are_read_and_written_by_workers_themselves(
    model: Path, photos: Path, cluster: DaskCluster, s3: str, aws: pytest.MonkeyPatch, lfvpipe: Any
) -> None:
    aws.setenv("AWS_ENDPOINT_URL_S3", s3)
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    for file in photos.rglob("*.png"):
        client.put_object(Bucket=BUCKET, Key=f"day/{file.name}", Body=file.read_bytes())
    found = []
    for place, where in (("here", "local"), ("there", cluster.address)):
        words = ("detect", "--model", model, "s3://camera/day", "--out", f"s3://camera/{place}")
        said = lfvpipe(*words, "--partition", "3", "--compute", where)
        assert said.code == 0, said.err
        listed = client.list_objects_v2(Bucket=BUCKET, Prefix=f"{place}/")["Contents"]
        keys = [each["Key"] for each in listed]
        bodies = [client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys]
        names = [key.removeprefix(f"{place}/") for key in keys]
        found.append(dict(zip(names, bodies, strict=True)))
    client.close()
    assert found[0] == found[1]
    assert len(found[0]) == 5  # three partitions, the plan and the summary


def test_a_killed_worker_costs_only_what_it_had_not_finished(
    model: Path, many: Path, cluster: DaskCluster, lfvpipe: Any, tmp_path: Path
) -> None:
    cluster.have(2)
    words = ("detect", "--model", model, many, "--partition", "2", "--out")
    with workshop.spawn(*words, tmp_path / "out", "--compute", cluster.address) as process:
        while len(inodes_of(tmp_path / "out")) < 4:
            assert process.poll() is None
        cluster.end(cluster.living[0])
        done = inodes_of(tmp_path / "out")
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert len(done) < 15
    assert done.items() <= inodes_of(tmp_path / "out").items()
    assert lfvpipe(*words, tmp_path / "here").code == 0
    assert files_of(tmp_path / "out") == files_of(tmp_path / "here")


def test_asked_to_stop_it_cancels_what_no_worker_has_begun(
    model: Path, many: Path, cluster: DaskCluster, lfvpipe: Any, tmp_path: Path
) -> None:
    cluster.have(1)
    place = ("--out", tmp_path / "out", "--compute", cluster.address)
    words = ("detect", "--model", model, many, "--partition", "1", *place)
    with workshop.spawn(*words) as process:
        while not inodes_of(tmp_path / "out"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "are done of 30 that were left; " in err or "1 partition is done of 30" in err
    assert f" --compute {cluster.address} --out " in err
    assert "Traceback" not in err
    assert len(inodes_of(tmp_path / "out")) < 30
    assert not list((tmp_path / "out").glob("model-*"))
    assert lfvpipe(*words).code == 0
    assert len(inodes_of(tmp_path / "out")) == 30


def test_a_partition_that_ends_workers_is_named_and_the_others_are_judged(
    model: Path, photos: Path, cluster: DaskCluster, lfvpipe: Any, tmp_path: Path
) -> None:
    (photos / "2.png").rename(photos / f"2.{POISON}")
    cluster.have(3)  # of which two end
    words = ("detect", "--model", model, photos, "--partition", "2", "--out", tmp_path / "out")
    said = lfvpipe(*words, "--compute", cluster.address)
    assert said.code == 1
    assert "1 partition could not be judged: 2 workers ended at part-" in said.err
    assert f"({photos}/2.{POISON} … {photos}/3.png)" in said.err
    assert "3 partitions are done of 4" in said.err
    assert "Traceback" not in said.err
    assert len(inodes_of(tmp_path / "out")) == 3
    assert not (tmp_path / "out" / "summary.json").exists()


def test_a_worker_of_another_version_is_refused_by_name(
    model: Path, photos: Path, cluster: DaskCluster, lfvpipe: Any, tmp_path: Path
) -> None:
    cluster.have(1)
    told = cluster.folder / "other" / "numpy-1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n")
    path = f"{told.parent}:{workshop.environment()['PYTHONPATH']}"
    other = cluster.start(PYTHONPATH=path)
    cluster.have(2)
    words = ("detect", "--model", model, photos, "--out", tmp_path / "out")
    said = lfvpipe(*words, "--compute", cluster.address)
    cluster.end(other)
    assert said.code == 1
    assert "The worker tcp://127.0.0.1:" in said.err
    assert "numpy 1.0, here " in said.err
    assert inodes_of(tmp_path / "out") == {}


def test_scheduler_and_workers_ask_nobody_else(cluster: DaskCluster) -> None:
    assert len(cluster.living) >= 1  # after all tests above
    assert not cluster.asked.exists()


def test_a_scheduler_that_is_not_there_is_told_at_once(
    model: Path, photos: Path, lfvpipe: Any, tmp_path: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"dask://127.0.0.1:{free.getsockname()[1]}"
        words = ("detect", "--model", model, photos, "--out", tmp_path / "out")
        said = lfvpipe(*words, "--compute", address)
    assert said.code == 1
    assert f"There is no scheduler at {address}: Connection refused." in said.err
    assert "Traceback" not in said.err
