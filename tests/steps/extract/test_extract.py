import errno
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from lfvpipe.config.spec import (
    LABELS,
    Evaluate,
    Images,
    ManifestSource,
    Sample,
    Share,
    Source,
    Sources,
)
from lfvpipe.dataset.index import Image, Note, read_index, read_notes
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.step import Cancelled
from lfvpipe.steps.context import Context
from lfvpipe.steps.extract import preparation, reading
from lfvpipe.steps.extract.extraction import ExtractError
from lfvpipe.steps.extract.step import ExtractStep
from lfvpipe.steps.select.step import SelectStep
from tests.outcomes import fetch_outcome

Change = Callable[..., Context]


@pytest.fixture
def made(archives: Callable[..., None], picture: Callable[..., bytes]) -> None:
    archives(
        normal={f"a/{n}.png": picture(n) for n in range(20)},
        anomaly={f"b/{n}.png": picture(100 + n) for n in range(10)},
    )


def run(context: Context, work: Any) -> Outcome:
    work.upstream["select"] = SelectStep(()).act(context, work)
    outcome = ExtractStep().act(context, work)
    assert not ExtractStep().missing(context, outcome)
    return outcome


def index_of(context: Context, outcome: Outcome) -> list[Image]:
    return list(read_index(context.state_dir / str(outcome.facts["index"])))


def notes_of(context: Context, outcome: Outcome) -> list[Note]:
    return list(read_notes(context.state_dir / str(outcome.facts["notes"])))


def percent(value: float) -> Sample:
    return Sample({label: Share(percent=value) for label in LABELS})


def test_only_selected_members_leave_the_archive_and_the_index_tells_of_each(
    changed: Change, work: Any, made: None, picture: Callable[..., bytes]
) -> None:
    context = changed(sample=percent(50))
    outcome = run(context, work)
    images = index_of(context, outcome)
    assert len(images) == outcome.facts["images"] == 15
    assert [image.id for image in images] == sorted(image.id for image in images)
    files = list((context.state_dir / "images").rglob("*.png"))
    assert {context.state_dir / image.path for image in images} == set(files)
    for image in images:
        data = (context.state_dir / image.path).read_bytes()
        number = int(Path(image.member).stem)
        assert data == picture(number + (100 if image.label == "anomaly" else 0))
        assert (image.size, image.width, image.height) == (len(data), 64, 64)
        assert image.key == f"{image.label}/{image.member[:-4]}-{image.sha256[:12]}.png"


def test_a_larger_sample_extracts_only_what_is_new_and_going_back_nothing(
    changed: Change, work: Any, made: None
) -> None:
    first = run(changed(sample=percent(50)), work)
    assert run(changed(sample=percent(100)), work).facts["new"] == 15
    again = run(changed(sample=percent(50)), work)
    assert (again.facts["new"], again.digest) == (0, first.digest)


def test_a_lost_or_shortened_file_is_missed_and_extracted_again(
    context: Context, work: Any, made: None
) -> None:
    outcome = run(context, work)
    first, second = (context.state_dir / image.path for image in index_of(context, outcome)[:2])
    first.unlink()
    second.write_bytes(b"half")
    (reason,) = ExtractStep().missing(context, outcome)
    assert (reason.code, "and 1 more" in reason.subject) == ("output-missing", True)
    assert run(context, work).facts["new"] == 2


def test_a_kill_leaves_what_was_done_and_no_half_file(
    context: Context, work: Any, made: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, total: int | None, unit: str, detail: str = "") -> None:
        if done == 5 and total == 30:
            raise Cancelled("stop")

    work.progress = stop
    with pytest.raises(Cancelled):
        run(context, work)
    journal = context.state_dir / "images" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-10])  # the last line was cut short
    monkeypatch.undo()
    work.progress = lambda *args: None
    assert run(context, work).facts["new"] == 26
    assert not list(context.state_dir.rglob("*.tmp"))
    assert run(context, work).facts["new"] == 0


def test_unreadable_images_are_all_noted_and_the_others_extracted(
    context: Context, work: Any, archives: Callable[..., None], picture: Callable[..., bytes]
) -> None:
    archives(
        normal={"1.png": picture(1), "2.png": b"a text file", "3.jpg": picture(3)[:500]},
        anomaly={"4.png": picture(4)},
    )
    outcome = run(context, work)
    problems = {note.id: note.problem for note in notes_of(context, outcome)}
    assert "is a text file, not a PNG, JPEG" in problems["normal/2.png"]
    assert "truncated" in problems["normal/3.jpg"]
    assert outcome.facts["unreadable"] == 2
    assert [image.id for image in index_of(context, outcome)] == ["anomaly/4.png", "normal/1.png"]


