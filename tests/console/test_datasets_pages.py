"""The pages of data sets as requests: who may what, what is refused, and what comes in."""

from __future__ import annotations

import base64
import io
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from lfvpipe import storage
from lfvpipe.console.bucket import console_bucket
from lfvpipe.console.datasets.calls import Call, call_by_folder
from lfvpipe.console.datasets.derived import Derived
from lfvpipe.console.datasets.desk import Desk
from lfvpipe.console.datasets.pipelines import Pipelines
from lfvpipe.console.datasets.thumbnails import draw
from lfvpipe.console.datasets.updates import DatasetName
from lfvpipe.console.datasets.uploads import Upload, fit_name
from lfvpipe.lookout.client import connect
from lfvpipe.lookout.failures import LookoutError
from lfvpipe.service import Service
from tests.service.conftest import FEW, ColourDetector, line, picture

from .conftest import Offered, Person, pages

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

OTHER_SIZE = picture((1, 1, 1), (64, 65))
HERE = pages("projects", "p", "datasets", "train")


@pytest.fixture
def filled(offered: Offered) -> Offered:
    """Serve a project p with a training data set of two images."""
    client, bucket = offered.client(), offered.buckets.bucket("bucket")
    client.create_project(ProjectName="p")
    bucket.create()
    for name in ("normal/a.png", "anomaly/dent/b.png", "readme.txt"):
        bucket.put(name, picture((len(name), 0, 0)))
    lines = [line("normal/a.png", "normal"), line("anomaly/dent/b.png", "anomaly")]
    bucket.put("train.manifest", "\n".join(map(json.dumps, lines)).encode())
    return offered


def send(person: Person, path: str, facts: Any = None, **headers: str) -> httpx.Response:
    """Send what a script of the pages sends."""
    said = {
        "origin": person.base,
        "accept": "application/json",
        "x-lfvpipe-csrf": person.form_token(),
        **headers,
    }
    body = facts if isinstance(facts, bytes) else json.dumps(facts).encode()
    return person.http.post(f"{person.base}{path}", content=body, headers=said)


def images(person: Person, kind: str = "train") -> list[list[str]]:
    path = pages("projects", "p", "datasets", kind, "choice")
    found: list[list[str]] = person.get(path).json()["images"]
    return found


def take_prefix(person: Person, address: str = "s3://bucket/", **more: str) -> httpx.Response:
    return person.post(f"{HERE}/import", {"address": address, **more})


def test_images_come_by_a_prefix_with_labels_by_folder_and_by_a_manifest(filled: Offered) -> None:
    ada = filled.person("ADA")
    assert take_prefix(ada, by_folder="on").status_code == 303
    shown = ada.get(HERE).text
    assert "2 images were added. 2 objects are no images, by their names." in shown
    assert [call for _, call in images(ada)] == ["anomaly:dent", "normal"]
    assert "3 more normal images needed" in shown

    by_manifest = {"manifest": "s3://bucket/train.manifest"}
    ada.post(f"{HERE}/import", by_manifest)
    assert "0 images were added. 2 were there already." in ada.get(HERE).text
    # Copies of training images leave no empty test data set behind.
    test = pages("projects", "p", "datasets", "test")
    filled.buckets.bucket("bucket").put("copies/a.png", picture((len("normal/a.png"), 0, 0)))
    ada.post(f"{test}/import", {"address": "s3://bucket/copies/"})
    assert "0 images were added. 1 " in ada.get(test).text
    described = filled.client().describe_project(ProjectName="p")["ProjectDescription"]
    assert [each["DatasetType"] for each in described["Datasets"]] == ["train"]

    ada.post(f"{HERE}/delete", {"name": "p"})
    ada.post(f"{HERE}/import", by_manifest)
    assert [call for _, call in images(ada)] == ["normal", "anomaly"]
    written = filled.lookout.of("us-east-1")
    assert written is not None
    assert [each.operation for each in written.changes(limit=2)] == [
        "UpdateDatasetEntries",
        "CreateDataset",
    ]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("bucket/normal", "bucket/normal"),
        ("s3://bucket/none/", "There is no image at s3://bucket/none/."),
        ("s3://absent/", "The bucket absent does not exist."),
        ("s3://bucket/../../service/", "There is no image at"),
    ],
)
def test_where_nothing_lies_nothing_comes_from(filled: Offered, address: str, told: str) -> None:
    ada = filled.person("ADA")
    take_prefix(ada, address)
    shown = ada.get(HERE)
    assert shown.status_code == 200
    assert told in shown.text
    assert filled.client().describe_project(ProjectName="p")["ProjectDescription"]["Datasets"] == []


