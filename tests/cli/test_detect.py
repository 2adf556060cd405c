"""`detect` asks the model that was trained, whatever the pipeline file says by now."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest

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
