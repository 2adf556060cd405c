"""`detect` asks the model that was trained, whatever the pipeline file says by now."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy
import pytest
from PIL import Image

from lfvpipe.steps.extract import preparation
from tests import workshop

Trained = tuple[Path, Any]


@pytest.fixture
def image(trained: Trained, tmp_path: Path) -> Path:
    """Return an image that the model has not seen."""
    file = tmp_path / "photos" / "spot.png"
    file.parent.mkdir()
    with zipfile.ZipFile(trained[0].parent / "Texture_def.zip") as archive:
        file.write_bytes(archive.read("Texture_def/7.png"))
    return file


@pytest.mark.parametrize("key", ["images.resize=96x96", "images.convert=RGB"])
def test_images_are_prepared_as_the_models_training_images_were(
    trained: Trained, image: Path, lfvpipe: Any, key: str
) -> None:
    plain = lfvpipe("detect", trained[0], image, "--json")
    edited = lfvpipe("detect", trained[0], image, "--json", "--set", key)
    assert (edited.code, edited.json) == (0, plain.json), edited.err
    name, _, value = key.partition("=")
    told = f"small.yaml has changed since model v1 was trained ({name}: (none) → {value})"
    assert told in edited.err
    assert f"`lfvpipe run {trained[0]} --set {key}` trains another" in edited.err
    assert "has changed" not in plain.err


def test_an_extracted_but_untrained_edit_changes_no_verdict(
    file: Path, image: Path, lfvpipe: Any
) -> None:
    plain = lfvpipe("detect", file, image, "--json")
    edit = ("--set", "images.resize=96x96")
    assert lfvpipe("run", file, *edit, "--until", "extract").code == 0
    edited = lfvpipe("detect", file, image, "--json", *edit)
    assert lfvpipe("run", file).code == 0
    assert edited.json == plain.json


def test_a_newer_preparation_is_no_edit_of_the_file(
    trained: Trained, image: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "VERSION", preparation.VERSION + 1)
    said = lfvpipe("detect", trained[0], image, "--json")
    assert (said.code, "has changed" in said.err) == (0, False)


def test_an_image_without_a_verdict_has_its_reason_in_the_column_of_the_others(
    trained: Trained, image: Path, lfvpipe: Any
) -> None:
    with Image.open(image) as opened:
        opened.resize((96, 96)).save(image.with_name("small.png"))
    said = lfvpipe("detect", trained[0], image.parent)
    lines = {line.partition(str(image.parent))[2].strip(): line for line in said.out.splitlines()}
    wrong, right = sorted(lines.values(), key=lambda line: "small" not in line)
    assert (said.code, wrong.split()[0]) == (1, "error")
    assert wrong.index(str(image.parent)) == right.index(str(image.parent))
    assert wrong.count("small.png") == 1
    assert "small.png: The image has 96x96 pixels; it must have the size" in wrong


@pytest.mark.parametrize("given", [("--set", "evaluate.decide.threshold=0.9"), ("--variant", "x")])
def test_what_changes_a_pipeline_is_refused_beside_a_model_file(
    trained: Trained, image: Path, lfvpipe: Any, given: tuple[str, str]
) -> None:
    model = next(trained[0].parent.rglob("*.lfv"))
    said = lfvpipe("detect", "--model", model, image, *given)
    assert said.code == 3
    assert f"{given[0]} changes a pipeline, and --model judges without one." in said.err


def test_a_pattern_that_no_image_fits_is_named(trained: Trained, lfvpipe: Any) -> None:
    said = lfvpipe("detect", trained[0], "nope/*.png")
    assert said.code == 3
    assert "There are no images to look at in nope/*.png." in said.err


# --- What the model was not made for


def photograph(path: Path, seed: int, size: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    small = numpy.random.default_rng(seed).integers(90, 160, (12, 16), numpy.uint8)
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(path)


@pytest.fixture(scope="module")
def resized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a pipeline of good photographs of 128x96 alone, brought to 96x96, with its model."""
    folder = tmp_path_factory.mktemp("resized")
    for number in range(12):
        photograph(folder / "good" / f"{number}.png", number, (128, 96))
    for name, size in {"same": (128, 96), "wide": (192, 96), "small": (64, 48)}.items():
        photograph(folder / "new" / f"{name}.png", 50, size)
    file = folder / "p.yaml"
    file.write_text("sources: {normal: {archive: good}}\nimages: {resize: 96x96}\n")
    said = workshop.call("run", file)
    assert said.code == 0, said.err
    return file


UNLIKE = {
    "small.png": "is smaller, 64x48, than what was learnt from, 128x96",
    "wide.png": "has another shape, 192x96, than what was learnt from, 128x96",
}