def test_each_role_may_what_it_may_by_the_api(filled: Offered) -> None:
    take_prefix(filled.person("ADA"))
    rita, vic = filled.person("RITA"), filled.person("VIC")
    chosen = images(vic)
    order = {"images": chosen, "call": "anomaly"}
    assert send(vic, f"{HERE}/label", order).status_code == 403
    told = send(rita, f"{HERE}/label", order)
    assert told.json()["changed"] == 2
    assert send(rita, f"{HERE}/label", order).json()["text"] == (
        "0 images labelled. 2 were called so already."
    )
    assert {call for _, call in images(vic)} == {"anomaly"}
    foreign = send(rita, pages("projects", "q", "datasets", "undo"), told.json())
    assert "can no longer be undone" in foreign.json()["error"]
    assert send(rita, pages("projects", "p", "datasets", "undo"), told.json()).status_code == 200
    for path, facts in (
        ("remove", {"images": chosen}),
        ("move", {"images": chosen}),
        ("files?name=x.png", picture((1, 1, 1))),
        ("add", {"files": []}),
    ):
        assert send(rita, f"{HERE}/{path}", facts).status_code == 403, path
    rita.post(f"{HERE}/import", {"address": "s3://bucket/"})
    rita.post(f"{HERE}/delete", {"name": "p"})
    assert len(images(rita)) == 2
    for person, offers in ((rita, True), (vic, False)):
        shown = person.get(HERE).text
        assert ('id="tools"' in shown) is offers
        assert 'id="upload"' not in shown


def test_nothing_waits_for_a_data_set_that_could_not_be_created(
    filled: Offered, waits: Any
) -> None:
    ada, client = filled.person("ADA"), filled.client()
    take_prefix(ada)
    filled.buckets.bucket("bucket").put("bad.manifest", b"no json")
    source = {"S3Object": {"Bucket": "bucket", "Key": "bad.manifest"}}
    client.create_dataset(
        ProjectName="p", DatasetType="test", DatasetSource={"GroundTruthManifest": source}
    )
    with pytest.raises(LookoutError):
        waits.dataset(client, kind="test")
    answer = send(ada, f"{HERE}/move", {"images": images(ada)})
    assert "could not be created. Line 1 is no JSON" in answer.json()["error"]
    assert len(images(ada)) == 2
    assert "The data set is not ready" in ada.get(pages("projects", "p", "datasets", "test")).text


def test_a_type_is_renamed_in_both_data_sets(filled: Offered) -> None:
    ada, rita, vic = (filled.person(key) for key in ("ADA", "RITA", "VIC"))
    take_prefix(ada)
    send(ada, f"{HERE}/label", {"images": images(ada), "call": "anomaly:dent"})
    send(ada, f"{HERE}/move", {"images": images(ada)[:1]})
    types = pages("projects", "p", "datasets", "types")
    vic.post(types, {"old": "dent", "new": "bump"})
    assert images(ada)[0][1] == "anomaly:dent"
    rita.post(types, {"old": "dent", "new": " small  bump"})
    assert images(ada)[0][1] == images(ada, "test")[0][1] == "anomaly:small bump"
    assert "2 images have the type small bump instead of dent." in rita.get(HERE).text
    for old, new in (("", "zz"), ("nosuch", "zz"), ("small bump", "small bump")):
        rita.post(types, {"old": old, "new": new})
        assert f"No image has a type “{old}”" in rita.get(HERE).text
    rita.post(types, {"old": "small bump", "new": "Normal"})
    assert "is no anomaly type" in rita.get(HERE).text