def test_images_are_resized_and_converted_as_asked(
    changed: Change, work: Any, archives: Callable[..., None], picture: Callable[..., bytes]
) -> None:
    archives(
        normal={"1.jpg": picture(1, size=(90, 80), kind="JPEG")}, anomaly={"2.png": picture(2)}
    )
    context = changed(images=Images(resize=(70, 65), convert="L"))
    images = index_of(context, run(context, work))
    assert {(i.width, i.height, Path(i.key).suffix) for i in images} == {(70, 65, ".png")}
    with Pillow.open(context.state_dir / images[0].path) as image:
        assert (image.size, image.mode) == ((70, 65), "L")


def test_masks_are_brought_into_the_documented_form(
    changed: Change, work: Any, archives: Callable[..., None], picture: Callable[..., bytes]
) -> None:
    white = io.BytesIO()
    mask = Pillow.new("L", (64, 64))
    mask.paste(255, (10, 10, 30, 30))
    mask.save(white, "PNG")
    archives(
        normal={"1.png": picture(1)},
        anomaly={"d/2.png": picture(2), "d/3.png": picture(3)},
        anomaly_masks={"m/2.png": white.getvalue(), "m/3.png": b"no mask"},
    )
    sources = {"normal": Source("n.zip"), "anomaly": Source("a.zip", masks="m.zip")}
    context = changed(sources=Sources(sources))  # type: ignore[arg-type]
    outcome = run(context, work)
    images = {image.id: image for image in index_of(context, outcome)}
    indexed = images["anomaly/d/2.png"].mask
    assert indexed is not None
    assert indexed.classes == {"anomaly": "#23A436"}
    assert indexed.key == f"masks/m/2-{indexed.sha256[:12]}.png"
    assert images["anomaly/d/3.png"].mask is None
    notes = {note.id: note.mask for note in notes_of(context, outcome)}
    noted = notes["anomaly/d/3.png"]
    assert noted is not None
    assert "not a PNG" in noted.problem


def test_what_the_journal_knows_is_noted_as_what_is_prepared_now(
    changed: Change, work: Any, archives: Callable[..., None], picture: Callable[..., bytes]
) -> None:
    empty, deep = io.BytesIO(), io.BytesIO()
    Pillow.new("L", (64, 64)).save(empty, "PNG")
    Pillow.new("I;16", (64, 64)).save(deep, "PNG")  # black: its white level is 0
    archives(
        normal={"1.png": picture(1), "2.png": deep.getvalue(), "3.png": b"none"},
        anomaly={"d/2.png": picture(2)},
        anomaly_masks={"m/2.png": empty.getvalue()},
    )
    sources = {"normal": Source("n.zip"), "anomaly": Source("a.zip", masks="m.zip")}
    context = changed(sources=Sources(sources), sample=percent(100))  # type: ignore[arg-type]
    first = run(context, work)
    notes = {note.id: note for note in notes_of(context, first)}
    assert notes["anomaly/d/2.png"].mask is not None
    assert notes["anomaly/d/2.png"].mask.share == 0
    again = run(context, work)
    assert notes_of(context, again) == list(notes.values())
    assert index_of(context, again) == index_of(context, first)


def test_keys_are_safe_whatever_the_members_are_called(
    context: Context, work: Any, archives: Callable[..., None], picture: Callable[..., bytes]
) -> None:
    archives(normal={"größe & co/1 #?.png": picture(1)}, anomaly={"a.b.png": picture(2)})
    keys = [image.key.rpartition("-")[0] for image in index_of(context, run(context, work))]
    assert keys == ["anomaly/a.b", "normal/gr-e-co/1-"]


def test_every_part_of_a_key_can_be_the_name_of_a_file(
    context: Context, work: Any, archives: Callable[..., None], picture: Callable[..., bytes]
) -> None:
    archives(normal={f"d/{'n' * 700}1.png": picture(1)}, anomaly={"a.png": picture(2)})
    keys = [image.key for image in index_of(context, run(context, work))]
    assert max(len(part) for key in keys for part in key.split("/")) <= 255
    assert keys[1].rpartition("-")[0].endswith("nnn1")


