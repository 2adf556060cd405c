"""`detect --heat-maps`: images with where the model sees evidence laid over them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lfvpipe.detector import Example, Settings, train

pytestmark = pytest.mark.slow

Trained = tuple[Path, Any]
SPOT = (150, 20, 180, 50)  # left, top, right, bottom, of 192 by 192 pixels


def texture(seed: int, *, spot: bool = False) -> Image.Image:
    """Return noisy grey, with a dark spot at its upper right if asked for."""
    noise = np.random.default_rng(seed).normal(150, 12, (192, 192)).clip(0, 255)
    image = Image.fromarray(noise.astype(np.uint8)).convert("RGB")
    if spot:
        ImageDraw.Draw(image).ellipse(SPOT, fill=(20, 20, 20))
    return image


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a model that knows the texture and the spot."""
    folder = tmp_path_factory.mktemp("model")
    examples = []
    for number in range(24):
        path = folder / f"{number}.png"
        texture(number, spot=number % 3 == 0).save(path)
        examples.append(Example(path, "normal" if number % 3 else "anomaly"))
    train(examples, Settings(sides=(128,), views=1, looks=4, steps=24)).save(folder / "model.bin")
    return folder / "model.bin"


@pytest.fixture
def spot(tmp_path: Path) -> Path:
    """Return an image with a spot, in a folder of its own."""
    file = tmp_path / "photos" / "spot.png"
    file.parent.mkdir()
    texture(99, spot=True).save(file)
    return file


def changed(image: Path, picture: Path) -> Any:
    """Return by how much each pixel of an image was changed in its picture."""
    with Image.open(image) as before, Image.open(picture) as after:
        pixels = [np.asarray(each.convert("RGB"), np.int16) for each in (before, after)]
    return np.abs(pixels[1] - pixels[0]).sum(axis=2)


def test_the_heat_is_where_the_defect_is(
    model: Path, spot: Path, tmp_path: Path, lfvpipe: Any
) -> None:
    said = lfvpipe("detect", spot, "--model", model, "--heat-maps", tmp_path / "heat", "--json")
    answer = said.json["images"][0]
    assert (said.code, answer["verdict"]) == (0, "anomaly"), said.err
    assert answer["heat_map"] == str(tmp_path / "heat" / "spot.png.heat.png")
    difference = changed(spot, Path(answer["heat_map"]))
    left, top, right, bottom = SPOT
    inside = difference[top:bottom, left:right].mean()
    assert inside > 100
    assert inside > 5 * difference[96:, :96].mean()


def test_without_the_option_nothing_is_written_and_the_text_is_the_same_with_it(
    model: Path, spot: Path, tmp_path: Path, lfvpipe: Any
) -> None:
    before = sorted(tmp_path.rglob("*"))
    plain = lfvpipe("detect", spot, "--model", model)
    assert lfvpipe("detect", spot, "--model", model, "--json").json["images"][0]["heat_map"] is None
    assert sorted(tmp_path.rglob("*")) == before
    drawn = lfvpipe("detect", spot, "--model", model, "--heat-maps", tmp_path / "heat")
    assert drawn.out == plain.out
    assert "heat map" not in plain.err
    assert drawn.err.endswith(f"1 heat map in {tmp_path / 'heat'}\n")