def test_who_labels_neither_adds_nor_moves_images_by_any_way(filled: Offered) -> None:
    ada, rita = filled.person("ADA"), filled.person("RITA")
    take_prefix(ada)
    send(ada, f"{HERE}/move", {"images": images(ada)[:1]})
    before = images(ada), images(ada, "test")
    refused = send(rita, f"{HERE}/move", {"images": images(rita)})
    assert refused.status_code == 403
    assert (images(ada), images(ada, "test")) == before  # not half of a move either
    labelled = send(rita, f"{HERE}/label", {"images": images(rita), "call": "anomaly:dent"})
    assert labelled.status_code == 200


def test_a_foreign_page_and_an_old_form_change_nothing(filled: Offered) -> None:
    ada = filled.person("ADA")
    take_prefix(ada)
    order = {"images": images(ada), "call": "normal"}
    assert send(ada, f"{HERE}/label", order, origin="https://evil.example").status_code == 403
    assert send(ada, f"{HERE}/label", order, **{"x-lfvpipe-csrf": "0" * 64}).status_code == 403
    assert {call for _, call in images(ada)} == {""}


@pytest.mark.parametrize(
    "facts",
    [
        None,
        [],
        {},
        {"images": "x", "call": ""},
        {"images": [["1-00000000"]], "call": ""},
        {"images": [["../x", ""]], "call": ""},
        {"images": [], "call": 5},
        {"images": [], "call": "bad"},
        {"images": [[5, []]], "call": "normal"},
    ],
)
def test_what_no_page_sends_is_refused(filled: Offered, facts: Any) -> None:
    ada = filled.person("ADA")
    take_prefix(ada)
    answer = send(ada, f"{HERE}/label", facts)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_pictures_are_of_the_data_set_and_of_nothing_else(filled: Offered) -> None:
    ada = filled.person("ADA")
    take_prefix(ada)
    image = images(ada)[0][0]
    small = ada.get(f"{HERE}/thumbnails/{image}")
    assert (small.status_code, small.headers["content-type"]) == (200, "image/webp")
    whole = ada.get(f"{HERE}/images/{image}")
    assert whole.content == filled.buckets.bucket("bucket").get("anomaly/dent/b.png")
    assert whole.headers["x-content-type-options"] == "nosniff"
    place = image.partition("-")[0]
    for other in (f"{place}-00000000", "0-00000000", "..%2f..%2fcredentials", "train.manifest"):
        assert ada.get(f"{HERE}/thumbnails/{other}").status_code == 404, other
        assert ada.get(f"{HERE}/images/{other}").status_code == 404, other
    filled.buckets.bucket("bucket").put("anomaly/dent/b.png", b"<script>")
    assert ada.get(f"{HERE}/images/{image}").status_code == 404
    assert ada.get(f"{HERE}/thumbnails/{image}").status_code == 404
    assert ada.get(pages("projects", "p", "datasets", "other")).status_code == 404
    shutil.rmtree(filled.root / "buckets/bucket")
    for kind in ("thumbnails", "images"):
        gone = ada.get(f"{HERE}/{kind}/{image}")
        assert gone.status_code == 404
        assert str(filled.root) not in gone.text


def test_a_file_is_stored_once_under_a_name_that_fits_and_is_added_with_its_label(
    filled: Offered,
) -> None:
    ada = filled.person("ADA")
    told = send(ada, f"{HERE}/files?name=..%2F..%2Fevil%3A%23%E2%80%AE.jpg", picture((5, 5, 5)))
    stored = told.json()
    assert stored["name"] == "evil___.jpg.png"
    file = stored | {"path": "NG/scratch/x.png"}
    added = send(ada, f"{HERE}/add", {"files": [file, file], "by_folder": True})
    assert added.json()["added"] == 1
    assert [call for _, call in images(ada)] == ["anomaly:scratch"]
    assert send(ada, f"{HERE}/add", {"files": [file]}).json()["added"] == 0
    asked = {"files": [stored, {"digest": "0" * 64}, {"digest": 5}, 5]}
    known = send(ada, f"{HERE}/known", asked).json()
    assert known == {"known": {stored["digest"]: "train"}, "otherwise": []}

    send(ada, f"{HERE}/move", {"images": images(ada)})
    assert send(ada, f"{HERE}/add", {"files": [file]}).json()["added"] == 0  # it is in the other
    assert len(images(ada, "test")) == 1


