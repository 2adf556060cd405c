"""Detect, review, run: images that were judged are decided about, and learnt from."""

from __future__ import annotations

import json
import stat
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.workshop import picture

if TYPE_CHECKING:
    from tests.review.conftest import Plant


pytestmark = pytest.mark.slow


@pytest.fixture
def line(plant: Plant) -> Plant:
    """Return the plant after three new photographs, in a folder of the line's, were judged."""
    folder = plant.folder / "line"
    folder.mkdir()
    for number in range(3):
        data = picture(f"line{number}", spoilt=number == 0)
        (folder / f"part <b>{number}.png").write_bytes(data)
    said = plant.lfvpipe("detect", "pipeline.yaml", "line")
    assert said.code == 0, said.err
    return plant


class Page:
    """A review of detected images that is being served."""

    def __init__(self, plant: Plant, *words: str) -> None:
        self.process = subprocess.Popen(
            plant.command("review", "--of", "detect", "--no-browser", *words),
            cwd=plant.folder,
            env=plant.environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self.address = ""
        assert self.process.stdout is not None
        for text in self.process.stdout:
            self.said.append(text)
            if " at http" in text:
                self.address = text.split()[-1]
                break

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.said += self.process.communicate(timeout=60)[0].splitlines()

    def get(self, path: str) -> Any:
        reply = httpx.get(self.address + path)
        assert reply.status_code == 200, reply.text
        return reply.json() if "json" in reply.headers["content-type"] else reply.content

    def items(self) -> dict[str, dict[str, Any]]:
        """Return all items by the end of their names."""
        numbers = self.get("api/queue?filter=all")["items"]
        found = [self.get(f"api/items/{n}") for n in numbers]
        return {item["name"].rpartition("/")[2]: item for item in found}

    def decide(self, **said: Any) -> httpx.Response:
        return httpx.post(f"{self.address}api/decisions", json={"who": "Ana", **said})


def test_detected_images_are_learnt_from_tested_on_or_left_out_as_was_decided(line: Plant) -> None:
    before = line.outcome("select")["counts"]
    with Page(line) as page:
        state = page.get("api/state")
        assert (state["total"], state["of_detected"], state["tests"]) == (3, True, True)
        items = page.items()
        first, second, third = (items[f"part <b>{n}.png"] for n in range(3))
        assert {item["split"] for item in items.values()} == {"detected"}
        assert page.get(f"pictures/image/{first['n']}").startswith(b"\x89PNG")
        assert page.get(f"pictures/heat/{first['n']}").startswith(b"\x89PNG")
        assert page.decide(n=first["n"], label="anomaly", type="scratch").is_success
        assert page.decide(n=second["n"], label="normal", split="test").is_success
        assert page.decide(n=third["n"], label="exclude").is_success
        assert page.get("api/state")["outlook"] == "learns from 1, tests on 1, leaves 1 out"
    assert "lfvpipe run pipeline.yaml` learns from 1, tests on 1, leaves 1 out" in page.said[-1]
    (line.folder / "line").rename(line.folder / "elsewhere")  # the line's folder is not ours
    quick = ("run", "--set", "model.effort=fast")
    done = line.lfvpipe(*quick)
    assert done.code == 0, done.err
    after = line.outcome("select")["counts"]
    assert after["anomaly"]["train"] == before["anomaly"]["train"] + 1
    assert after["normal"]["test"] == before["normal"]["test"] + 1
    added = {k: v for k, v in line.index().items() if v["id"].startswith("reviewed/")}
    assert sorted((v["label"], v["split"], v.get("type", "")) for v in added.values()) == [
        ("anomaly", "train", "scratch"),
        ("normal", "test", ""),
    ]
    assert all(name.startswith("reviewed-images/part-b-") for name in added)
    assert line.outcome("model")["version"] == "2"
    assert line.lfvpipe(*quick).out.startswith("nothing changed")


def test_what_is_kept_is_its_users_and_bounded_to_one_verdict_a_photograph(line: Plant) -> None:
    folder = line.folder / ".lfvpipe" / "kept"
    assert line.lfvpipe("detect", "pipeline.yaml", "line").code == 0
    (file,) = folder.rglob("verdicts.jsonl")
    rows = [json.loads(row) for row in file.read_text().splitlines()]
    assert {row["name"] for row in rows} == {f"line/part <b>{n}.png" for n in range(3)}
    assert all(0.5 <= row["confidence"] <= 1 and row["model"] for row in rows)
    for path in [folder, *folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    with Page(line) as page:
        assert page.get("api/state")["total"] == 3


def test_nothing_is_kept_with_no_keep(plant: Plant) -> None:
    (plant.folder / "new.png").write_bytes(picture("new", spoilt=True))
    assert plant.lfvpipe("detect", "pipeline.yaml", "new.png", "--no-keep").code == 0
    assert not (plant.folder / ".lfvpipe" / "kept").exists()
    said = plant.lfvpipe("review", "--of", "detect", "--no-browser")
    assert said.code == 3
    assert "No verdict on a new image" in said.err


def test_an_image_that_is_gone_or_another_now_is_not_added(line: Plant) -> None:
    (line.folder / "line" / "part <b>1.png").unlink()
    with Page(line) as page:
        items = page.items()
        assert len(items) == 2
        n = items["part <b>0.png"]["n"]
        (line.folder / "line" / "part <b>0.png").write_bytes(picture("other", spoilt=False))
        refused = page.decide(n=n, label="normal")
        assert refused.status_code == 400
        assert "another image" in refused.json()["error"]
    assert "1 image is not where it was detected" in "".join(page.said)
    assert not line.labels.exists()


def test_two_people_at_once_lose_nothing(line: Plant) -> None:
    with Page(line) as ana, Page(line) as ben:
        items = ana.items()
        for n, name in enumerate(items):
            label = "normal" if n else "anomaly"
            assert ana.decide(n=items[name]["n"], label=label).is_success
            said = {"n": items[name]["n"], "label": "anomaly", "who": "Ben", "comment": "deep"}
            assert ben.decide(**said).is_success
        state = ana.get("api/state")
        assert (state["decided"], state["conflicts"]) == (3, 2)
    assert len(line.decisions()) == 6
    assert len(list((line.folder / "reviewed-images").iterdir())) == 3


def test_several_images_are_decided_at_once_and_undone_at_once(line: Plant) -> None:
    with Page(line) as page:
        numbers = [item["n"] for item in page.items().values()]
        assert page.decide(ns=numbers, label="normal").is_success
        assert page.get("api/state")["decided"] == 3
        undone = httpx.post(f"{page.address}api/undo", json={}).json()
        assert (undone["count"], undone["state"]["decided"]) == (3, 0)


def test_a_labels_file_adds_no_file_from_elsewhere(line: Plant) -> None:
    rows = [
        {"name": name, "source": "files", "label": "normal", "split": "train", "who": "Eve"}
        for name in ("/etc/hostname", "line/part <b>1.png", "reviewed-images/../line/part <b>2.png")
    ]
    line.labels.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = line.lfvpipe("run", "--until", "extract")
    assert done.code == 0, done.err
    assert "3 images are not in the sources" in done.err
    assert not any(row["source"] == "files" for row in line.index().values())


def test_destroy_lists_and_removes_what_was_kept_and_no_labels(line: Plant) -> None:
    with Page(line) as page:
        assert page.decide(n=0, label="normal").is_success
    said = line.lfvpipe("destroy", "--yes")
    assert said.code == 0, said.err
    assert "of detected images, in" in said.out
    stays = said.out.partition("this stays\n")[2]
    assert f"{line.labels}, your own" in stays
    assert f"{line.folder / 'reviewed-images'}, your own" in stays
    assert not list((line.folder / ".lfvpipe" / "kept").rglob("verdicts.jsonl"))
    assert line.labels.exists()
    assert list((line.folder / "reviewed-images").iterdir())


def test_run_says_what_a_labels_file_would_change_that_the_pipeline_does_not_name(
    plant: Plant,
) -> None:
    file = plant.folder / "pipeline.yaml"
    file.write_text(file.read_text().replace("  labels: reviewed.jsonl\n", ""))
    rows = [
        {"name": "good/30.png", "source": "normal", "label": "anomaly"},
        {"name": "good/31.png", "source": "normal", "label": "exclude"},
        {"name": "good/0.png", "source": "normal", "label": "normal"},
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (plant.folder / "pipeline.labels.jsonl").write_text(text)
    said = " ".join(plant.lfvpipe("run", "--until", "extract").err.split())
    assert "pipeline.labels.jsonl lies here, and no run reads it." in said
    assert "It would change 1 image, leave 1 image out: name it in pipeline.yaml" in said
    file.write_text(file.read_text().replace("sources:", "sources:\n  labels: reviewed.jsonl"))
    assert "no run reads it" not in plant.lfvpipe("run", "--until", "extract").err


def test_a_verdict_is_kept_as_the_pipelines_decision_has_it(line: Plant) -> None:
    decide = ("--set", "evaluate.decide={threshold: 0.001}")
    assert line.lfvpipe("run", *decide).code == 0
    assert line.lfvpipe("detect", "pipeline.yaml", "line", *decide).code == 0
    (file,) = (line.folder / ".lfvpipe" / "kept").rglob("verdicts.jsonl")
    rows = [json.loads(row) for row in file.read_text().splitlines()]
    assert {row["threshold"] for row in rows[:3]} == {0.5}
    assert {row["threshold"] for row in rows[3:]} == {0.001}
    assert all(row["is_anomalous"] for row in rows[3:])
    with Page(line) as page:
        assert {item["said"]["label"] for item in page.items().values()} == {"anomaly"}
        assert not [item for item in page.items().values() if item["said"]["to_person"]]
    with Page(line, "--set", "evaluate.to_person={above: 0, below: 1}") as page:
        said = [item["said"] for item in page.items().values()]
        assert [(each["to_person"], each["wrong"]) for each in said] == [(True, False)] * len(said)
        assert len(page.get("api/queue?filter=doubtful")["items"]) == len(said)


def test_a_later_decision_moves_an_added_image_or_takes_it_away_and_others_bytes_do_not_count(
    plant: Plant,
) -> None:
    folder = plant.folder / "reviewed-images"
    folder.mkdir()
    names = []
    for number in range(4):
        names.append(f"reviewed-images/{number}.png")
        (plant.folder / names[-1]).write_bytes(picture(f"later{number}", spoilt=False))
    added = {"source": "files", "label": "normal", "split": "test", "who": "Ana"}
    later: list[dict[str, Any]] = [
        {"name": names[0], "source": "files", "label": "anomaly", "who": "Ben", "type": "dent"},
        {"name": names[1], "source": "files", "label": None, "who": "Ana"},
        {"name": names[2], "source": "files", "label": "unsure", "who": "Ben"},
        {"name": names[3], "source": "files", "label": "normal", "sha256": "0" * 64},
    ]
    rows = [*({**added, "name": name} for name in names), *later]
    plant.labels.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = plant.lfvpipe("run", "--until", "extract")
    assert done.code == 0, done.err
    assert "1 image, such as reviewed-images/3.png, changed after the review" in done.err
    found = [row for row in plant.index().values() if row["id"].startswith("reviewed/")]
    assert [(row["member"], row["label"], row["split"], row["type"]) for row in found] == [
        (names[0], "anomaly", "test", "dent")
    ]
