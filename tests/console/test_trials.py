"""Trial detections over HTTP: bring, judge, verify, add to a data set, delete, and the bounds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lfvpipe.console.bucket import console_bucket
from lfvpipe.console.trials import work
from lfvpipe.lookout.api import DATASET_TYPES
from lfvpipe.lookout.waiters import wait_for_dataset_deletion, wait_for_model_deletion
from lfvpipe.service import trials as service_trials
from lfvpipe.service.trials import Show
from tests.service.conftest import GREEN, RED, Waits, picture

from .conftest import Offered, Person, pages
from .models import draw_heat_maps, train

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    import pytest

NEW_RED = (201, 0, 0)  # of no training image: those are not added again
TRIALS = pages("projects", "p", "trials")


def ask(person: Person, path: str, body: bytes = b"") -> httpx.Response:
    """Send what a script of the page sends."""
    headers = {
        "origin": person.base,
        "accept": "application/json",
        "x-lfvpipe-csrf": person.form_token(),
    }
    return person.http.post(f"{person.base}{path}", content=body, headers=headers)


def begin(person: Person, **fields: str) -> str:
    """Begin a trial; return its page's path."""
    answer = person.post(TRIALS, {"name": "Monday", "version": "1", **fields})
    assert answer.status_code == 303
    found: str = answer.headers["location"]
    assert re.fullmatch(rf"{TRIALS}/\d+", found), person.get(TRIALS).text
    return found


def bring(person: Person, trial: str, name: str, image: bytes) -> dict[str, Any]:
    answer = ask(person, f"{trial}/images?name={name}", image)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def notice(person: Person, path: str, fields: dict[str, Any]) -> str:
    """Send a form; return what the next page says."""
    answer = person.post(path, fields)
    text = person.get(answer.headers["location"]).text
    found = re.search(r'<p class="notice \w+" role="\w+">(.*?)</p>', text)
    return found[1] if found else ""


def everything(person: Person, trial: str, query: str = "") -> dict[str, str]:
    """Return what the page's form sends of all images that are shown."""
    found = re.search('name="sight" value="(.*?)"', person.get(f"{trial}{query}").text)
    assert found
    return {"all": "yes", "sight": found[1]}


def sources(offered: Offered, kind: str) -> list[str]:
    listed = offered.client().list_dataset_entries(ProjectName="p", DatasetType=kind)  # type: ignore[arg-type]
    return [each for each in listed["DatasetEntries"] if "console/datasets" in each]


def service_of(offered: Offered) -> Any:
    return offered.lookout.of("us-east-1")