def test_an_image_of_another_bucket_is_not_brought_into_the_test_as_well(filled: Offered) -> None:
    ada = filled.person("ADA")
    take_prefix(ada)
    data = filled.buckets.bucket("bucket").get("normal/a.png")
    test = pages("projects", "p", "datasets", "test")
    stored = send(ada, f"{test}/files?name=other.png", data).json()
    new = send(ada, f"{test}/files?name=new.png", picture((9, 9, 9))).json()
    assert send(ada, f"{test}/add", {"files": [stored, new]}).json()["added"] == 1
    assert len(images(ada, "test")) == 1


def test_a_picture_under_two_labels_is_told_wherever_the_second_comes(filled: Offered) -> None:
    ada = filled.person("ADA")
    stored = send(ada, f"{HERE}/files?name=a.png", picture((5, 5, 5))).json()
    good, bad = stored | {"path": "normal/a.png"}, stored | {"path": "zip/anomaly/dent/b.png"}
    told = "Its folder calls it anomaly; the same image is there as normal, and stays so."

    def ask(path: str, files: Any, *, by_folder: bool = True) -> Any:
        return send(ada, f"{HERE}/{path}", {"files": files, "by_folder": by_folder}).json()

    assert ask("known", [good, bad])["otherwise"] == [[bad["path"], told]]  # of one part
    assert ask("known", [good, bad], by_folder=False)["otherwise"] == []
    assert ask("add", [good]) | {"undo": ""} == {
        "added": 1,
        "undo": "",
        "remark": "",
        "otherwise": [],
    }
    assert ask("known", [bad])["otherwise"] == [[bad["path"], told]]  # of a later part
    assert ask("known", [good, stored])["otherwise"] == []
    added = ask("add", [bad])  # where it is known by its bytes alone
    assert (added["added"], added["otherwise"]) == (0, [[bad["path"], told]])
    assert [call for _, call in images(ada)] == ["normal"]


def test_copies_in_a_bucket_are_known_by_their_bytes(filled: Offered) -> None:
    ada, bucket = filled.person("ADA"), filled.buckets.bucket("bucket")
    take_prefix(ada, "s3://bucket/normal/", by_folder="on")
    send(ada, f"{HERE}/label", {"images": images(ada), "call": "normal"})
    same, new = bucket.get("normal/a.png"), picture((9, 9, 9))
    for key, data in (("good/copy.png", same), ("bad/copy.png", same), ("good/new.png", new)):
        bucket.put(f"more/{key}", data)
    bucket.put("more/good/twice.png", new)
    take_prefix(ada, "s3://bucket/more/", by_folder="on")
    shown = ada.get(HERE).text
    assert "1 image was added. 3 were left out: they are, byte for byte, images" in shown
    assert "1 of these has another label than the image that is there:" in shown
    assert "more/bad/copy.png: anomaly here, normal as s3://bucket/normal/a.png, which" in shown
    test = pages("projects", "p", "datasets", "test")
    lines = [line("more/bad/copy.png", "normal"), line("anomaly/dent/b.png", "anomaly")]
    lines[0]["source-ref"] = lines[0]["source-ref"].replace("s3://", "S3://")
    bucket.put("test.manifest", "\n".join(map(json.dumps, lines)).encode())
    ada.post(f"{test}/import", {"manifest": "s3://bucket/test.manifest"})
    assert "1 image was added. 1 was left out: it is, byte for byte" in ada.get(test).text
    assert [call for _, call in images(ada, "test")] == ["anomaly"]


