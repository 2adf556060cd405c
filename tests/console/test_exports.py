"""A project that is exported as a pipeline, and the pipeline that is run."""

from __future__ import annotations

import hashlib
import io
import json
import unicodedata
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from lfvpipe import config
from lfvpipe.cli.main import main
from lfvpipe.console.exporting import Exported, stream_zip, write_pipeline
from lfvpipe.lookout.client import connect
from lfvpipe.service.embedded import open_service
from lfvpipe.storage import connect as connect_storage
from lfvpipe.storage import parse_s3_uri
from tests.service.conftest import Waits, World, line, picture

from .conftest import REGION, Offered, pages

if TYPE_CHECKING:
    from pathlib import Path

    from lfvpipe.lookout.api import DatasetType, LookoutClient
    from lfvpipe.storage import Buckets

EXPORT = pages("projects", "p", "export")
MASK = (0x23, 0xA4, 0x36)
COLOURS = {
    "0": {"class-name": "BACKGROUND", "hex-color": "#ffffff"},
    "1": {"class-name": "crack", "hex-color": "#23a436"},
}


def make_datasets(offered: Offered) -> World:
    """Give a project two data sets of labelled images, masks, and one image without a label."""
    world = World(offered.root, offered.buckets)
    world.bucket.create()
    client = offered.client()
    client.create_project(ProjectName="p")
    for number, kind in enumerate(("train", "test")):
        lines: list[Any] = []
        for label, count in (("normal", 12), ("anomaly", 10)):
            for image in range(count):
                key = f"{kind}/{label}/Bild ä#{image}.png"
                red = 100 + image if label == "anomaly" else image
                world.bucket.put(key, picture((red, 10 * number, image)))
                made = line(key, label)
                if label == "anomaly":
                    world.bucket.put(f"masks/{key}", picture(MASK))
                    made["anomaly-mask-ref"] = f"s3://bucket/masks/{key}"
                    made["anomaly-mask-ref-metadata"] = {
                        "internal-color-map": COLOURS,
                        "type": "groundtruth/semantic-segmentation",
                        "human-annotated": "yes",
                        "creation-date": "2021-04-06T19:18:44.208156",
                    }
                lines.append(made)
        world.bucket.put(f"{kind}/unlabelled.png", picture((1, 2, 3 + number)))
        lines.append({"source-ref": f"s3://bucket/{kind}/unlabelled.png"})
        source = world.put_manifest(lines)
        client.create_dataset(ProjectName="p", DatasetType=kind, DatasetSource=source)  # type: ignore[arg-type]
        Waits().dataset(client, kind)
    return world


def contents(client: LookoutClient, buckets: Buckets, project: str, kind: DatasetType) -> Any:
    """Return what a data set has: digests of pixels with labels and masks' digests."""
    from lfvpipe.images import read_image

    def digest(address: str) -> str:
        bucket, key = parse_s3_uri(address)
        image = read_image(buckets.bucket(bucket).get(key)).image.convert("RGB")
        return hashlib.sha256(image.tobytes()).hexdigest()

    found = set()
    for page in client.get_paginator("list_dataset_entries").paginate(
        ProjectName=project, DatasetType=kind
    ):
        for text in page["DatasetEntries"]:
            entry = json.loads(text)
            label = [
                v["class-name"] for v in entry.values() if isinstance(v, dict) and "class-name" in v
            ]
            mask = entry.get("anomaly-mask-ref")
            if label:
                found.add((digest(entry["source-ref"]), label[0], mask and digest(mask)))
    return found