@pytest.mark.slow
@pytest.mark.parametrize("by_file", [False, True])
def test_an_image_of_another_size_or_shape_is_judged_and_told(
    resized: Path, lfvpipe: Any, by_file: bool
) -> None:
    (model,) = resized.parent.rglob("*.lfv")
    how = ["--model", model] if by_file else [resized]
    said = lfvpipe("detect", *how, resized.parent / "new")
    assert said.code == 0, said.err
    lines = {line.partition("/new/")[2].split()[0]: line for line in said.out.splitlines()}
    assert {name: line.partition("(")[2] for name, line in lines.items()} == {
        "same.png": "",
        **{name: f"{how})" for name, how in UNLIKE.items()},
    }
    told = said.err.splitlines()[-1]
    assert told.startswith("note: 2 images have a size or shape that no photograph had")
    by_json = lfvpipe("detect", *how, resized.parent / "new", "--json").json
    notes = {Path(each["image"]).name: each["note"] for each in by_json["images"]}
    assert notes == {"same.png": None, **UNLIKE}
    assert len(by_json["notes"]) == 2
    rows = lfvpipe("detect", *how, resized.parent / "new", "--csv").out.splitlines()
    assert ",error,note" in rows[0]
    assert sum(UNLIKE["wide.png"] in row for row in rows) == 1


@pytest.mark.slow
@pytest.mark.parametrize("by_file", [False, True])
@pytest.mark.parametrize("form", ["", "--json", "--csv"])
def test_that_the_threshold_is_a_guess_is_told_once_at_the_end(
    resized: Path, lfvpipe: Any, by_file: bool, form: str
) -> None:
    (model,) = resized.parent.rglob("*.lfv")
    how = ["--model", model] if by_file else [resized]
    said = lfvpipe("detect", *how, resized.parent / "new" / "same.png", *filter(None, [form]))
    place = " ".join(said.json["notes"]) if form == "--json" else said.err
    told = "The model learnt from good images alone (no defective one to learn from), so its"
    assert place.count(told) == 1
    assert place.count("threshold is a guess") == 1
    assert ("note:" in said.err) == (form != "--json")