def test_what_is_too_much_to_compare_is_added_and_told(
    filled: Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lfvpipe.console.datasets.imports._MOST_READ", 10)
    filled.buckets.bucket("bucket").put("normal/c.png", picture((len("normal/a.png"), 0, 0)))
    ada = filled.person("ADA")
    take_prefix(ada, "s3://bucket/normal/")
    told = "2 images were added. 2 were added though some may be copies: they could not be compared"
    assert told in ada.get(HERE).text


def test_of_a_whole_bucket_comes_what_is_in_no_other_use(filled: Offered) -> None:
    ada, bucket = filled.person("ADA"), filled.buckets.bucket("bucket")
    take_prefix(ada, by_folder="on")
    page = ada.get(f"{HERE}/images/{images(ada)[0][0]}/annotation").text
    painted = io.BytesIO()
    Image.new("RGBA", (64, 64), "#23A436").save(painted, "PNG")
    mask = base64.b64encode(painted.getvalue()).decode()
    stand = page.partition('data-stand="')[2].partition('"')[0]
    marked = {"mask": mask, "classes": {"dent": "#23A436"}, "stand": stand}
    assert send(ada, f"{HERE}/images/{images(ada)[0][0]}/mask", marked).status_code == 200
    send(ada, f"{HERE}/move", {"images": images(ada)[1:]})
    for key in ("console/trials/1/x/a.png", "lfvpipe-masks/old.png", "new/c.png"):
        bucket.put(key, picture((len(key), 1, 1)))
    take_prefix(ada)
    shown = ada.get(HERE).text
    assert "1 image was added. 1 was there already. 2 objects are no images" in shown
    assert "4 were left out: masks, images of the project&#39;s other data set, or" in shown
    assert len(images(ada)) == 2
    take_prefix(ada, "s3://bucket/normal/")
    assert "but one that is in use: a mask, an image of the project" in ada.get(HERE).text
    assert len(images(ada)) == 2


def test_two_people_who_bring_the_same_photograph_bring_one(filled: Offered) -> None:
    people = [filled.person("ADA") for _ in range(4)]
    data = picture((7, 7, 7))
    stored = [send(each, f"{HERE}/files?name={n}.png", data) for n, each in enumerate(people)]

    def add(number: int) -> int:
        added = send(people[number], f"{HERE}/add", {"files": [stored[number].json()]})
        return int(added.json()["added"])

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(add, range(4))) == 1
    assert len(images(people[0])) == 1


def test_a_file_of_another_size_is_told_at_the_door(filled: Offered) -> None:
    ada = filled.person("ADA")
    take_prefix(ada)
    other = send(ada, pages("projects", "p", "datasets", "test", "files?name=x.png"), OTHER_SIZE)
    assert "64 x 65 pixels, the project's images have 64 x 64" in other.json()["refused"]


@pytest.mark.parametrize(
    ("digest", "name"),
    [("0" * 64, "never.png"), ("x", "a.png"), ("0" * 64, "../../a.png"), ("0" * 64, "")],
)
def test_what_was_never_stored_is_not_added(filled: Offered, digest: str, name: str) -> None:
    ada = filled.person("ADA")
    take_prefix(ada)
    there = images(ada)
    answer = send(ada, f"{HERE}/add", {"files": [{"digest": digest, "name": name}]})
    assert answer.status_code == 400
    assert images(ada) == there


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "an empty file"),
        (b"<svg onload=alert(1)>", "a web page"),
        (picture((1, 1, 1))[:70], "damaged|cut"),
        (picture((1, 1, 1), (8, 8)), "8 x 8 pixels"),
    ],
    ids=["empty", "markup", "cut", "small"],
)
def test_what_is_no_image_is_not_stored(filled: Offered, data: bytes, told: str) -> None:
    answer = send(filled.person("ADA"), f"{HERE}/files?name=x.png", data)
    assert any(each in answer.json()["refused"] for each in told.split("|"))


