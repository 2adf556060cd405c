"""Labelling, moving and removing many images, two people at once, and undoing it."""

import json
import threading
from typing import Any

import pytest

from lfvpipe.console.datasets.calls import Call, NoCall, call_of
from lfvpipe.console.datasets.editing import Editing, Seen, TooLate
from lfvpipe.console.datasets.updates import DatasetName, UpdateFailed, Updates
from lfvpipe.lookout.api import LookoutClient
from lfvpipe.lookout.client import connect
from lfvpipe.service.images import Show, Wanted
from lfvpipe.service.service import Service
from tests.service.conftest import World, line, picture

TRAIN, TEST = DatasetName("p", "train"), DatasetName("p", "test")
NORMAL, ANOMALY, NOTHING = Call("normal"), Call("anomaly"), Call(None)


@pytest.fixture
def service(world: World) -> Service:
    """A service with a project p whose training data set has eight images, none labelled."""
    service = world.open()
    client = connect("embedded", region="us-east-1", handler=service.handle_for_owner)
    client.create_project(ProjectName="p")
    client.create_dataset(ProjectName="p", DatasetType="train")
    lines = []
    for number in range(8):
        world.bucket.put(f"{number}.png", picture((number, 0, 0)))
        lines.append(json.dumps({"source-ref": f"s3://bucket/{number}.png", "batch": number}))
    Updates(client, service.images).put(TRAIN, *initial(lines))
    return service


@pytest.fixture
def client(service: Service) -> LookoutClient:
    return connect("embedded", region="us-east-1", handler=service.handle_for_owner)


@pytest.fixture
def editing(client: LookoutClient, service: Service) -> Editing:
    return Editing(service.images, Updates(client, service.images))


def initial(lines: list[str]) -> tuple[dict[str, str], dict[str, None]]:
    by_source = {json.loads(each)["source-ref"]: each for each in lines}
    return by_source, dict.fromkeys(by_source)


def seen(service: Service, *names: str, dataset: DatasetName = TRAIN) -> list[Seen]:
    images = service.images.catalogue(dataset.project, dataset.type).images
    return [Seen(each.id, call_of(each)) for each in images if not names or each.key in names]


def calls(service: Service, dataset: DatasetName = TRAIN) -> dict[str, str]:
    images = service.images.catalogue(dataset.project, dataset.type).images
    return {each.key: str(call_of(each)) for each in images}


def test_many_images_are_labelled_at_once_and_it_is_undone(
    editing: Editing, service: Service, client: LookoutClient
) -> None:
    chosen = seen(service, "0.png", "1.png", "2.png")
    done = editing.label(TRAIN, chosen, Call("anomaly", "dent"))
    assert (done.changed, done.already, done.differing) == (3, 0, 0)
    listed = client.list_dataset_entries(
        ProjectName="p", DatasetType="train", AnomalyClass="anomaly"
    )["DatasetEntries"]
    assert [json.loads(each)["batch"] for each in listed] == [0, 1, 2]
    assert calls(service)["1.png"] == "anomaly:dent"

    again = editing.label(TRAIN, seen(service, "0.png"), ANOMALY)
    assert (again.changed, again.already, again.undo) == (0, 1, "")  # it says no less than that

    undone = editing.undo("p", done.undo)
    assert (undone.changed, undone.differing) == (3, 0)
    assert set(calls(service).values()) == {""}
    with pytest.raises(TooLate):
        editing.undo("p", done.undo)


def test_what_another_person_decided_meanwhile_stands(editing: Editing, service: Service) -> None:
    chosen = seen(service, "0.png", "1.png")
    editing.label(TRAIN, seen(service, "1.png"), ANOMALY)
    done = editing.label(TRAIN, chosen, NORMAL)
    assert (done.changed, done.differing) == (1, 1)
    assert (calls(service)["0.png"], calls(service)["1.png"]) == ("normal", "anomaly")

    editing.label(TRAIN, seen(service, "0.png"), NOTHING)
    undone = editing.undo("p", done.undo)
    assert (undone.changed, undone.differing) == (0, 1)