def test_the_pipeline_makes_the_same_data_sets(
    offered: Offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_datasets(offered)
    expected = {
        kind: contents(offered.client(), offered.buckets, "p", kind) for kind in ("train", "test")
    }
    assert [len(each) for each in expected.values()] == [22, 22]
    for with_images, options in ((True, []), (False, ["--state-dir", "state"])):
        folder = tmp_path / f"elsewhere {with_images}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        answer = offered.person("VIC").get(f"{EXPORT}{'?images=yes' if with_images else ''}")
        assert answer.headers["content-type"] == "application/zip"
        with zipfile.ZipFile(io.BytesIO(answer.content)) as exported:
            assert exported.testzip() is None
            exported.extractall(folder)
        state = folder / "p" / ".lfvpipe"
        if not with_images:  # in the server's own buckets
            state = folder / "state"
            state.mkdir()
            (state / "buckets").symlink_to(offered.root / "buckets")
        assert main(["run", "p/p.yaml", "--until", "datasets", *options]) == 0
        buckets = connect_storage("local", region="us-east-1", root=state / "buckets")
        service = open_service(state / "service", buckets, region="us-east-1", trains=False)
        client = connect("embedded", region="us-east-1", handler=service.handle_for_owner)
        project = "p" if with_images else "p-files"
        for kind, wanted in expected.items():
            assert contents(client, buckets, project, kind) == wanted  # type: ignore[arg-type]
        service.close()


@pytest.mark.parametrize("project", ["123", "true", "1e5", "con", "null", "x" * 255])
def test_a_project_of_any_name_makes_a_valid_pipeline(project: str, tmp_path: Path) -> None:
    exported = Exported(project, "us-east-1", {"train": []}, "local")
    found = set()
    for with_images in (True, False):
        file = tmp_path / f"{exported.name}.yaml"
        file.write_text(write_pipeline(exported, with_images=with_images))
        pipeline = config.load(file).pipeline
        found.add((pipeline.name, pipeline.project))
    assert len({name for name, _ in found}) == 2  # or one would take the other's state over
    assert len({made for _, made in found}) == 2


def test_names_are_such_as_every_file_system_takes_and_an_image_that_is_gone_is_told(
    offered: Offered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    world = make_datasets(offered)
    client = offered.client()
    for number, key in enumerate(
        ("A.png", "a.png", "con/aux.png", "x:y?.png", "deep/" * 60 + "a.png")
    ):
        world.bucket.put(key, picture((9, 9, number)))
        changes = json.dumps(line(key, "normal")).encode()
        client.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=changes)
        Waits().dataset(client)
    world.bucket.delete(["train/normal/Bild ä#3.png"])
    answer = offered.person("VIC").get(f"{EXPORT}?images=yes")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as exported:
        names = exported.namelist()
        lines = exported.read("p/train.manifest").decode().splitlines()
    assert len({name.casefold() for name in names}) == len(names)
    assert all(name.startswith("p/") and len(name) < 240 for name in names)
    assert not any(sign in name for name in names for sign in '\\:?"<>|')
    assert not any("aux" in name for name in names)
    named = {"p/" + json.loads(each)["source-ref"] for each in lines}
    assert named - set(names) == {"p/images/train/normal/Bild ä#3.png"}
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as exported:
        exported.extractall(tmp_path)
    assert main(["run", "p/p.yaml", "--until", "check"]) != 0
    assert "Bild ä#3.png" in "".join(capsys.readouterr())


def test_each_image_has_a_name_of_its_own_whatever_others_are_called(offered: Offered) -> None:
    service = offered.console.lookout.of(REGION)
    assert service is not None
    keys = ["1-of-console.png", "../a.png", "d.png", "d.png/e.png", "f/g.png", "f", "\u00e9.png"]
    addresses = [f"s3://bucket/{key}" for key in [*keys, "e\u0301.png"]]
    lines = [json.dumps({"source-ref": each}) for each in addresses]
    data = b"".join(
        stream_zip(service, Exported("p", REGION, {"train": lines}, "local"), with_images=True)
    )
    with zipfile.ZipFile(io.BytesIO(data)) as exported:
        written = exported.read("p/train.manifest").decode().splitlines()
    names = [unicodedata.normalize("NFC", json.loads(each)["source-ref"]) for each in written]
    assert len(set(names)) == len(addresses)
    assert not any(one.startswith(f"{other}/") for one in names for other in names)
    assert not any(".." in name.split("/") for name in names)


def test_without_images_to_train_on_there_is_nothing_to_export(offered: Offered) -> None:
    person = offered.person("VIC")
    assert person.get(EXPORT).status_code == 404
    offered.client().create_project(ProjectName="p")
    assert person.get(EXPORT).status_code == 404
    assert "Export as pipeline" not in person.get(pages("projects", "p")).text
    offered.client().create_dataset(ProjectName="p", DatasetType="train")
    assert "Export as pipeline" in person.get(pages("projects", "p")).text
    answer = person.get(EXPORT)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as exported:
        assert exported.read("p/train.manifest") == b""
        assert "test" not in exported.read("p/p.yaml").decode()
