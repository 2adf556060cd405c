"""What people see of a dataset's images, and taking single ones out."""

import io
import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from PIL import Image

from lfvpipe.lookout.api import LookoutClient
from lfvpipe.lookout.client import connect
from lfvpipe.lookout.failures import LookoutError
from lfvpipe.service.images import Catalogue, ImageId, Order, Show, Wanted
from lfvpipe.service.protocol.faults import Fault
from lfvpipe.service.quotas import Quotas
from lfvpipe.service.roles import Actor, Role, acting
from lfvpipe.service.service import Service
from tests.service.conftest import World, line, picture


@pytest.fixture
def service(world: World) -> Service:
    return world.open()


@pytest.fixture
def project(world: World, service: Service, waits: Any) -> LookoutClient:
    """Return a client of a project p with two normal, two anomalous and one unlabelled image."""
    client = connect("embedded", region="us-east-1", handler=service.handle_for_owner)
    client.create_project(ProjectName="p")
    lines = world.put_images(2, 1)
    world.bucket.put("anomaly/Dent.png", picture((9, 9, 9)))
    world.bucket.put("new.png", picture((8, 8, 8)))
    lines.append(line("anomaly/Dent.png", "anomaly", **{"defect-type": "dent"}))
    lines.append({"source-ref": "s3://bucket/new.png"})
    client.create_dataset(
        ProjectName="p", DatasetType="train", DatasetSource=world.put_manifest(lines)
    )
    waits.dataset(client)
    return client


def shown(catalogue: Catalogue, **wanted: Any) -> list[str]:
    return [image.key for image in catalogue.select(Wanted(**wanted))]


def test_images_are_shown_by_label_type_and_name(project: LookoutClient, service: Service) -> None:
    catalogue = service.images.catalogue("p", "train")
    assert (catalogue.status, catalogue.counts.total) == ("CREATE_COMPLETE", 5)
    assert catalogue.types == {"dent": 1}
    everything = ["normal/0.png", "normal/1.png", "anomaly/0.png", "anomaly/Dent.png", "new.png"]
    assert shown(catalogue) == everything
    assert shown(catalogue, order=Order.NEWEST) == everything[::-1]
    by_name = ["anomaly/0.png", "normal/0.png", "normal/1.png", "anomaly/Dent.png", "new.png"]
    assert shown(catalogue, order=Order.NAME) == by_name
    assert shown(catalogue, order=Order.LABEL)[0] == "new.png"
    assert shown(catalogue, show=Show.NORMAL) == everything[:2]
    assert shown(catalogue, show=Show.UNLABELLED) == ["new.png"]
    assert shown(catalogue, show=Show.ANOMALY, name="dENT") == ["anomaly/Dent.png"]
    assert shown(catalogue, name="anom") == []  # a folder, which no page shows
    assert shown(catalogue, type="dent") == ["anomaly/Dent.png"]
    assert shown(catalogue, type="scratch") == []


def test_what_a_client_changes_is_seen_at_once(
    project: LookoutClient, service: Service, waits: Any
) -> None:
    before = service.images.catalogue("p", "train")
    changed = json.dumps(line("new.png", "normal"))
    project.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=changed)
    waits.dataset(project)
    after = service.images.catalogue("p", "train")
    assert shown(after, show=Show.UNLABELLED) == []
    assert [image.id for image in after.images] == [image.id for image in before.images]


def test_single_images_are_removed_and_stay_in_the_bucket(
    project: LookoutClient, service: Service, world: World
) -> None:
    gone = ["s3://bucket/normal/0.png", "s3://bucket/anomaly/Dent.png", "s3://bucket/none.png"]
    removed = service.images.remove("p", "train", gone)
    assert list(removed) == gone[:2]
    listed = project.list_dataset_entries(ProjectName="p", DatasetType="train")["DatasetEntries"]
    assert [json.loads(each)["source-ref"][12:] for each in listed] == [
        "normal/1.png",
        "anomaly/0.png",
        "new.png",
    ]
    described = project.describe_dataset(ProjectName="p", DatasetType="train")
    assert described["DatasetDescription"]["StatusMessage"] == "2 images were removed."
    assert described["DatasetDescription"]["ImageStats"]["Total"] == 3
    assert world.bucket.head("normal/0.png") is not None
    written = service.changes(project="p")[0]
    assert (written.operation, written.asked["Removed"]) == ("RemoveDatasetEntries", 2)
    assert (written.before["Images"], written.after["Images"]) == (5, 3)
    assert service.images.remove("p", "train", gone) == {}


def test_only_an_admin_removes_images(project: LookoutClient, service: Service) -> None:
    with acting(Actor("RITA", Role.REVIEWER)), pytest.raises(Fault, match="may not remove images"):
        service.images.remove("p", "train", ["s3://bucket/new.png"])
    assert len(service.images.catalogue("p", "train").images) == 5


