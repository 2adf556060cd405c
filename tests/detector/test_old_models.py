"""Model files of lfvpipe 0.1.0 are read, and say what they said then.

`fixtures/model-0.1.0.lfv.xz` was trained by 0.1.0 (model file format 6) on `examples` below, with
`Settings(sides=(64,), views=1, seed=5)`, and has every head; `fixtures/verdicts-0.1.0.json` holds
what 0.1.0 then said of `photograph(50)` to `photograph(59)`. To keep it small, the arrays'
mantissas were cut to 9 bits before 0.1.0 was asked, and the file is compressed.
"""

import json
import lzma
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lfvpipe.detector import Example, Settings, load
from lfvpipe.detector.arrays import Floats

FIXTURES = Path(__file__).parent / "fixtures"
SETTINGS = Settings(sides=(64,), views=1, seed=5)
CLASSES = {"stain": "#FF0000"}
HEAD = 48  # bytes: magic, format, digest of what follows


def is_bad(number: int) -> bool:
    return number % 2 == 1


def photograph(number: int) -> tuple[Image.Image, Image.Image]:
    """Return an image of a product and its mask: whole numbers only, the same on any machine."""
    y, x = np.mgrid[:64, :64]
    grain = (
        ((x * 7919 + y * 104729 + number * 1299709) * 2654435761 >> 7) % 5 * (number % 3 + 1) // 2
    )
    parts = 70 * ((x // 16 + y // 16) % 2) + 40 * (x > 40)
    stain = (x - 20 - number % 5 * 6) ** 2 + (y - 24 - number % 7 * 3) ** 2 < 60
    grey = 80 + parts + grain + 90 * (stain & is_bad(number))
    mask = np.zeros((64, 64, 3), np.uint8)
    mask[stain & is_bad(number)] = (255, 0, 0)
    pixels = grey.clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels).convert("RGB"), Image.fromarray(mask)


def examples(folder: Path, count: int = 12) -> list[Example]:
    """Write photographs and masks of the anomalous ones into `folder`."""
    found = []
    for number in range(count):
        image, mask = photograph(number)
        path, mask_path = folder / f"{number}.png", folder / f"{number}-mask.png"
        image.save(path)
        if is_bad(number):
            mask.save(mask_path)
            found.append(Example(path, "anomaly", mask_path, CLASSES))
        else:
            found.append(Example(path, "normal"))
    return found


def test_a_model_file_of_0_1_0_says_what_it_said(tmp_path: Path) -> None:
    data = lzma.decompress((FIXTURES / "model-0.1.0.lfv.xz").read_bytes())
    (tmp_path / "model.lfv").write_bytes(data)
    model = load(tmp_path / "model.lfv")
    model.save(tmp_path / "again.lfv")
    # All but the head of the file, which says its format: that may be a newer one by now.
    again = (tmp_path / "again.lfv").read_bytes()
    assert again[HEAD:] == data[HEAD:]
    recorded = json.loads((FIXTURES / "verdicts-0.1.0.json").read_text("utf-8"))
    for number, expected in enumerate(recorded, start=50):
        verdict = model.detect(photograph(number)[0])
        assert verdict.is_anomalous == expected["is_anomalous"] == is_bad(number)
        assert verdict.confidence == pytest.approx(expected["confidence"], abs=1e-4)
        assert verdict.unlikeness is None  # what is typical of its training images it does not say
        assert not verdict.is_unlike
        assert verdict.heat_map is not None
        assert np.round(coarse(verdict.heat_map), 2) == pytest.approx(
            np.array(expected["heat_map"]), abs=0.02
        )
        areas = {each.name: each.fraction for each in verdict.anomalies}
        assert areas == pytest.approx(expected["areas"], abs=0.01)


def coarse(heat: Floats) -> Floats:
    """Return the means of a heat map (8, 8) over 4 by 4 areas."""
    means: Floats = heat.reshape(4, 2, 4, 2).mean((1, 3))
    return means
