"""`detect --out`: any number of images into a place, by partitions that are judged once."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests import workshop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.workshop import Said

Trained = tuple[Path, Any]
BUCKET = "camera"


def parts_of(place: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (place / "verdicts").iterdir()}


def lines_of(parts: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    found = [json.loads(line) for data in parts.values() for line in data.splitlines()]
    by_image = {each["image"]: each for each in found}
    assert len(by_image) == len(found)
    return by_image


SAME = ("verdict", "is_anomalous", "confidence", "needs_review", "anomalies", "unlikeness")


@pytest.mark.parametrize("by_file", [False, True])
def test_verdicts_are_those_of_detect_to_the_bit(
    trained: Trained, model: Path, photos: Path, tmp_path: Path, lfvpipe: Any, by_file: bool
) -> None:
    how = ["--model", model] if by_file else [trained[0]]
    out = tmp_path / "out"
    said = lfvpipe("detect", *how, photos, "--out", out, "--partition", "3", "--json")
    assert said.code == 0, said.err
    lines = lines_of(parts_of(out))
    plain = lfvpipe("detect", *how, photos, "--json").json["images"]
    assert len(plain) == len(lines) == 7
    for each in plain:
        line = lines[each["image"]]
        assert {key: line[key] for key in SAME} == {key: each[key] for key in SAME}
        score = line["confidence"] if line["is_anomalous"] else 1 - line["confidence"]
        assert line["score"] == score
    assert len(parts_of(out)) == 3
    summary = json.loads((out / "summary.json").read_bytes())
    assert said.json == summary
    assert summary["images"] == 7
    assert sorted(Path(each).name for each in summary["files"]) == sorted(parts_of(out))
    words = [each["verdict"] for each in plain]
    assert (summary["normal"], summary["anomaly"]) == (
        words.count("normal"),
        words.count("anomaly"),
    )


def test_what_is_judged_is_not_judged_again(
    model: Path, photos: Path, tmp_path: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    how = ("detect", "--model", model, photos, "--out", tmp_path / "out", "--partition", "3")
    first = lfvpipe(*how)
    before = parts_of(tmp_path / "out")
    summary = (tmp_path / "out" / "summary.json").read_bytes()
    judged = count_judged(monkeypatch)
    again = lfvpipe(*how)
    assert (again.code, judged, parts_of(tmp_path / "out")) == (0, [], before)
    assert (tmp_path / "out" / "summary.json").read_bytes() == summary
    assert first.err.partition(", in ")[0] == again.err.partition(", in ")[0]


def count_judged(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return a list that comes to hold what the model is asked about."""
    from lfvpipe.detector import Model

    judged: list[bytes] = []
    detect = Model.detect

    def counted(self: Model, image: Any) -> Any:
        judged.append(image)
        return detect(self, image)

    monkeypatch.setattr(Model, "detect", counted)
    return judged


