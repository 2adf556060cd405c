"""What of a data set is worth a look: copies, lookalikes, odd light and sizes, doubted labels."""

from __future__ import annotations

import html
import io
import json
import re
from typing import TYPE_CHECKING, Any

import numpy
import pytest
from PIL import Image

from tests.service.conftest import picture

from .conftest import Offered, Person, pages
from .models import add_model
from .test_datasets_browser import wait
from .test_datasets_pages import send

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = pages("projects", "p", "datasets")
SIZE = (96, 80)
GONE = "It is not in its bucket, or has more than 64 MiB."


def noise(seed: int, *, by: float = 1, form: str = "PNG", size: tuple[int, int] = SIZE) -> bytes:
    """Return a photograph of coarse spots, unlike those of other seeds."""
    spots = numpy.random.default_rng(seed).integers(60, 190, (9, 11)) * by
    buffer = io.BytesIO()
    grown = Image.fromarray(spots.clip(0, 255).astype(numpy.uint8)).resize(size, 0)
    grown.convert("RGB").save(buffer, form)
    return buffer.getvalue()


def fill(offered: Offered, train: Mapping[str, str], test: Mapping[str, str]) -> None:
    """Make data sets of images in the bucket, by name with what they are called."""
    client = offered.client()
    client.create_project(ProjectName="p")
    for kind, named in (("train", train), ("test", test)):
        typed: Any = kind
        client.create_dataset(ProjectName="p", DatasetType=typed)
        lines = [
            json.dumps({"source-ref": f"s3://bucket/{name}", "x-metadata": {"class-name": label}})
            for name, label in named.items()
        ]
        changes = "\n".join(lines).encode()
        client.update_dataset_entries(ProjectName="p", DatasetType=typed, Changes=changes)
        wait(client, kind)


def examine(person: Person) -> dict[str, Any]:
    while True:
        told: dict[str, Any] = person.get(f"{HERE}/examination").json()
        if told["whole"] or told["failed"]:
            return told


def counts(text: str) -> dict[str, str]:
    found = re.findall(r'\?check=(\w+)"[^>]*>[^<]*: ([0-9,]+)<', text)
    return dict(found)


def tiles(text: str) -> list[tuple[str, list[str]]]:
    """Return the names of a gallery's images, and what is said of each."""
    return [
        (
            html.unescape(re.findall('class="name">([^<]*)<', tile)[0]),
            [html.unescape(each) for each in re.findall('class="note">([^<]*)<', tile)],
        )
        for tile in text.split('<li class="tile')[1:]
    ]


@pytest.fixture
def odd(offered: Offered) -> Offered:
    """Serve a project that has one of everything that is worth a look."""
    bucket = offered.buckets.bucket("bucket")
    bucket.create()
    train = {}
    for seed in range(12):
        bucket.put(f"{seed}.png", noise(seed))
        train[f"{seed}.png"] = "normal"
    others = {
        "copy.png": noise(3),
        "again.jpg": noise(5, form="JPEG"),
        "dark.png": noise(30, by=0.2),
        "small.png": noise(31, size=(90, 80)),
        "cut.png": noise(32)[:-60],
        "test.jpg": noise(7, form="JPEG"),
        "alone.png": noise(33),
        "gone.png": noise(34),
    }
    for name, data in others.items():
        bucket.put(name, data)
    train |= {"copy.png": "normal", "again.jpg": "anomaly"}
    train |= dict.fromkeys(["dark.png", "small.png", "cut.png", "gone.png"], "normal")
    fill(offered, train, {"test.jpg": "normal", "alone.png": "anomaly", "9.png": "normal"})
    bucket.delete(["gone.png"])
    return offered


def test_what_is_alike_or_unusual_is_counted_and_shown_with_those_of_both_labels_first(
    odd: Offered,
) -> None:
    person = odd.person("VIC")
    before = person.get(f"{HERE}/train").text
    assert "Looking at the images: 0 of 20" in before
    assert counts(before) == {}
    assert tiles(person.get(f"{HERE}/train?check=alike").text) == []
    assert examine(person) == {
        "known": 20,
        "whole": True,
        "failed": False,
        "text": "Looking at the images: 20 of 20 …",
    }
    after = person.get(f"{HERE}/train").text
    assert "Looking at" not in after
    assert counts(after) == {
        "alike": "6",
        "same": "3",
        "shared": "2",
        "light": "1",
        "size": "1",
        "unreadable": "2",
    }
    assert tiles(person.get(f"{HERE}/train?check=alike").text) == [
        ("5.png", ["Group 1", "Both labels"]),
        ("again.jpg", ["Group 1", "Both labels"]),
        ("7.png", ["Group 2", "In test: test.jpg, normal"]),
        ("3.png", ["Group 3"]),
        ("copy.png", ["Group 3"]),
        ("9.png", ["Group 4", "In test: 9.png, normal"]),
    ]
    found = {
        check: tiles(person.get(f"{HERE}/train?check={check}").text)
        for check in ("same", "shared", "light", "size", "unreadable")
    }
    assert [name for name, _ in found["same"]] == ["3.png", "copy.png", "9.png"]
    assert [name for name, _ in found["shared"]] == ["7.png", "9.png"]
    [(name, said)] = found["light"]
    assert name == "dark.png"
    assert re.fullmatch(r"Brightness 2\d of 255; usual is 12\d", said[0])
    assert found["size"] == [("small.png", ["90x80; most have 96x80"])]
    (cut, why), (gone, missing) = found["unreadable"]
    assert (cut, gone, missing) == ("cut.png", "gone.png", [GONE])
    assert why[0].startswith("It ")

    shown = person.get(f"{HERE}/test?check=shared").text
    assert tiles(shown) == [
        ("test.jpg", ["Group 2", "In training: 7.png, normal"]),
        ("9.png", ["Group 4", "In training: 9.png, normal"]),
    ]
    chosen = person.get(f"{HERE}/train/choice?check=alike&show=anomaly").json()["images"]
    assert [call for _, call in chosen] == ["anomaly"]
    by_name = tiles(person.get(f"{HERE}/train?check=alike&sort=name").text)
    assert [name for name, _ in by_name] == sorted(name for name, _ in by_name)
    assert len(tiles(person.get(f"{HERE}/train?check=nothing").text)) == 18


