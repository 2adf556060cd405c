"""HEIC, as phones write it: with the extra `heic` a photograph like others, without it told so."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from lfvpipe.cli.main import main
from lfvpipe.images import ImageError, examine, inspect, read_image, upright_size
from tests.mutations import MUTATIONS, mutate
from tests.needs import lacks

if TYPE_CHECKING:
    from pathlib import Path

# The beginning of a HEIC file: what tells the kind.
HEAD = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def heic(seed: int = 0, orientation: int = 1) -> bytes:
    """Return a photograph of 96 by 64 pixels, brighter to the right."""
    if find_spec("pillow_heif") is None:
        lacks("pillow-heif is not installed: pip install 'lfvpipe[heic]'")
    import_module("pillow_heif").register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = orientation
    ramp = np.broadcast_to(np.linspace(0, 200, 96), (64, 96)) + seed
    buffer = io.BytesIO()
    Image.fromarray(ramp.astype(np.uint8)).convert("RGB").save(
        buffer, "HEIF", quality=90, exif=exif
    )
    return buffer.getvalue()


def test_a_photograph_is_prepared_without_loss_to_see() -> None:
    data = heic()
    header = inspect(data)
    assert (header.format, header.width, header.height) == ("HEIC", 96, 64)
    prepared = examine(data)
    assert prepared.format == "PNG"
    assert "format" in prepared.changes
    raw, made = read_image(data).image, read_image(prepared.data).image
    assert raw.tobytes() == made.tobytes()
    assert abs(int(np.asarray(raw)[32, 90, 0]) - 189) < 12


@pytest.mark.parametrize("orientation", [3, 6])
def test_what_exif_says_turns_nothing_as_the_format_turns_by_itself(orientation: int) -> None:
    # ISO/IEC 23008-12: the file's own rotation counts, which libheif applies; EXIF's is a copy.
    data = heic(orientation=orientation)
    assert upright_size(data) == read_image(data).image.size == examine(data).whole == (96, 64)
    assert read_image(data).image.tobytes() == read_image(heic()).image.tobytes()


@pytest.mark.parametrize("cut", [12, 40, 200, -20])
def test_damage_is_told(cut: int) -> None:
    with pytest.raises(ImageError):
        read_image(heic()[:cut])


def test_damaged_files_are_refused_or_read_and_nothing_else() -> None:
    refused = 0
    for data in mutate([heic(), heic(40, 6)], MUTATIONS // 4):
        for use in (examine, upright_size):
            try:
                use(data)
            except ImageError:
                refused += 1
    assert refused


def test_heic_photographs_go_through_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good").mkdir()
    for number in range(6):
        (tmp_path / "good" / f"IMG_{number}.HEIC").write_bytes(heic(number * 9))
    monkeypatch.chdir(tmp_path)
    assert main(["init", "good"]) == 0
    assert main(["run", "--until", "check"]) == 0
    assert "converted to PNG from BMP, TIFF, WebP or HEIC" in capsys.readouterr().err


def test_without_the_extra_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ImageError, match="needs the package pillow-heif") as caught:
        read_image(HEAD + b"\0" * 200)
    assert "pip install 'lfvpipe[heic]'" in caught.value.hint
