"""Heat maps of the report page: computed by the model, kept, and see-through where nothing is."""

import base64
import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
from PIL import Image

from lfvpipe.detector import Anomaly, DetectorError
from lfvpipe.report import heat_colours, heat_maps
from lfvpipe.report.page import write_page
from lfvpipe.report.records import RunRecord, Verdict

MakeRun = Callable[..., RunRecord]


def _opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGBA")


def _image(folder: Path, name: str) -> Verdict:
    file = folder / name
    Image.new("RGB", (64, 64), (len(name), 90, 90)).save(file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return Verdict(name, name, "anomaly", True, 0.9, sha256=digest, path=name)


class Looking:
    """A model that sees something in the upper left of each image, and counts."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.mask: bytes | None = None

    def load(self, _file: Path) -> "Looking":
        return self

    def detect(self, image: Path) -> Any:
        self.seen.append(image.name)
        if not image.is_file():
            raise DetectorError("gone")
        heat = numpy.zeros((8, 16), numpy.float32)
        heat[:4, :8] = 0.95
        found = Anomaly("crack", "#23A436", 0.5)
        return SimpleNamespace(
            heat_map=heat,
            mask_png=self.mask,
            anomalies=(Anomaly("background", "#FFFFFF", 0.5), found),
        )


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Looking:
    looking = Looking()
    monkeypatch.setattr(heat_maps, "load", looking.load)
    (tmp_path / "model.lfv").write_bytes(b"a model")
    return looking


def test_they_are_computed_once_for_a_model_and_an_image(model: Looking, tmp_path: Path) -> None:
    verdicts = [_image(tmp_path, "a.png"), _image(tmp_path, "bb.png")]
    told: list[int] = []
    first = heat_maps.heat_maps(tmp_path, tmp_path / "model.lfv", verdicts, told.append)
    assert set(first) == {verdict.sha256 for verdict in verdicts}
    assert told == [0, 1, 2]
    verdicts.append(_image(tmp_path, "ccc.png"))
    heat_maps.heat_maps(tmp_path, tmp_path / "model.lfv", verdicts)
    assert sorted(model.seen) == ["a.png", "bb.png", "ccc.png"]
    (tmp_path / "model.lfv").write_bytes(b"another model")
    heat_maps.heat_maps(tmp_path, tmp_path / "model.lfv", verdicts)
    assert len(model.seen) == 6


def test_the_predicted_mask_is_kept_with_them_and_made_small(
    model: Looking, tmp_path: Path
) -> None:
    verdict = _image(tmp_path, "a.png")
    picture = io.BytesIO()
    mask = Image.new("RGB", (1200, 600), "#FFFFFF")
    mask.paste((0x23, 0xA4, 0x36), (0, 0, 600, 600))
    mask.save(picture, "PNG")
    model.mask = picture.getvalue()
    heat_maps.heat_maps(tmp_path, tmp_path / "model.lfv", [verdict])
    (sight,) = heat_maps.heat_maps(tmp_path, tmp_path / "model.lfv", [verdict]).values()
    assert len(model.seen) == 1
    assert sight.classes == {"crack": "#23A436"}
    kept = Image.open(io.BytesIO(base64.b64decode(sight.mask or ""))).convert("RGB")
    assert kept.size == (480, 240)
    assert (kept.getpixel((239, 9)), kept.getpixel((240, 9))) == ((35, 164, 54), (255, 255, 255))


@pytest.mark.parametrize("kept", [None, [], "text", {}, {"heat": 3, "classes": {}}, {"classes": 1}])
def test_what_is_no_sight_in_the_store_is_passed_over(
    model: Looking, tmp_path: Path, kept: object
) -> None:
    verdict = _image(tmp_path, "a.png")
    first = heat_maps.heat_maps(tmp_path, tmp_path / "model.lfv", [verdict])
    (file,) = (tmp_path / "heat-maps").iterdir()
    digest, _, check = json.loads(file.read_text())
    file.write_text(json.dumps([digest, kept, check]))
    assert heat_maps.heat_maps(tmp_path, tmp_path / "model.lfv", [verdict]) == first


def test_a_kept_one_that_was_altered_is_made_again(model: Looking, tmp_path: Path) -> None:
    verdicts = [_image(tmp_path, "a.png"), _image(tmp_path, "bb.png"), _image(tmp_path, "ccc.png")]
    first = heat_maps.heat_maps(tmp_path, tmp_path / "model.lfv", verdicts)
    (file,) = (tmp_path / "heat-maps").iterdir()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[0][0], lines[1][0] = lines[1][0], lines[0][0]  # each under the other's name
    lines[2][1]["heat"] = lines[2][1]["heat"][:-1]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert heat_maps.heat_maps(tmp_path, tmp_path / "model.lfv", verdicts) == first
    assert len(model.seen) == 6


def test_what_was_done_before_an_interruption_is_kept(model: Looking, tmp_path: Path) -> None:
    verdicts = [_image(tmp_path, f"{'x' * n}.png") for n in range(1, 9)]

    def stop(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        heat_maps.heat_maps(tmp_path, tmp_path / "model.lfv", verdicts, stop)
    model.seen.clear()
    assert len(heat_maps.heat_maps(tmp_path, tmp_path / "model.lfv", verdicts)) == 8
    assert len(model.seen) == 6


def test_what_was_done_before_a_kill_is_kept(model: Looking, tmp_path: Path) -> None:
    verdicts = [_image(tmp_path, f"{'x' * n}.png") for n in range(1, 9)]
    held: list[bytes] = []

    def look(done: int) -> None:
        if done == 3:  # a kill leaves what is on the disk at this moment
            held.extend(file.read_bytes() for file in (tmp_path / "heat-maps").iterdir())

    heat_maps.heat_maps(tmp_path, tmp_path / "model.lfv", verdicts, look)
    (store,) = (tmp_path / "heat-maps").iterdir()
    store.write_bytes(held[0][:-9])  # the last line half written
    model.seen.clear()
    assert len(heat_maps.heat_maps(tmp_path, tmp_path / "model.lfv", verdicts)) == 8
    assert len(model.seen) == 6


def test_a_damaged_store_is_made_anew_and_a_lost_image_has_none(
    model: Looking, tmp_path: Path
) -> None:
    verdicts = [_image(tmp_path, "a.png"), replace(_image(tmp_path, "b.png"), path="gone.png")]
    heat_maps.heat_maps(tmp_path, tmp_path / "model.lfv", verdicts)
    (store,) = (tmp_path / "heat-maps").iterdir()
    store.write_bytes(b'{"a": ')
    found = heat_maps.heat_maps(tmp_path, tmp_path / "model.lfv", verdicts)
    assert set(found) == {verdicts[0].sha256}


def test_they_are_clear_where_nothing_is_and_strong_where_something_is(tmp_path: Path) -> None:
    heat = numpy.zeros((8, 16), numpy.float32)
    heat[:4, :8] = 0.95
    picture = _opened(heat_maps.overlay(heat))
    assert picture.size == (heat_maps.SIDE, heat_maps.SIDE // 2)
    strong: Any = picture.getpixel((20, 10))
    clear: Any = picture.getpixel((90, 40))
    assert strong[3] > 200
    assert clear[3] < 10


def test_the_colours_grow_lighter_with_the_evidence() -> None:
    pixels = heat_colours.pixels(numpy.linspace(0.1, 1, 40, dtype=numpy.float32)[None])[0]
    lightness = pixels[:, :3].astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (numpy.diff(lightness) > 0).all()
    assert (numpy.diff(pixels[:, 3].astype(int)) >= 0).all()


@pytest.mark.parametrize(
    ("service", "there", "said"),
    [
        ("embedded", True, "No heat maps: "),
        ("embedded", False, "No heat maps: the trained model is no longer on this machine."),
        ("https://lookout.example", True, "No heat maps: the service at https://lookout.example"),
    ],
)
def test_the_page_says_why_there_are_none(
    make_run: MakeRun, tmp_path: Path, service: str, there: bool, said: str
) -> None:
    file = tmp_path / "model.lfv"
    file.write_bytes(b"no model")
    verdicts = {"evaluation": (_image(tmp_path, "a.png"),)}
    run = make_run(versions={"service": service}, verdicts=verdicts)
    html = write_page(tmp_path, run, model_file=file if there else None).read_text("utf-8")
    assert said in html
    assert 'data-layer="heat"' not in html