def test_groups_go_by_the_labels_of_now_and_what_was_seen_is_kept(
    odd: Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = odd.person("ADA")
    examine(person)
    text = person.get(f"{HERE}/train?name=copy.png").text
    [image] = re.findall('type="checkbox" value="([^"]+)"', text)
    send(person, f"{HERE}/train/label", {"images": [[image, "normal"]], "call": "anomaly"})
    shown = tiles(person.get(f"{HERE}/train?check=same").text)
    assert shown[:2] == [("3.png", ["Group 1", "Both labels"]), ("copy.png", shown[0][1])]

    # Another server on the same folder reads no image again.
    def refuse(*_: Any) -> Any:
        raise AssertionError

    odd.console._desks.clear()
    monkeypatch.setattr("lfvpipe.console.datasets.examining.measure", refuse)
    assert examine(person)["whole"]
    assert counts(person.get(f"{HERE}/train").text)["alike"] == "6"


def test_a_store_that_does_not_answer_is_told_and_nothing_is_taken_for_known(
    odd: Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lfvpipe.storage import StorageError
    from lfvpipe.storage.local import LocalBucket

    def fail(*_: Any, **__: Any) -> Any:
        raise StorageError("s3://bucket")

    person = odd.person("VIC")
    with monkeypatch.context() as broken:
        broken.setattr(LocalBucket, "head", fail)
        told = examine(person)
    assert (told["failed"], told["known"]) == (True, 0)
    assert told["text"] == "The object store does not answer. Load the page again to go on."
    assert examine(person)["whole"]
    assert counts(person.get(f"{HERE}/train").text)["unreadable"] == "2"


def test_one_object_that_the_store_does_not_give_keeps_no_other_from_being_looked_at(
    odd: Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lfvpipe.storage import StorageError
    from lfvpipe.storage.local import LocalBucket

    head = LocalBucket.head

    def fail(self: LocalBucket, key: str, **options: Any) -> Any:
        if key in ("0.png", "alone.png"):
            raise StorageError("s3://bucket")
        return head(self, key, **options)

    monkeypatch.setattr(LocalBucket, "head", fail)
    person = odd.person("VIC")
    examine(person)
    while not examine(person)["whole"]:
        pass
    said = dict(tiles(person.get(f"{HERE}/train?check=unreadable").text))
    assert said["0.png"] == ["Its bucket does not give it."]
    assert [*said] == ["0.png", "cut.png", "gone.png"]


def test_labels_that_training_doubted_are_shown_until_they_are_corrected(offered: Offered) -> None:
    bucket = offered.buckets.bucket("bucket")
    bucket.create()
    named = {f"{n}.png": "normal" if n % 2 else "anomaly" for n in range(20)}
    for number, name in enumerate(named):
        bucket.put(name, picture((number, 9, 9)))
    fill(offered, named, dict(list(named.items())[:2]))
    person = offered.person("RITA")
    assert "once a model is trained on ten images" in person.get(f"{HERE}/train").text
    assert "once a model is trained" not in person.get(f"{HERE}/test").text
    # Of all normal images the model is as sure that they are not as of those that are not.
    offered.detector.doubts = {"normal": 0.9, "anomaly": 0.9}
    add_model(offered)
    text = person.get(f"{HERE}/train?check=suspect").text
    assert counts(text)["suspect"] == "10"
    assert [said for _, said in tiles(text)] == [["Held to be anomalous, 90%"]] * 10
    images = re.findall('type="checkbox" value="([^"]+)"', text)[:3]
    chosen = {"images": [[image, "normal"] for image in images], "call": "anomaly"}
    send(person, f"{HERE}/train/label", chosen)
    after = person.get(f"{HERE}/train?check=suspect").text
    assert counts(after)["suspect"] == "7"
    assert len(tiles(after)) == 7