def test_a_key_never_leaves_its_folder(
    changed: Change, work: Any, made: None, tmp_path: Path, picture: Callable[..., bytes]
) -> None:
    (tmp_path.parent / "beside.png").write_bytes(picture(99))
    context = changed(evaluate=Evaluate(images=("../beside.png",)))
    (image,) = [each for each in index_of(context, run(context, work)) if each.split == "evaluate"]
    assert image.key == f"evaluate/beside-{image.sha256[:12]}.png"


def test_a_file_that_two_images_share_is_prepared_once(
    changed: Change, work: Any, tmp_path: Path, picture: Callable[..., bytes]
) -> None:
    (tmp_path / "1.png").write_bytes(picture(1))
    line = json.dumps({"source-ref": "1.png", "l-metadata": {"class-name": "normal"}})
    for split in ("train", "test"):
        manifest = tmp_path / f"{split}.manifest"
        manifest.write_text(line)
        work.upstream[f"fetch:manifest-{split}"] = fetch_outcome(manifest)
    train, test = (str(tmp_path / f"{split}.manifest") for split in ("train", "test"))
    outcome = run(changed(sources=Sources({}, ManifestSource(train, test))), work)
    assert (outcome.facts["images"], outcome.facts["new"]) == (2, 1)


def test_a_mask_has_the_types_that_it_shows_of_those_that_its_map_lists(
    changed: Change, work: Any, tmp_path: Path, picture: Callable[..., bytes]
) -> None:
    colours = {"1": {"class-name": "crack", "hex-color": "#23A436"}} | {
        "2": {"class-name": "dent", "hex-color": "#FF0000"}
    }
    lines = []
    for number, colour in enumerate(["#FF0000", "#FFFFFF"]):
        (tmp_path / f"{number}.png").write_bytes(picture(number))
        mask = Pillow.new("RGB", (64, 64), "#FFFFFF")
        mask.paste(colour, (5, 5, 20, 20))
        mask.save(tmp_path / f"m{number}.png")
        metadata = {"class-name": "anomaly"}
        lines.append(
            {
                "source-ref": f"{number}.png",
                "l-metadata": metadata,
                "m-ref": f"m{number}.png",
                "m-ref-metadata": {"internal-color-map": colours},
            }
        )
    manifest = tmp_path / "train.manifest"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    work.upstream["fetch:manifest-train"] = fetch_outcome(manifest)
    context = changed(sources=Sources({}, ManifestSource(str(manifest))))
    images = index_of(context, run(context, work))
    shown = [image.mask.classes for image in images if image.mask is not None]
    assert shown == [{"dent": "#FF0000"}, {}]
    versions = {each.ledger_key for each in ExtractStep().inputs(context)}
    assert "code:mask-types" in versions


def test_a_full_disk_is_the_users_to_solve(
    context: Context, work: Any, made: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(preparation, "_write", full)
    with pytest.raises(ExtractError, match="No space left") as caught:
        run(context, work)
    assert "--state-dir" in caught.value.hint


def test_images_of_manifests_come_from_the_bucket(
    changed: Change,
    work: Any,
    tmp_path: Path,
    picture: Callable[..., bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = [
        {"source-ref": f"s3://old/k/{n}.png", "l-metadata": {"class-name": "normal"}}
        for n in ("0", "1", "gone", "large")
    ]
    manifest = tmp_path / "train.manifest"
    manifest.write_text("\n".join(map(json.dumps, lines)))
    work.upstream["fetch:manifest-train"] = fetch_outcome(manifest)
    context = changed(sources=Sources({}, ManifestSource(str(manifest))))
    bucket = context.buckets.bucket("old")
    bucket.create()
    for number in range(2):
        bucket.put(f"k/{number}.png", picture(number))
    bucket.put("k/large.png", picture(2, size=(128, 128)))
    monkeypatch.setattr(reading, "MAX_FILE_BYTES", 20_000)
    outcome = run(context, work)
    assert [image.member for image in index_of(context, outcome)] == [
        "s3://old/k/0.png",
        "s3://old/k/1.png",
    ]
    assert outcome.facts["unreadable"] == 2


def test_destroy_removes_images_and_index(context: Context, work: Any, made: None) -> None:
    outcome = run(context, work)
    assert ExtractStep().destroy(context, outcome)
    assert ExtractStep().missing(context, outcome)
    assert not ExtractStep().destroy(context, replace(outcome))