def test_an_image_that_comes_goes_or_changes_has_its_partition_judged_again_and_no_other(
    model: Path, photos: Path, tmp_path: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    how = ("detect", "--model", model, photos, "--out", out, "--partition", "2")
    assert lfvpipe(*how).code == 0
    before = parts_of(out)
    assert len(before) == 4
    judged = count_judged(monkeypatch)
    shutil.copy(photos / "4.png", photos / "0a.png")  # among 0 and 1
    (photos / "2.png").write_bytes((photos / "3.png").read_bytes())  # with 3
    (photos / "night" / "6.png").unlink()  # the only one of the last
    said = lfvpipe(*how)
    assert said.code == 0, said.err
    assert "3 partitions were of images that came, went or changed since" in said.err
    after = parts_of(out)
    assert len(judged) == 5
    assert len(after) == 3
    assert len(after.keys() & before.keys()) == 1
    shutil.rmtree(out)
    assert lfvpipe(*how).code == 0
    assert lines_of(parts_of(out)) == lines_of(after)


def test_a_damaged_image_is_counted_and_named_and_the_others_get_their_verdicts(
    model: Path, photos: Path, tmp_path: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "1.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (photos / "notes.txt").write_text("night shift")
    (photos / "2.png").unlink()
    (photos / "2.png").symlink_to("/nowhere/2.png")
    (photos / "3.png").unlink()
    os.mkfifo(photos / "3.png")
    how = ("detect", "--model", model, photos, "--out", tmp_path / "out")
    said = lfvpipe(*how)
    assert said.code == 1
    assert f"no verdict: {photos}/1.png: The image cannot be read as an image" in said.err
    assert f"no verdict: {photos}/2.png: It is a link that leads nowhere." in said.err
    assert f"no verdict: {photos}/3.png: It is a device or special file." in said.err
    assert "7 images: " in said.err
    assert "3 without a verdict" in said.err
    assert "Not judged, as no image to judge: 1 .txt." in said.err
    summary = json.loads((tmp_path / "out" / "summary.json").read_bytes())
    assert (summary["images"], summary["without_verdict"]) == (7, 3)
    assert summary["first_without_verdict"][0]["image"] == f"{photos}/1.png"
    assert summary["not_judged"] == {".txt": 1}
    assert lines_of(parts_of(tmp_path / "out"))[f"{photos}/1.png"]["verdict"] == "error"
    judged = count_judged(monkeypatch)
    again = lfvpipe(*how)  # it stays damaged
    assert (again.code, judged) == (1, [])
    assert "no verdict: " in again.err


def test_what_could_not_be_read_is_tried_again(
    model: Path, photos: Path, tmp_path: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lfvpipe.detector import Model

    out, detect = tmp_path / "out", Model.detect

    def detect_while_it_changes(self: Model, image: Any) -> Any:
        for each in (photos / "night").iterdir():  # read after those above it
            each.unlink()
        return detect(self, image)

    how = ("detect", "--model", model, photos, "--out", out, "--partition", "5")
    kept = {each.name: each.read_bytes() for each in (photos / "night").iterdir()}
    with monkeypatch.context() as patch:
        patch.setattr(Model, "detect", detect_while_it_changes)
        patch.setattr("lfvpipe.cli.bulk.judging._JOBS", 1)
        said = lfvpipe(*how)
    assert said.code == 1
    assert "It was listed, and is not there any more." in said.err
    assert "While it ran, 2 images went." in said.err
    assert "tries 1 partition again" in said.err
    for name, data in kept.items():
        (photos / "night" / name).write_bytes(data)
    again = lfvpipe(*how)
    assert again.code == 0, again.err
    assert len(lines_of(parts_of(out))) == 7
    assert not [name for name in parts_of(out) if "again" in name]


def test_verdicts_of_another_model_are_left_alone(
    trained: Trained, model: Path, photos: Path, tmp_path: Path, lfvpipe: Any
) -> None:
    out = tmp_path / "out"
    assert lfvpipe("detect", "--model", model, photos, "--out", out).code == 0
    before = parts_of(out)
    other = lfvpipe("detect", trained[0], photos, "--out", out)
    assert other.code == 3
    assert "has verdicts that were given otherwise (model: " in other.err
    moved = lfvpipe("detect", "--model", model, photos / "night", "--out", out)
    assert "images of: " in moved.err
    (out / "plan.json").write_text("{}")
    assert "is no plan" in lfvpipe("detect", "--model", model, photos, "--out", out).err
    assert parts_of(out) == before


def test_what_else_lies_in_the_place_is_left_alone(
    model: Path, photos: Path, tmp_path: Path, lfvpipe: Any
) -> None:
    out = tmp_path / "out"
    others = {"verdicts/mine.jsonl", "verdicts/part-1.jsonl", "verdicts/old/part.txt", "a.json"}
    for name in others:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("mine")
    how = ("detect", "--model", model, photos, "--out", out, "--heat-maps", out / "verdicts")
    for _ in range(2):
        assert lfvpipe(*how).code == 0
        (photos / "0.png").write_bytes((photos / "1.png").read_bytes())
    assert {name for name in others if (out / name).read_text() == "mine"} == others
    assert len(list((out / "verdicts").rglob("*.heat.png"))) == 7
    (out / "plan.json").unlink()
    (out / "summary.json").write_text("mine")
    said = lfvpipe(*how)
    assert (said.code, "is not of verdicts" in said.err) == (3, True)
    assert (out / "summary.json").read_text() == "mine"


def test_a_model_that_is_written_while_it_judges_judges_nothing_more(
    model: Path, photos: Path, tmp_path: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lfvpipe.detector import Model

    mine, detect = tmp_path / "mine.lfv", Model.detect
    shutil.copy(model, mine)

    def detect_by_another(self: Model, image: Any) -> Any:
        mine.touch()
        return detect(self, image)

    monkeypatch.setattr(Model, "detect", detect_by_another)
    said = lfvpipe("detect", "--model", mine, photos, "--out", tmp_path / "out")
    assert said.code == 1
    assert f"{mine} was changed while images were judged by it." in said.err
    assert not (tmp_path / "out" / "verdicts").exists()
    assert not (tmp_path / "out" / "summary.json").exists()


def test_a_damaged_file_of_verdicts_is_told_and_made_again(
    model: Path, photos: Path, tmp_path: Path, lfvpipe: Any
) -> None:
    out = tmp_path / "out"
    how = ("detect", "--model", model, photos, "--out", out, "--partition", "3")
    assert lfvpipe(*how).code == 0
    before = parts_of(out)
    name = sorted(before)[1]
    for damage in (before[name][:-20], b"", before[name].replace(b".png", b".gif")):
        (out / "verdicts" / name).write_bytes(damage)
        said = lfvpipe(*how)
        assert f"{name} is damaged; its images are judged again." in said.err
        assert (said.code, parts_of(out)) == (0, before)


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_with_what_is_left(
    model: Path, photos: Path, tmp_path: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7, 60):
        shutil.copy(photos / f"{number % 5}.png", photos / f"{number}.png")
    out = tmp_path / "out"
    how = ("detect", "--model", model, photos, "--out", out, "--partition", "2")
    process = workshop.spawn(*how)
    with process:
        while not (out / "verdicts").is_dir() or not list((out / "verdicts").glob("part-*.jsonl")):
            assert process.poll() is None
        process.kill()
    done = parts_of(out)
    # What could not be read on a machine that was too busy is left for now, and no whole one.
    whole = {n: data for n, data in done.items() if n.startswith("part-") and ".again." not in n}
    assert 0 < len(whole) < 30
    assert not (out / "summary.json").exists()
    judged = count_judged(monkeypatch)
    said = lfvpipe(*how)
    assert said.code == 0, said.err
    assert f"{len(whole)} partition" in said.err
    assert len(judged) == 60 - 2 * len(whole)
    after = parts_of(out)
    assert whole.items() <= after.items()
    assert len(lines_of({n: data for n, data in after.items() if n.startswith("part-")})) == 60


def test_names_that_no_store_takes_are_judged_and_have_no_heat_map(
    model: Path, photos: Path, tmp_path: Path, lfvpipe: Any
) -> None:
    odd = [os.fsdecode(b"\xff.png"), "a\\b.png", "new\nline.png"]
    for number, name in enumerate(odd):
        (photos / f"{number}.png").rename(photos / name)
    how = ("detect", "--model", model, photos, "--out", tmp_path / "out")
    said = lfvpipe(*how, "--heat-maps", tmp_path / "heat")
    assert said.code == 1
    lines = lines_of(parts_of(tmp_path / "out"))
    assert not [each for each in lines.values() if each["error"]]
    without = [name for name, each in lines.items() if not each["heat_map"]]
    assert sorted(without) == sorted(f"{photos}/{name}" for name in odd)
    assert len(list((tmp_path / "heat").rglob("*.heat.png"))) == 4


def test_asked_to_stop_it_says_how_to_go_on(
    model: Path, photos: Path, tmp_path: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lfvpipe.detector import Model

    detect, judged = Model.detect, []

    def detect_and_ask(self: Model, image: Any) -> Any:
        judged.append(image)
        if len(judged) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return detect(self, image)

    out = tmp_path / "out"
    how = ("detect", "--model", model, photos, "--out", out, "--partition", "1")
    with monkeypatch.context() as patch:
        patch.setattr(Model, "detect", detect_and_ask)
        patch.setattr("lfvpipe.cli.bulk.judging._JOBS", 1)
        said = lfvpipe(*how)
    assert said.code == 130
    assert f"detect {photos} --model {model} --out {out}` goes on." in said.err
    assert len(judged) < 7
    assert lfvpipe(*how).code == 0
    assert len(lines_of(parts_of(out))) == 7


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{photos}", "{photos}", "--out", "{out}"], "2 are named"),
        (["{photos}/0.png", "--out", "{out}"], "0.png is no folder."),
        (["nowhere", "--out", "{out}"], "nowhere is not there."),
        (["{photos}", "--out", "{out}", "--csv"], "--csv prints verdicts"),
        (["{photos}", "--partition", "5"], "--partition is about --out PLACE"),
        (["s3://camera/night"], "s3://camera/night is in an object store."),
        (["{photos}", "--out", "s3://"], "is no"),
        (["{out}", "--out", "{out}/more"], "There are no images to look at"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    model: Path, photos: Path, tmp_path: Path, lfvpipe: Any, words: list[str], told: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    said = lfvpipe("detect", "--model", model, *(w.format(photos=photos, out=out) for w in words))
    assert said.code != 0
    assert told in said.err
    assert "Traceback" not in said.err


def test_a_pipeline_alone_names_no_images(trained: Trained, tmp_path: Path, lfvpipe: Any) -> None:
    said = lfvpipe("detect", trained[0], "--out", tmp_path / "out")
    assert (said.code, "none is named" in said.err) == (3, True)
    assert not (tmp_path / "out").exists()


# --- Objects


@pytest.fixture
def store(s3: str, aws: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield a client of an S3 store that the environment leads to, with an empty bucket."""
    aws.setenv("AWS_ENDPOINT_URL_S3", s3)
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    yield client
    client.close()


def objects_of(store: Any, prefix: str) -> dict[str, bytes]:
    listed = store.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return {
        each["Key"].removeprefix(prefix): store.get_object(Bucket=BUCKET, Key=each["Key"])[
            "Body"
        ].read()
        for each in listed
    }


def put_all(store: Any, photos: Path) -> None:
    for file in sorted(photos.rglob("*.png")):
        key = f"line 7/{file.relative_to(photos).as_posix()}"
        store.put_object(Bucket=BUCKET, Key=key, Body=file.read_bytes())


@pytest.mark.slow
@pytest.mark.parametrize("by_file", [False, True])
def test_objects_are_judged_into_objects(
    trained: Trained,
    model: Path,
    photos: Path,
    store: Any,
    lfvpipe: Any,
    tmp_path: Path,
    by_file: bool,
) -> None:
    put_all(store, photos)
    store.put_object(Bucket=BUCKET, Key="line 7b/9.png", Body=b"another prefix")
    store.put_object(Bucket=BUCKET, Key="line 7/", Body=b"")
    how = ["--model", model] if by_file else [trained[0]]
    where = ("s3://camera/line 7", "--out", "s3://camera/judged/")
    said = lfvpipe("detect", *how, *where, "--partition", "3", "--heat-maps", "s3://camera/heat")
    assert said.code == 0, said.err
    parts = objects_of(store, "judged/verdicts/")
    assert len(parts) == 3
    lines = lines_of(parts)
    plain = lfvpipe("detect", *how, photos, "--json", "--heat-maps", tmp_path / "heat")
    drawn = objects_of(store, "heat/")
    for each in plain.json["images"]:
        below = Path(each["image"]).relative_to(photos).as_posix()
        line = lines[f"s3://camera/line 7/{below}"]
        assert {key: line[key] for key in SAME} == {key: each[key] for key in SAME}
        assert line["heat_map"] == f"s3://camera/heat/{below}.heat.png"
        assert drawn[f"{below}.heat.png"] == Path(each["heat_map"]).read_bytes()
    assert len(lines) == len(drawn) == 7
    again = lfvpipe("detect", *how, *where, "--heat-maps", "s3://camera/heat", "--partition", "4")
    assert again.code == 0, again.err
    assert "was begun with partitions of 3; so it goes on." in again.err
    assert objects_of(store, "judged/verdicts/") == parts


def test_an_object_that_changed_or_went_is_told_and_judged_the_next_time(
    model: Path, photos: Path, store: Any, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lfvpipe.detector import Model

    put_all(store, photos)
    detect = Model.detect

    def detect_while_it_changes(self: Model, image: Any) -> Any:
        store.put_object(Bucket=BUCKET, Key="line 7/night/5.png", Body=b"another")
        store.delete_object(Bucket=BUCKET, Key="line 7/night/6.png")
        return detect(self, image)

    how = ("detect", "--model", model, "s3://camera/line 7", "--out", "s3://camera/judged")
    with monkeypatch.context() as patch:
        patch.setattr(Model, "detect", detect_while_it_changes)
        patch.setattr("lfvpipe.cli.bulk.judging._JOBS", 1)
        said = lfvpipe(*how)
    assert said.code == 1
    assert "night/5.png: It changed after it was listed" in said.err
    assert "night/6.png: It was listed, and is not there any more." in said.err
    assert "While it ran, 1 image went, 1 image changed." in said.err
    put_all(store, photos)
    assert lfvpipe(*how).code == 0
    lines = lines_of(objects_of(store, "judged/verdicts/"))
    assert len(lines) == 7
    assert not [each for each in lines.values() if each["error"]]


def test_a_bucket_that_is_not_there_or_not_ours_is_named(
    model: Path, photos: Path, store: Any, lfvpipe: Any
) -> None:
    source = lfvpipe("detect", "--model", model, "s3://nowhere-to/x", "--out", "s3://camera/judged")
    assert (source.code, "s3://nowhere-to" in source.err) == (1, True)
    put_all(store, photos)
    out = lfvpipe("detect", "--model", model, "s3://camera/line 7", "--out", "s3://nowhere-to/x")
    assert (out.code, "s3://nowhere-to" in out.err) == (1, True)
    assert objects_of(store, "judged/") == {}


def test_a_local_bucket_is_one_that_an_address_may_name(
    file: Path, photos: Path, lfvpipe: Any
) -> None:
    (bucket,) = (file.parent / ".lfvpipe" / "buckets").iterdir()
    shutil.copytree(photos, bucket / "camera")
    said: Said = lfvpipe(
        "detect", file, f"s3://{bucket.name}/camera", "--out", f"s3://{bucket.name}/judged"
    )
    assert said.code == 0, said.err
    assert len(lines_of(parts_of(bucket / "judged"))) == 7


def test_a_place_where_nothing_can_be_written_or_should_be_is_told_before_any_work(
    photos: Path, tmp_path: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judge(*_: object) -> None:
        raise AssertionError("the model was asked for")

    monkeypatch.setattr("lfvpipe.cli.commands.detect._open_model", judge)
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    good = tmp_path / "good"
    shutil.copytree(photos, good)
    file = tmp_path / "own.yaml"
    file.write_text("sources: {normal: {archive: good}, anomaly: {archive: bad}}\n")
    wrong = {
        tmp_path / "file": "is no folder",
        tmp_path / "file" / "below": f"{tmp_path / 'file'} is no folder",
        tmp_path / "dangling": "leads nowhere",
        Path("/proc"): "/proc cannot be written",
        good: "which own.yaml has for its images as sources.normal",
        good / "night" / "new": "which own.yaml has for its images as sources.normal",
    }
    for place, told in wrong.items():
        for option in ("--out", "--heat-maps"):
            more = ("--out", tmp_path / "out") if option == "--heat-maps" else ()
            said = lfvpipe("detect", file, photos, option, place, *more)
            assert (said.code, said.out) == (3, ""), (place, said.err)
            assert told in " ".join(said.err.split()), (place, said.err)
    assert not (good / "night" / "new").exists()
