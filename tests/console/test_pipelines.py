"""What is decided in the console about a pipeline's images, its next run keeps."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from lfvpipe import storage
from lfvpipe.console.datasets.calls import Call
from lfvpipe.console.datasets.desk import Desk
from lfvpipe.console.datasets.editing import Seen
from lfvpipe.console.datasets.pipelines import Pipelines
from lfvpipe.console.datasets.updates import DatasetName
from lfvpipe.console.datasets.uploads import Upload
from lfvpipe.lookout.client import connect
from lfvpipe.service import Service
from lfvpipe.service.roles import Actor, Role, acting
from tests.workshop import call

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
STATES = sorted((Path(__file__).parents[1] / "upgrades" / "fixtures").glob("*.tar.xz"))
TRAIN = DatasetName("small", "train")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Unpack a pipeline that has run."""
    with tarfile.open(STATES[-1]) as packed:
        packed.extractall(tmp_path, filter="data")
    return tmp_path


def name_labels(folder: Path) -> Path:
    """Name a labels file in the pipeline file, and return it."""
    file = folder / "p.yaml"
    file.write_text(file.read_text().replace("sources:\n", "sources:\n  labels: p.labels.jsonl\n"))
    return folder / "p.labels.jsonl"


@pytest.fixture
def desk(folder: Path) -> Iterator[Any]:
    """Yield a function that opens what the console does with the pipeline's data sets."""
    services: list[Service] = []

    def open_desk() -> Desk:
        root = folder / ".lfvpipe"
        buckets = storage.connect("local", region="us-east-1", root=root / "buckets")
        service = Service(root / "service", buckets, region="us-east-1", limits="open")
        services.append(service)
        client = connect("embedded", region="us-east-1", handler=service.handle_for_owner)
        return Desk(client, service, Pipelines(root, service))

    yield open_desk
    for service in services:
        service.close()


def buckets_of(folder: Path) -> storage.Buckets:
    return storage.connect("local", region="us-east-1", root=folder / ".lfvpipe" / "buckets")


def labels(desk: Desk) -> dict[str, str | None]:
    """Return what the training images are called, by their keys."""
    catalogue = desk.updates._images.catalogue("small", "train")
    return {image.key: image.label for image in catalogue.images}


def digest_in(key: str) -> str:
    """Return what of a key tells the image: its label is before it."""
    return key.rpartition("-")[2]


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_labels_masks_and_removals_outlive_the_pipelines_next_run(folder: Path, desk: Any) -> None:
    file = name_labels(folder)
    opened = desk()
    images = opened.updates._images.catalogue("small", "train").images
    first, second, third = [image for image in images if image.label == "normal"][:3]
    with acting(Actor("ANN", Role.ADMIN)):
        done = opened.editing.label(
            TRAIN, [Seen(first.id, Call("normal"))], Call("anomaly", "dent")
        )
        assert "p.labels.jsonl" in done.remark
        opened.editing.remove(TRAIN, [second.id])
        marked = opened.marking.find(TRAIN, third.id)
        size = marked.sheet.size
        painted = io.BytesIO()
        overlay = Image.new("RGBA", size)
        overlay.paste(Image.new("RGBA", (4, 4), "#23A436"), (0, 0, 4, 4))
        overlay.save(painted, "PNG")
        colours = {"scratch": "#23A436"}
        opened.marking.save(TRAIN, third.id, painted.getvalue(), colours, marked.sheet.stand)
    told = lines(file)
    assert [(each["label"], each["was"], each["who"]) for each in told] == [
        ("anomaly", "normal", "ANN"),
        ("exclude", "normal", "ANN"),
        ("anomaly", "normal", "ANN"),
    ]
    assert told[0]["type"] == "dent"
    assert (folder / told[2]["mask"]).is_file()
    assert told[2]["classes"] == colours
    said = call("run", "p.yaml", "--until", "datasets", cwd=folder)
    assert said.code == 0, said
    after = {digest_in(key): label for key, label in labels(desk()).items()}
    assert after[digest_in(first.key)] == "anomaly"
    assert after[digest_in(third.key)] == "anomaly"
    assert digest_in(second.key) not in after


def test_images_that_are_brought_moved_and_removed_are_the_pipelines_too(
    folder: Path, desk: Any
) -> None:
    """The next run has them where they are, as those that a review of detected images adds."""
    file = name_labels(folder)
    opened = desk()
    images = opened.updates._images.catalogue("small", "train").images
    bucket, key = storage.parse_s3_uri(images[0].source)
    with Image.open(io.BytesIO(buckets_of(folder).bucket(bucket).get(key, limit=10**7))) as one:
        size = one.size
    brought = []
    for number, label in enumerate(("normal", "normal", "anomaly", None)):
        data = io.BytesIO()
        Image.effect_noise(size, 20 + number).convert("RGB").save(data, "PNG")
        stored = opened.uploads.store(TRAIN, f"new {number}.png", data.getvalue())
        call_ = Call(label, "dent" if label == "anomaly" else "")  # type: ignore[arg-type]
        brought.append(Upload(stored.digest, stored.name, call_))
    done = opened.uploads.add(TRAIN, brought).done
    assert "The 3 decisions are in p.labels.jsonl" in done.remark
    assert "1 image without a label" in done.remark
    by_name = {
        image.key.rpartition("/")[2]: image
        for image in opened.updates._images.catalogue("small", "train").images
    }
    opened.editing.move(TRAIN, [by_name["new 1.png"].id])
    opened.editing.remove(TRAIN, [by_name["new 2.png"].id])
    told = lines(file)
    assert [(each["label"], each.get("split")) for each in told] == [
        ("normal", "train"),
        ("normal", "train"),
        ("anomaly", "train"),
        ("normal", "test"),
        ("exclude", None),
    ]
    assert {each["source"] for each in told} == {"files"}
    assert all((folder / each["name"]).is_file() for each in told)
    said = call("run", "p.yaml", "--until", "datasets", cwd=folder)
    assert said.code == 0, said
    again = desk()
    for kind, expected in (("train", {brought[0]}), ("test", {brought[1]})):
        held = {
            hashlib.sha256(buckets_of(folder).bucket(place).get(key, limit=10**7)).hexdigest()
            for place, key in (
                storage.parse_s3_uri(image.source)
                for image in again.updates._images.catalogue("small", kind).images
            )
        }
        assert {each for each in brought if each.digest in held} == expected


def test_a_pipeline_without_a_labels_file_is_told_of(folder: Path, desk: Any) -> None:
    opened = desk()
    image = opened.updates._images.catalogue("small", "train").images[0]
    call_ = Call("normal" if image.label == "anomaly" else "anomaly")
    done = opened.editing.label(TRAIN, [Seen(image.id, Call(image.label))], call_)
    assert done.changed == 1
    assert "it has no labels file" in done.remark


def test_a_project_of_no_pipeline_has_no_remark(tmp_path: Path) -> None:
    service = Service(
        tmp_path / "service",
        storage.connect("local", region="us-east-1", root=tmp_path / "buckets"),
        region="us-east-1",
    )
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "ledger.json").write_text("{")
    assert Pipelines(tmp_path, service).find("small") is None
    assert Pipelines(tmp_path, service).tell([]) == ""
    service.close()