def test_an_image_in_another_ones_place_is_another_image(
    project: LookoutClient, service: Service, world: World, waits: Any
) -> None:
    last = service.images.catalogue("p", "train").images[-1].id
    assert list(service.images.entries("p", "train", [last])) == [last]
    service.images.remove("p", "train", ["s3://bucket/new.png"])
    world.bucket.put("other.png", picture((7, 7, 7)))
    changes = json.dumps({"source-ref": "s3://bucket/other.png"})
    project.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=changes)
    waits.dataset(project)
    assert service.images.catalogue("p", "train").images[-1].id.place == last.place
    assert service.images.entries("p", "train", [last]) == {}


def test_an_update_with_a_fixed_token_brings_a_removed_image_back(
    project: LookoutClient, service: Service, waits: Any
) -> None:
    update: Any = {
        "ProjectName": "p",
        "DatasetType": "train",
        "Changes": json.dumps(line("new.png", "normal")),
        "ClientToken": "fixed",
    }
    project.update_dataset_entries(**update)
    waits.dataset(project)
    service.images.remove("p", "train", ["s3://bucket/new.png"])
    project.update_dataset_entries(**update)
    waits.dataset(project)
    assert shown(service.images.catalogue("p", "train"))[-1] == "new.png"


def test_nothing_is_removed_while_a_dataset_is_changed(
    project: LookoutClient, service: Service, world: World
) -> None:
    with closing(sqlite3.connect(world.state_dir / "service.db")) as state, state:
        state.execute("UPDATE datasets SET status = 'UPDATE_IN_PROGRESS'")
    with pytest.raises(Fault, match="is UPDATE_IN_PROGRESS; nothing can be removed"):
        service.images.remove("p", "train", ["s3://bucket/new.png"])


def test_a_training_goes_on_with_images_that_are_removed_meanwhile(
    project: LookoutClient, service: Service, world: World, waits: Any
) -> None:
    project.create_model(ProjectName="p", OutputConfig={"S3Location": {"Bucket": "bucket"}})
    service.images.remove("p", "train", ["s3://bucket/new.png", "s3://bucket/anomaly/0.png"])
    with pytest.raises(LookoutError, match="2 labelled normal"):
        waits.model(project)


def test_a_project_is_told_what_it_lacks(project: LookoutClient, service: Service) -> None:
    found = [(each.type, each.label, each.least) for each in service.images.shortages("p")]
    assert found == [("train", "normal", 4), ("train", "anomaly", 3)]
    project.create_dataset(ProjectName="p", DatasetType="test")
    found = [(each.type, each.label, each.least) for each in service.images.shortages("p")]
    assert found == [("test", "normal", 1), ("test", "anomaly", 1)]


def test_masks_are_held_to_the_rules_of_a_training(
    project: LookoutClient, world: World, waits: Any
) -> None:
    service = world.open(quotas=Quotas())

    def masked(name: str, colour: str, shows: bool = True) -> str:
        mask = Image.new("RGB", (64, 64), colour if shows else "white")
        file = io.BytesIO()
        mask.save(file, "PNG")
        world.bucket.put(f"m/{name}", file.getvalue())
        named = {"crack": colour} if shows else {"crack": colour, "hole": "#0000FF"}
        colours = {
            str(n): {"class-name": each, "hex-color": code}
            for n, (each, code) in enumerate(named.items())
        }
        facts = {"internal-color-map": colours, "type": "groundtruth/semantic-segmentation"}
        given = line(f"anomaly/{name}", "anomaly")
        return json.dumps({**given, "m-ref": f"s3://bucket/m/{name}", "m-ref-metadata": facts})

    def put(kind: Any, *lines: str) -> None:
        changes = "\n".join(lines).encode()
        project.update_dataset_entries(ProjectName="p", DatasetType=kind, Changes=changes)
        waits.dataset(project, kind)

    assert not service.images.mask_faults("p").is_any
    put("train", masked("0.png", "#23A436"))
    few = service.images.mask_faults("p").types
    assert [(each.type, each.name, each.found) for each in few] == [("train", "crack", 1)]
    project.create_dataset(ProjectName="p", DatasetType="test")
    waits.dataset(project, "test")
    few = service.images.mask_faults("p").types
    assert [(each.type, each.name, each.found) for each in few][-1] == ("test", "crack", 0)
    world.bucket.put("anomaly/9.png", picture((9, 9, 9)))
    put("test", masked("9.png", "#D7263D", shows=False))  # a map says what may be in a mask
    assert service.images.mask_faults("p").colours == []
    put("test", masked("9.png", "#D7263D"))
    faults = service.images.mask_faults("p").colours
    assert [(each.name, each.one, each.other) for each in faults] == [
        ("crack", "#23A436", "#D7263D")
    ]


@pytest.mark.parametrize("text", ["", "1", "1-", "-1-00000000", "²-00000000", "1-0000000g", "1-0"])
def test_what_is_no_image_is_told(text: str) -> None:
    assert ImageId.read(text) is None
    assert ImageId.read(str(ImageId(12, 0xAB))) == ImageId(12, 0xAB)