def test_what_is_under_way_by_the_api_is_waited_for(
    editing: Editing, service: Service, client: LookoutClient
) -> None:
    chosen = seen(service, "0.png", "1.png")
    changes = json.dumps(line("1.png", "anomaly")).encode()
    client.update_dataset_entries(ProjectName="p", DatasetType="train", Changes=changes)
    done = editing.label(TRAIN, chosen, NORMAL)
    assert (done.changed, done.differing) == (1, 1)


def test_people_at_once_in_two_processes_lose_nothing(world: World, service: Service) -> None:
    chosen = seen(service)
    barrier = threading.Barrier(4)
    failed: list[BaseException] = []

    def work(opened: Service, part: int) -> None:
        made = connect("embedded", region="us-east-1", handler=opened.handle_for_owner)
        editing = Editing(opened.images, Updates(made, opened.images))
        barrier.wait()
        try:
            for each in chosen[part::4]:
                editing.label(TRAIN, [each], NORMAL if part % 2 else ANOMALY)
        except BaseException as error:
            failed.append(error)
            raise

    services = [service, world.open(), service, world.open()]
    threads = [
        threading.Thread(target=work, args=each) for each in zip(services, range(4), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert list(calls(service).values()) == ["anomaly", "normal"] * 4


def test_images_move_to_the_other_data_set_and_back(editing: Editing, service: Service) -> None:
    editing.label(TRAIN, seen(service, "3.png"), NORMAL)
    done = editing.move(TRAIN, [each.id for each in seen(service, "3.png", "4.png")])
    assert done.changed == 2
    assert calls(service, TEST) == {"3.png": "normal", "4.png": ""}
    assert "3.png" not in calls(service)
    assert editing.undo("p", done.undo).changed == 2
    assert calls(service, TEST) == {}
    assert calls(service)["3.png"] == "normal"


def test_images_that_cannot_move_stay(
    editing: Editing, service: Service, world: World, client: LookoutClient, waits: Any
) -> None:
    world.buckets.bucket("other").create()
    world.buckets.bucket("other").put("x.png", picture((1, 1, 1)))
    source = world.put_manifest([line("x", "normal") | {"source-ref": "s3://other/x.png"}])
    client.create_dataset(ProjectName="p", DatasetType="test", DatasetSource=source)
    waits.dataset(client, kind="test")
    with pytest.raises(UpdateFailed, match="must lie in one bucket"):
        editing.move(TRAIN, [each.id for each in seen(service, "3.png")])
    assert "3.png" in calls(service)


def test_images_are_removed_and_come_back(editing: Editing, service: Service) -> None:
    images = seen(service, "5.png", "6.png")
    done = editing.remove(TRAIN, [each.id for each in images])
    assert done.changed == 2
    assert len(calls(service)) == 6
    assert editing.remove(TRAIN, [images[0].id]).gone == 1
    assert editing.undo("p", done.undo).changed == 2
    assert list(calls(service))[-2:] == ["5.png", "6.png"]


def test_an_image_that_is_gone_is_not_labelled(editing: Editing, service: Service) -> None:
    images = seen(service, "5.png", "6.png")
    editing.remove(TRAIN, [images[0].id])
    done = editing.label(TRAIN, images, NORMAL)
    assert (done.changed, done.gone) == (1, 1)
    assert service.images.catalogue("p", "train").select(Wanted(show=Show.NORMAL))


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("", NOTHING),
        ("normal", NORMAL),
        ("anomaly", ANOMALY),
        ("anomaly:  a   b ", Call("anomaly", "a b")),
    ],
)
def test_a_call_is_read(text: str, call: Call) -> None:
    assert Call.read(text) == call
    assert Call.read(str(call)) == call


@pytest.mark.parametrize(
    "text",
    ["bad", "normal:dent", ":dent", "anomaly:Normal", "anomaly:\u202e", "anomaly:" + "x" * 101],
)
def test_what_is_no_call_is_refused(text: str) -> None:
    with pytest.raises(NoCall):
        Call.read(text)