def test_images_of_the_same_name_have_each_their_heat_map(
    model: Path, tmp_path: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("a/1.png", "b/1.png", "b/1.jpg")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        texture(number).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for arguments in (["a", "b"], ["b/../b", tmp_path / "a"]):  # named otherwise: the same files
        said = lfvpipe("detect", *arguments, "--model", model, "--heat-maps", "heat")
        assert said.code == 0, said.err
        files = [each.relative_to(tmp_path / "heat") for each in Path("heat").absolute().rglob("*")]
        names = sorted(each.as_posix() for each in files if each.suffix)
        assert names == ["a/1.png.heat.png", "b/1.jpg.heat.png", "b/1.png.heat.png"]


def test_images_from_elsewhere_stay_inside_the_folder(
    model: Path, tmp_path: Path, lfvpipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("work", "left", "right"):
        (tmp_path / name).mkdir()
        texture(1).save(tmp_path / name / "1.png")
    monkeypatch.chdir(tmp_path / "work")
    targets = ["../left/1.png", tmp_path / "right"]
    assert lfvpipe("detect", *targets, "--model", model, "--heat-maps", "heat").code == 0
    written = sorted(each for each in tmp_path.rglob("*.png.heat.png"))
    heat = tmp_path / "work" / "heat"
    assert written == [heat / "left" / "1.png.heat.png", heat / "right" / "1.png.heat.png"]


def test_a_large_rotated_photograph_is_drawn_upright_and_smaller(
    model: Path, tmp_path: Path, lfvpipe: Any
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    texture(1).resize((2000, 1000)).save(tmp_path / "1.jpg", exif=exif)
    heat = tmp_path / "heat"
    assert lfvpipe("detect", tmp_path / "1.jpg", "--model", model, "--heat-maps", heat).code == 0
    with Image.open(heat / "1.jpg.heat.png") as drawn:
        assert drawn.size == (800, 1600)
        assert not drawn.getexif()


def test_an_unreadable_image_costs_the_others_nothing(
    model: Path, spot: Path, tmp_path: Path, lfvpipe: Any
) -> None:
    (spot.parent / "broken.png").write_text("no image")
    heat = tmp_path / "heat"
    said = lfvpipe("detect", spot.parent, "--model", model, "--heat-maps", heat, "--json")
    assert said.code == 1
    assert [each["heat_map"] for each in said.json["images"]] == [
        None,
        str(heat / "spot.png.heat.png"),
    ]
    assert [each.name for each in heat.iterdir()] == ["spot.png.heat.png"]


def test_a_heat_map_that_cannot_be_written_costs_no_verdict(
    model: Path, spot: Path, tmp_path: Path, lfvpipe: Any
) -> None:
    (tmp_path / "heat" / "spot.png.heat.png").mkdir(parents=True)
    arguments = ("--model", model, "--heat-maps", tmp_path / "heat", "--json")
    said = lfvpipe("detect", spot, *arguments)
    answer = said.json["images"][0]
    assert (said.code, answer["verdict"], answer["heat_map"]) == (1, "anomaly", None)
    assert "warning: no heat map of" in said.err


def test_a_folder_that_cannot_be_made_is_an_error(
    model: Path, spot: Path, tmp_path: Path, lfvpipe: Any
) -> None:
    (tmp_path / "heat").write_text("a file")
    said = lfvpipe("detect", spot, "--model", model, "--heat-maps", tmp_path / "heat")
    assert (said.code, said.out) == (3, "")
    assert "heat is no folder" in said.err
    assert "Name a folder that you may write" in said.err


def test_heat_maps_are_never_taken_for_images_nor_put_in_their_place(
    model: Path, spot: Path, lfvpipe: Any
) -> None:
    photos = spot.parent
    for _ in range(2):
        said = lfvpipe("detect", photos, "--model", model, "--heat-maps", photos / "heat", "--json")
        assert len(said.json["images"]) == 1
    among = lfvpipe("detect", photos, "--model", model, "--heat-maps", photos)
    assert (among.code, "Name another folder" in among.err) == (3, True)


def test_a_pipelines_verdicts_are_its_services_and_its_model_file_draws(
    trained: Trained, spot: Path, tmp_path: Path, lfvpipe: Any
) -> None:
    texture(99, spot=True).resize((128, 128)).save(spot)  # as the images it was trained on
    plain = lfvpipe("detect", trained[0], spot, "--json").json["images"][0]
    said = lfvpipe("detect", trained[0], spot, "--heat-maps", tmp_path / "heat", "--json")
    answer = said.json["images"][0]
    assert said.code == 0, said.err
    assert changed(spot, Path(answer["heat_map"])).shape == (128, 128)
    assert {**answer, "heat_map": None} == plain


def test_a_service_elsewhere_cannot_say_where_it_looked(
    project: Path, spot: Path, tmp_path: Path, lfvpipe: Any
) -> None:
    remote = ("--set", "service.endpoint=http://127.0.0.1:9", "--set", "bucket.endpoint=aws")
    said = lfvpipe("detect", project, spot, *remote, "--heat-maps", tmp_path / "heat")
    assert (said.code, said.out) == (3, "")
    assert "tells verdicts, not where it looked" in said.err
    assert "--model FILE" in said.err
    assert not (tmp_path / "heat").exists()


def test_a_model_file_that_is_gone_is_said_before_anything_is_hosted(
    trained: Trained, spot: Path, tmp_path: Path, lfvpipe: Any
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained[0].parent, copy)
    for file in (copy / ".lfvpipe").rglob("models/**/*"):
        if file.is_file():
            file.unlink()
    before = json.loads((copy / ".lfvpipe/small/ledger.json").read_bytes())["serial"]
    said = lfvpipe("detect", copy / trained[0].name, spot, "--heat-maps", tmp_path / "heat")
    assert (said.code, said.out) == (1, "")
    assert "is not on this machine" in said.err
    assert "--model FILE" in said.err
    assert json.loads((copy / ".lfvpipe/small/ledger.json").read_bytes())["serial"] == before
