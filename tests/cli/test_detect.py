"""`detect` asks the model that was trained, whatever the pipeline file says by now."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lfvpipe.steps.extract import preparation

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
    trained: Trained, image: Path, lfvpipe: Any
) -> None:
    plain = lfvpipe("detect", trained[0], image, "--json")
    edit = ("--set", "images.resize=96x96")
    assert lfvpipe("run", trained[0], *edit, "--until", "extract").code == 0
    edited = lfvpipe("detect", trained[0], image, "--json", *edit)
    assert lfvpipe("run", trained[0]).code == 0
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
    assert "small.png: the image has 96x96 pixels; it must have the size" in wrong


def test_a_pattern_that_no_image_fits_is_named(trained: Trained, lfvpipe: Any) -> None:
    said = lfvpipe("detect", trained[0], "nope/*.png")
    assert said.code == 3
    assert "There are no images to look at in nope/*.png." in said.err