def test_images_are_judged_verified_and_given_to_a_data_set(
    offered: Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(offered)
    draw_heat_maps(monkeypatch)
    ada = offered.person("ADA")
    trial = begin(ada)
    for number in range(3):
        told = bring(ada, trial, f"green{number}.png", picture((0, 201, number)))
        assert "Normal, 90.0%" in told["tile"]
        assert "data:image/webp" in told["tile"]
    assert "Anomalous, 90.0%" in bring(ada, trial, "red.png", picture(NEW_RED))["tile"]
    assert "Anomalous" in bring(ada, trial, "red.png", picture(NEW_RED))["tile"]  # again: once
    found = service_of(offered).trials.get("p", 1)
    assert (found.total, found.judged, found.anomalies) == (4, 4, 1)
    assert ada.get(f"{trial}/thumbnails/1").headers["content-type"] == "image/webp"
    assert ada.get(f"{trial}/images/4").content == picture(NEW_RED)

    verify, add = f"{trial}/verify", f"{trial}/add"
    assert "is chosen" in notice(ada, verify, {"verified": "correct"})
    assert "in no data set yet" in notice(ada, add, {"place": 1, "to": "train"})
    said = notice(ada, verify, {"verified": "correct", "place": [1, 4]})
    assert said == "2 verdicts are verified as correct."
    assert notice(ada, verify, {"verified": "incorrect", "place": 2}).startswith("1 verdict is")
    said = notice(ada, add, {"to": "train", **everything(ada, trial), "show": "all"})
    assert "3 images are added to the training data set." in said
    assert "1 was left alone" in said
    lines = sources(offered, "train")
    assert sorted(re.findall('"class-name":"(.*?)"', "".join(lines))) == [
        "anomaly",  # green1.png: the verdict was incorrect
        "anomaly",
        "normal",
    ]
    assert any("green1.png" in line and '"anomaly"' in line for line in lines)
    assert sources(offered, "test") == []
    notice(ada, verify, {"verified": "correct", **everything(ada, trial)})
    assert "1 image is added to the test" in notice(
        ada, add, {"to": "test", **everything(ada, trial)}
    )
    assert "in no data set yet" in notice(ada, add, {"to": "test", **everything(ada, trial)})

    bucket = console_bucket(service_of(offered))
    assert len([*bucket.list("console/trials/")]) == 4
    listed = ada.get(TRIALS).text
    assert "4 of 4 judged, 1 anomalous" in listed
    ada.post(f"{trial}/delete", {"name": "Tuesday"})
    assert "Nothing was deleted: type Monday" in ada.get(trial).text
    assert "is deleted" in notice(ada, f"{trial}/delete", {"name": "Monday"})
    assert [*bucket.list("console/trials/")] == []
    # Data sets keep their images, in the bucket of the others.
    assert len([*offered.buckets.bucket("bucket").list("console/datasets/")]) == 4
    assert ada.get(trial).status_code == 404
    operations = [change.operation for change in service_of(offered).changes(project="p")]
    assert operations[0] == "DeleteTrialDetection"
    assert {"StartTrialDetection", "VerifyTrialDetection"} <= set(operations)


def test_a_training_image_that_is_tried_does_not_come_into_the_test(offered: Offered) -> None:
    bucket = train(offered).bucket
    taken = next(each.key for each in bucket.list() if each.key.endswith((".png", ".jpg")))
    ada = offered.person("ADA")
    trial = begin(ada)
    bring(ada, trial, "again.png", bucket.get(taken))
    notice(ada, f"{trial}/verify", {"verified": "incorrect", "place": 1})
    said = notice(ada, f"{trial}/add", {"to": "test", "place": 1})
    assert "0 images are added" in said
    assert "again.png: It is verified as normal; the same image is in the data set as anom" in said
    assert sources(offered, "test") == []
    assert service_of(offered).trials.find("p", 1, [1])[0].added is not None


def test_images_are_added_in_parts_and_what_is_cut_off_goes_on(
    offered: Offered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "A_PART", 2)
    synced: list[int] = []
    monkeypatch.setattr("lfvpipe.storage.local.sync_all", lambda: synced.append(1))
    bucket = train(offered).bucket
    for number in range(6):
        bucket.put(f"new/{number}.png", picture((0, 200, number + 1)))
    ada = offered.person("ADA")
    trial = begin(ada, address="s3://bucket/new/")
    for _ in range(6):
        ask(ada, f"{trial}/next")

    def add(after: int) -> dict[str, Any]:
        sight = everything(ada, trial)["sight"]
        body = f"all=yes&sight={sight}&show=all&to=train&after={after}".encode()
        told: dict[str, Any] = ask(ada, f"{trial}/add", body).json()
        return told

    assert "in no data set yet" in add(0)["error"]
    notice(ada, f"{trial}/verify", {"verified": "correct", **everything(ada, trial)})
    first = add(0)
    assert (first["added"], first["remaining"], first["after"], first["left"]) == (2, 4, 2, 0)
    assert len(sources(offered, "train")) == 2
    assert len(synced) == 1  # once for all files of a part
    # The browser is closed here; one file is gone when somebody goes on, and one was added by
    # a server that was killed before it could write that down.
    bucket.delete(["new/2.png"])
    service_of(offered).trials.mark_added(1, [2], None)
    again = add(0)
    assert (again["added"], again["had"], again["remaining"], again["left"]) == (0, 1, 3, 1)
    assert [name for name, _ in again["refused"]] == ["2.png"]
    assert "does not exist" in again["refused"][0][1]
    assert add(again["after"])["remaining"] == 1
    last = add(5)
    assert (last["added"], last["remaining"], last["after"]) == (1, 0, 6)
    assert add(6)["remaining"] == 0
    names = re.findall(r"(\d)\.png", "".join(sources(offered, "train")))
    assert sorted(names) == ["0", "1", "3", "4", "5"]
    # The same without a script, in one request.
    assert "These could not be added: 2.png:" in notice(
        ada, f"{trial}/add", {"to": "train", **everything(ada, trial)}
    )


def test_images_of_a_bucket_are_judged_one_by_one_and_what_cannot_be_says_why(
    offered: Offered,
) -> None:
    bucket = train(offered).bucket
    bucket.put("new/a.png", picture(GREEN))
    bucket.put("new/b.png", picture(RED, (80, 64)))
    bucket.put("new/c.jpg", b"no image")
    bucket.put("new/d.jpg", picture(RED, form="JPEG"))
    bucket.put("new/read.me", b"")
    ada = offered.person("ADA")
    trial = begin(ada, address="s3://bucket/new/")
    assert "1 object is no image, by its name." in ada.get(trial).text
    bucket.delete(["new/a.png"])
    told = [ask(ada, f"{trial}/next").json() for _ in range(5)]
    assert [each["waiting"] for each in told] == [3, 2, 1, 0, 0]
    assert "a.png" in told[0]["tile"]
    assert "80x64 pixels" in told[1]["tile"]
    assert "not a PNG or JPEG" in told[2]["tile"]
    assert "Anomalous" in told[3]["tile"]
    assert told[4]["tile"] is None
    problems = service_of(offered).trials.images("p", 1, Show.PROBLEM)
    assert [image.name for image in problems] == ["a.png", "b.png", "c.jpg"]
    assert ada.get(f"{trial}/thumbnails/1").status_code == 404
    assert "0 verdicts" in notice(ada, f"{trial}/verify", {"verified": "correct", "place": 1})
    for address, says in [("s3://bucket/none/", "no images at"), ("bucket", ""), ("s3://x", "")]:
        said = notice(ada, TRIALS, {"name": "n", "version": "1", "address": address})
        assert said, address
        assert says in said
    ada.post(f"{trial}/delete", {"name": "Monday"})
    assert bucket.head("new/d.jpg") is not None  # it is not ours

    bucket.put("lfvpipe-masks/a.png", picture(RED))  # of the whole bucket what may be judged comes
    whole = begin(ada, address="s3://bucket/")
    assert "1 image was left out: a mask" in ada.get(whole).text
    assert service_of(offered).trials.get("p", int(whole.rpartition("/")[2])).total == 13


def test_what_is_shown_is_chosen_by_verdict_and_sorted_by_confidence(offered: Offered) -> None:
    train(offered)
    ada = offered.person("ADA")
    trial = begin(ada)
    bring(ada, trial, "b.png", picture(GREEN))
    bring(ada, trial, "a.png", picture(RED))
    notice(ada, f"{trial}/verify", {"verified": "correct", "place": 2})
    listed = service_of(offered).trials
    listed.judge(1, 1, is_anomalous=False, confidence=0.6, facts=service_trials.Facts())

    def names(query: str) -> list[str]:
        return re.findall(r'class="name"[^>]*>(.*?)<', ada.get(f"{trial}{query}").text)

    assert names("") == ["b.png", "a.png"]
    assert names("?sort=doubtful") == ["b.png", "a.png"]
    assert names("?sort=sure") == ["a.png", "b.png"]
    assert names("?show=normal") == names("?show=unverified") == ["b.png"]
    assert names("?show=anomaly") == names("?show=correct") == ["a.png"]
    assert names("?show=incorrect") == names("?show=problem") == []
    assert names("?show=x'--&sort=<b>&page=-1") == ["b.png", "a.png"]
    assert names("?page=99999999999999999999") == ["b.png", "a.png"]
    assert names("?sort=name") == ["a.png", "b.png"]
    # All that are shown, over all pages, are those of the filter.
    fields = {"verified": "incorrect", "show": "normal", "sort": "sure"}
    fields |= everything(ada, trial, "?show=normal")
    answer = ada.post(f"{trial}/verify", fields)
    assert answer.headers["location"] == f"{trial}?show=normal&sort=sure"
    assert names("?show=incorrect") == ["b.png"]


def test_all_that_are_shown_are_those_that_the_page_showed(offered: Offered) -> None:
    train(offered)
    ada, rita = offered.person("ADA"), offered.person("RITA")
    trial = begin(ada)
    for number in range(3):
        bring(ada, trial, f"{number}.png", picture((0, 200, number + 1)))
    seen = everything(ada, trial)
    bring(rita, trial, "new.png", picture(RED))
    notice(rita, f"{trial}/verify", {"verified": "incorrect", "place": 2})
    said = notice(ada, f"{trial}/verify", {"verified": "correct", **seen})
    assert said.startswith("2 verdicts are verified as correct. 2 images came, were judged or")
    found = service_of(offered).trials.images("p", 1)
    assert [image.verified for image in found] == ["correct", "incorrect", "correct", None]
    # Nor do they come into a data set: by now others are verified.
    said = notice(ada, f"{trial}/add", {"to": "test", **seen})
    assert "None of these images is verified" in said
    assert sources(offered, "test") == []


def test_roles_hold(offered: Offered) -> None:
    train(offered)
    ada, rita, vic = (offered.person(name) for name in ("ADA", "RITA", "VIC"))
    trial = begin(rita)
    bring(rita, trial, "red.png", picture(RED))
    assert "verified" in notice(rita, f"{trial}/verify", {"verified": "correct", "place": 1})
    assert "may not add images" in notice(rita, f"{trial}/add", {"to": "train", "place": 1})
    assert "may not delete" in notice(rita, f"{trial}/delete", {"name": "Monday"})
    fields = {"name": "n", "version": "1", "address": "s3://bucket/normal/"}
    assert "may not add images" in notice(rita, TRIALS, fields)
    assert "Anomalous" in vic.get(trial).text
    assert "checkbox" not in vic.get(trial).text.replace('id="heat"', "").split('id="tiles"')[1]
    assert "may not run" in notice(vic, TRIALS, {"name": "n", "version": "1"})
    assert ask(vic, f"{trial}/images?name=a.png", picture(GREEN)).status_code == 403
    assert "may not verify" in notice(vic, f"{trial}/verify", {"verified": "", "place": 1})
    found = service_of(offered).trials.get("p", 1)
    assert (found.total, found.verified, found.access_key) == (1, 1, "RITA")
    assert "RITA" in ada.get(TRIALS).text
    headers = {"origin": ada.base, "accept": "application/json", "x-lfvpipe-csrf": "0"}
    for path in ("images", "next", "verify", "add", "delete"):
        answer = ada.http.post(f"{ada.base}{trial}/{path}", content=b"x", headers=headers)
        assert answer.status_code == 403


def test_the_bounds_hold_and_are_told(offered: Offered, monkeypatch: pytest.MonkeyPatch) -> None:
    train(offered)
    ada = offered.person("ADA")
    said = notice(ada, TRIALS, {"name": "a\x07b", "version": "1"})
    assert "a character that nobody sees (U+0007)" in said
    for name in ("", " ", "x" * 101):
        assert "has 1 to 100 characters" in notice(ada, TRIALS, {"name": name, "version": "1"})
    for version in ("2", "", "latest", "x", "1 OR 1"):
        assert "no model version" in notice(ada, TRIALS, {"name": "n", "version": version})
    trial = begin(ada)
    monkeypatch.setattr(service_trials, "MOST_TRIALS", 1)
    assert "delete one first" in notice(ada, TRIALS, {"name": "n", "version": "1"})
    bring(ada, trial, "a.png", picture(GREEN))
    monkeypatch.setattr(service_trials, "MOST_IMAGES", 1)
    answer = ask(ada, f"{trial}/images?name=b.png", picture(RED))
    assert "takes 1 images" in answer.json()["error"]
    monkeypatch.setattr(service_trials, "MOST_IMAGES", 9)
    monkeypatch.setattr(service_trials, "MOST_BYTES", 10)
    answer = ask(ada, f"{trial}/images?name=b.png", picture(RED))
    assert "delete one first" in answer.json()["error"]
    assert service_of(offered).trials.get("p", 1).total == 1
    for unknown in ("2", "0", "x", "-1", "9" * 30):
        assert ada.get(f"{TRIALS}/{unknown}").status_code == 404
    for place in ("2", "x"):
        assert ada.get(f"{trial}/images/{place}").status_code == 404
    assert ada.get(trial.replace("/p/", "/q/")).status_code == 404


def test_trials_go_with_their_project_and_their_files_with_the_next_trial(
    offered: Offered,
) -> None:
    train(offered, "p")
    ada = offered.person("ADA")
    trial = begin(ada)
    bring(ada, trial, "a.png", picture(GREEN))
    client = offered.client()
    client.delete_model(ProjectName="p", ModelVersion="1")
    wait_for_model_deletion(client, project="p", version="1")
    page = ada.get(trial).text
    assert "Model version 1 is no more" in page
    assert "Normal, 90.0%" in page
    assert ask(ada, f"{trial}/images?name=b.png", picture(GREEN)).status_code == 404
    for kind in DATASET_TYPES:
        client.delete_dataset(ProjectName="p", DatasetType=kind)
        wait_for_dataset_deletion(
            client, project="p", dataset_type=kind, on_status=lambda _status, _message: None
        )
    client.delete_project(ProjectName="p")
    assert ada.get(trial).status_code == 404
    bucket = console_bucket(service_of(offered))
    assert len([*bucket.list("console/trials/")]) == 1
    train(offered, "p")
    assert "There is no trial detection yet" in ada.get(TRIALS).text
    assert begin(ada) == f"{TRIALS}/2"  # no number is given twice
    assert [*bucket.list("console/trials/")] == []


def test_what_programs_asked_about_is_tried_again(offer: Callable[..., Offered]) -> None:
    offered = offer(keep=5)
    train(offered)
    client = offered.client()
    ada = offered.person("ADA")
    assert "programs asked about" not in ada.get(TRIALS).text
    client.start_model(ProjectName="p", ModelVersion="1", MinInferenceUnits=1)
    Waits().hosting(client)
    for colour in ((200, 0, 1), (0, 200, 2), (200, 0, 3)):
        client.detect_anomalies(
            ProjectName="p", ModelVersion="1", Body=picture(colour), ContentType="image/png"
        )
    assert "With the 3 images that programs asked about" in ada.get(TRIALS).text
    trial = begin(ada, kept="yes")
    tiles = [ask(ada, f"{trial}/next").json()["tile"] for _ in range(3)]
    assert ["Anomalous" in tile for tile in tiles] == [True, False, True]  # the newest first
    assert ada.get(f"{trial}/images/1").content == picture((200, 0, 3))
    kept = service_of(offered).keeper.store("us-east-1", "p")
    assert len(kept.read()) == 3  # all of them are still there to review
    ada.post(f"{trial}/delete", {"name": "Monday"})
    assert len(kept.read()) == 3
    assert all(kept.image(each).is_file() for each in kept.read())
    # Without the box, the trial begins empty; what is gone from the disk is no more than left out.
    begin(ada)
    assert service_of(offered).trials.get("p", 2).total == 0
    kept.image(kept.read()[0]).unlink()
    begin(ada, kept="yes")
    assert service_of(offered).trials.get("p", 3).waiting == 2