def test_a_folders_type_that_is_none_is_told(filled: Offered) -> None:
    ada, bucket = filled.person("ADA"), filled.buckets.bucket("bucket")
    stored = send(ada, f"{HERE}/files?name=a.png", picture((1, 2, 3))).json()
    path = f"NG/{'t' * 300}/a.png"
    added = send(ada, f"{HERE}/add", {"files": [{**stored, "path": path}], "by_folder": True})
    ((named, told),) = added.json()["otherwise"]
    assert named == path
    assert "without a type" in told
    assert "1 to 100 characters" in told
    bucket.put("more/NG/normal/b.png", picture((3, 2, 1)))
    bucket.put("more/NG/dent/c.png", picture((3, 3, 1)))
    bucket.put("more/NG/d.png", picture((3, 4, 1)))
    send(ada, f"{HERE}/remove", {"images": images(ada)})
    take_prefix(ada, "s3://bucket/more/", by_folder="on")
    shown = ada.get(HERE).text
    assert "1 is an anomaly without a type, as its folder names none: s3://bucket/more" in shown
    assert "“normal” is no anomaly type" in shown


@pytest.mark.parametrize(
    ("path", "call"),
    [
        ("photos/good/1.png", Call("normal")),
        ("photos/NG/Kratzer/1.png", Call("anomaly", "Kratzer")),
        ("anomaly/1.png", Call("anomaly")),
        ("anomaly/normal/1.png", Call("anomaly")),
        ("good.png", Call(None)),
        ("photos/other/1.png", Call(None)),
    ],
)
def test_folders_say_what_images_are(path: str, call: Call) -> None:
    assert call_by_folder(path) == call


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("a.JPEG", "a.JPEG"),
        ("con.jpg", "_con.jpg"),
        ("x" * 300 + ".jpg", "x" * 120 + ".jpg"),
        ("", "image.jpg"),
        ("a/b\\c .png", "c .png.jpg"),
        ("\ud800.jpg", "_.jpg"),
    ],
)
def test_names_fit_every_store(name: str, kept: str) -> None:
    assert fit_name(name, "JPEG") == kept
    assert fit_name(kept, "JPEG") == kept


def test_small_pictures_are_bounded_and_a_damaged_file_is_made_again(
    filled: Offered, tmp_path: Path
) -> None:
    bucket, file = filled.buckets.bucket("bucket"), tmp_path / "small.db"
    for number in range(12):
        buffer = io.BytesIO()
        Image.effect_noise((256, 256), 90).save(buffer, "PNG")
        bucket.put(f"{number}.png", buffer.getvalue())
    small = Derived(file, draw, most=100_000)
    for number in range(12):
        assert small.find(bucket, f"{number}.png")
    assert small.find(bucket, "none.png") is None
    del small
    assert file.stat().st_size < 300_000
    file.write_bytes(b"damage" * 1000)
    again = Derived(file, draw, most=100_000)
    assert again.find(bucket, "1.png")
    assert again.find(bucket, "1.png")
    assert file.read_bytes().startswith(b"SQLite format 3")
    bucket.put("1.png", b"no image")
    assert again.find(bucket, "1.png") is None


def test_the_consoles_bucket_on_s3_takes_images_and_shows_them(s3: str, tmp_path: Path) -> None:
    service = Service(
        tmp_path / "service",
        storage.connect(s3, region="us-east-1", root=tmp_path),
        region="us-east-1",
        quotas=FEW,
        stand_in=ColourDetector(),
    )
    client = connect("embedded", region="us-east-1", handler=service.handle_for_owner)
    client.create_project(ProjectName="p")
    desk = Desk(client, service, Pipelines(None, service))
    dataset = DatasetName("p", "train")
    desk.updates.create(dataset)
    stored = desk.uploads.store(dataset, "größe 1.png", picture((1, 1, 1)))
    added = desk.uploads.add(dataset, [Upload(stored.digest, stored.name, Call("normal"))])
    assert added.done.changed == 1
    image = service.images.catalogue("p", "train").images[0]
    bucket, key = storage.parse_s3_uri(image.source)
    assert bucket.startswith("lfvpipe-console-us-east-1-")
    assert key.endswith("/größe 1.png")
    assert desk.thumbnails.find(service.buckets.bucket(bucket), key)
    assert console_bucket(service).name == bucket
    service.close()
