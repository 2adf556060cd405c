"""Every kind of photograph becomes 8-bit RGB, upright."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lfvpipe.detector import DetectorError, Example, Model, Settings, train
from lfvpipe.detector.images import open_rgb, resize
from lfvpipe.images import PixelRules


def encode(image: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_modes_keep_their_grey(mode: str) -> None:
    image = Image.new("L", (70, 80), 255).convert(mode)
    assert np.asarray(open_rgb(encode(image))).min() == 255


@pytest.mark.parametrize(("white", "depth"), [(255, 8), (1023, 10), (4095, 12), (65535, 16)])
def test_deep_grey_is_scaled_by_its_depth(white: int, depth: int) -> None:
    values = np.linspace(0, white, 64 * 64).reshape(64, 64).astype(np.uint16)
    pixels = np.asarray(open_rgb(encode(Image.fromarray(values))))
    assert pixels.max() == 255
    assert abs(float(pixels.mean()) - 127) < 2


def test_deep_grey_is_as_bright_in_every_image(tmp_path: Path) -> None:
    levels = (16_000, 16_800)  # one below a sensor's depth of 14 bits, one above
    for level in levels:
        values = np.full((64, 64), level, np.uint16) - np.arange(64, dtype=np.uint16)
        Image.fromarray(values).save(tmp_path / f"{level}.png")
    examples = [Example(tmp_path / f"{level}.png", "normal") for level in levels]
    model = train(examples, Settings(sides=(64,)))
    assert model.info.white == 65535
    seen = [
        np.asarray(open_rgb(each.path, PixelRules(model.info.white))).mean() for each in examples
    ]
    assert 0.9 < seen[0] / seen[1] < 1


def test_a_hot_pixel_does_not_darken_an_image() -> None:
    values = np.full((64, 64), 4000, np.uint16)
    values[3, 3] = 65535
    assert np.median(np.asarray(open_rgb(encode(Image.fromarray(values))))) > 240


def test_cmyk_is_converted() -> None:
    pixels = np.asarray(open_rgb(encode(Image.new("CMYK", (64, 64), (0, 255, 255, 0)), "JPEG")))
    assert pixels[0, 0, 0] > 200
    assert pixels[0, 0, 1] < 60


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert open_rgb(encode(Image.new("RGB", (100, 64)), "JPEG", exif=exif)).size == (64, 100)


@pytest.mark.parametrize("size", [(64, 64), (64, 4096), (4096, 64), (550, 380)])
def test_any_size_has_a_verdict(supervised: Model, size: tuple[int, int]) -> None:
    verdict = supervised.detect(Image.new("RGB", size, "grey"))
    assert verdict.heat_map is not None
    assert 0.5 <= verdict.confidence <= 1


def test_resizing_keeps_area_and_aspect() -> None:
    assert resize(Image.new("RGB", (1000, 500)), 256).shape == (176, 368, 3)
    assert resize(Image.new("RGB", (64, 64)), 256).shape == (256, 256, 3)


def test_damaged_and_enormous_images_are_refused() -> None:
    whole = encode(Image.effect_noise((200, 200), 50))
    with pytest.raises(DetectorError, match="cannot be read"):
        open_rgb(whole[: len(whole) // 2])
    with pytest.raises(DetectorError, match="more than can be decoded"):
        open_rgb(encode(Image.new("1", (9000, 9000))))


def test_a_damaged_image_that_somebody_opened_is_refused() -> None:
    whole = encode(Image.effect_noise((200, 200), 50))
    with pytest.raises(DetectorError, match="cannot be read"):
        open_rgb(Image.open(io.BytesIO(whole[: len(whole) // 2])))
    closed = Image.open(io.BytesIO(whole))
    closed.close()
    with pytest.raises(DetectorError, match="cannot be read"):
        open_rgb(closed)