def test_a_model_of_images_as_they_are_tells_others_by_their_size(
    trained: Trained, image: Path, lfvpipe: Any
) -> None:
    model = next(trained[0].parent.rglob("*.lfv"))
    half = image.with_name("half.png")
    with Image.open(image) as whole:
        whole.resize((64, 64)).save(half)
        size = f"{whole.width}x{whole.height}"
    said = lfvpipe("detect", "--model", model, image, half, "--json")
    told = f"is smaller, 64x64, than what was learnt from, {size}"
    assert [bool(each["note"]) for each in said.json["images"]] == [False, True]
    assert said.json["images"][1]["note"].startswith(told)
    assert any(each.startswith("1 image has a size or shape") for each in said.json["notes"])
    refused = lfvpipe("detect", trained[0], half)
    assert (refused.code, "must have the size of the training images" in refused.out) == (1, True)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Return a pipeline that judged images which are not like its good ones, and what it said."""
    folder = tmp_path_factory.mktemp("judged")
    for number in range(12):
        photograph(folder / "good" / f"{number}.png", number, (128, 96))
    photograph(folder / "new" / "same.png", 50, (128, 96))
    for name, grey in {"dark": 20, "white": 255}.items():
        Image.new("L", (128, 96), grey).save(folder / "new" / f"{name}.png")
    file = folder / "p.yaml"
    file.write_text("sources: {normal: {archive: good}}\nevaluate: {images: {archive: new}}\n")
    said = workshop.call("run", file)
    assert said.code == 0, said.err
    return file, said


@pytest.mark.parametrize("by_file", [False, True])
def test_an_image_not_like_the_training_images_is_judged_and_told(
    judged: tuple[Path, Any], lfvpipe: Any, by_file: bool
) -> None:
    file, _ = judged
    (model,) = file.parent.rglob("*.lfv")
    how = ["--model", model] if by_file else [file]
    said = lfvpipe("detect", *how, file.parent / "new")
    assert said.code == 0, said.err
    lines = {line.partition("/new/")[2].split()[0]: line for line in said.out.splitlines()}
    told = "(is not like the training images: "
    assert {name: told in line for name, line in lines.items()} == {
        "dark.png": True,
        "same.png": False,
        "white.png": True,
    }
    assert "times the threshold)" in lines["white.png"]
    assert said.err.splitlines()[-1].startswith("note: 2 images are not like the training images:")
    by_json = lfvpipe("detect", *how, file.parent / "new", "--json").json
    far = {Path(each["image"]).name: each["unlikeness"] for each in by_json["images"]}
    assert far["same.png"] is None
    assert min(far["dark.png"], far["white.png"]) >= 1
    assert sum("not like the training images" in note for note in by_json["notes"]) == 1
    rows = lfvpipe("detect", *how, file.parent / "new", "--csv").out.splitlines()
    assert sum("is not like the training images" in row for row in rows) == 2


def test_a_run_tells_which_images_that_it_judged_are_not_like_the_training_images(
    judged: tuple[Path, Any],
) -> None:
    file, said = judged
    assert "not like the training images 2" in said.err  # of the step `evaluate`
    text = " ".join(said.out.split())
    assert "warning: 2 of 3 images judged are not like the training images:" in text
    (record,) = file.parent.rglob("runs/*.json")
    (found,) = json.loads(record.read_bytes())["findings"][:1]
    assert (found["severity"], len(found["subjects"])) == ("warning", 2)
    assert "What is said of such is a guess (" in found["message"]
    assert all(Path(name).name in {"dark.png", "white.png"} for name in found["subjects"])
    assert all(name in found["message"] for name in found["subjects"])
    page = record.with_suffix(".html").read_text("utf-8")
    assert page.count(">not like the training images</span>") == 2


UGLY = ("a\x1b[31m\x1b[2J.png", "x.png\nnormal   0.999           fake.png", "\u202egnp.png")


def test_a_name_can_neither_make_a_line_nor_steer_the_terminal(
    trained: Trained, image: Path, lfvpipe: Any
) -> None:
    for name in UGLY:
        image.with_name(name).write_bytes(image.read_bytes())
    said = lfvpipe("detect", trained[0], image.parent)
    assert len(said.out.splitlines()) == 4
    assert not set("\x1b\u202e") & set(said.out + said.err)
    assert r"a\u001b[31m\u001b[2J.png" in said.out
    assert r"\u202egnp.png" in said.out
    named = lfvpipe("detect", trained[0], image.with_name(UGLY[1]))
    assert r"x.png\u000anormal   0.999           fake.png" in named.out
    assert len(named.out.splitlines()) == 1
    document = lfvpipe("detect", trained[0], image.parent, "--json")
    assert not set("\x1b\u202e") & set(document.out)
    assert str(image.with_name(UGLY[2])) in [each["image"] for each in document.json["images"]]
    missing = lfvpipe("detect", trained[0], "gone\x1b[2J.png")
    assert r"gone\u001b[2J.png" in missing.err
    assert "\x1b" not in missing.err


def test_a_cell_of_csv_is_no_formula(
    trained: Trained, image: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(image.parent)
    image.rename("=1+1.png")
    said = lfvpipe("detect", trained[0].absolute(), "./=1+1.png", "--csv")
    assert said.out.splitlines()[1].startswith("'=1+1.png,")


def test_a_folder_means_the_images_that_a_run_takes_of_it_and_the_rest_is_counted(
    trained: Trained, image: Path, lfvpipe: Any
) -> None:
    folder = image.parent
    system = ("@eaDir/spot.png", "__MACOSX/spot.png", "._spot.png", ".lfvpipe/state.png")
    other = ("spot.png.heat.png", "x.gif", "more.zip", "no_ending", "thumbs/spot.jpg")
    for junk in (*system, *other):
        (folder / junk).parent.mkdir(exist_ok=True)
        (folder / junk).write_bytes(image.read_bytes())
    (folder / "far.png").symlink_to(folder / "unmounted" / "far.png")
    os.mkfifo(folder / "pipe.png")
    told = (
        "note: Not judged, as no image to judge: 1 .gif, 1 .zip, 1 @eadir/, 1 __macosx/, 1 device"
        " or special file, 1 file without an ending, 1 heat map, 1 hidden file, 1 link that leads"
        " nowhere, 1 thumbs/."
    )
    for name, why in (("far.png", "link that leads nowhere"), ("pipe.png", "special file")):
        named = lfvpipe("detect", trained[0], folder / name)
        assert (named.code, why in named.err) == (3, True)
    said = lfvpipe("detect", trained[0], folder)
    assert (said.code, len(said.out.splitlines())) == (0, 1)
    assert told in said.err
    assert (
        told.removeprefix("note: ") in lfvpipe("detect", trained[0], folder, "--json").json["notes"]
    )
    image.unlink()
    alone = lfvpipe("detect", trained[0], folder)  # of no photograph: it may be one
    assert "spot.jpg" in alone.out
    (folder / "thumbs" / "spot.jpg").unlink()
    told = told.replace(", 1 thumbs/", "")
    empty = lfvpipe("detect", trained[0], folder)
    assert empty.code == 3
    assert told.removeprefix("note: ") in empty.err
