"""Each reader of pixels in the package sees in a photograph what it sees in the prepared one."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from lfvpipe.detector import Info, Model
from lfvpipe.detector.images import open_rgb
from lfvpipe.images import PixelRules, examine, read_image
from lfvpipe.report import heat_pictures, thumbnails
from lfvpipe.service.units.hosts import InProcess
from tests.images.photographs import Photograph, photographs

RULES = st.builds(
    PixelRules,
    st.sampled_from([255.0, 1023.0, 4095.0, 16383.0, 65535.0]),
    st.sampled_from(["#FFFFFF", "#000000", "#102030"]),
    st.sampled_from([None, "L", "RGB"]),
)
Pixels = NDArray[np.uint8]
Reader = Callable[[bytes, PixelRules, Path], Any]


class Seeing(Model):
    """A model that answers with what it has seen."""

    def _detect(self, image: Image.Image) -> Any:
        return image


def model(rules: PixelRules) -> Seeing:
    recorded = {key: each for key, each in rules.as_json().items() if key != "white_level"}
    info = Info(
        "novelty", False, {}, "", (7, 5), {"pixels": recorded}, {}, {}, (), rules.white_level
    )
    return Seeing(info, None, None, {}, None, 0)  # type: ignore[arg-type]  # only detect is used


def written(data: bytes, folder: Path) -> Path:
    file = folder / "image"
    file.write_bytes(data)
    return file


def heat_picture(data: bytes, rules: PixelRules, folder: Path) -> Image.Image:
    seen = model(rules).view(data)
    heat_pictures.write(folder / "heat.png", seen, np.zeros((2, 2), np.float32))
    return read_image(folder / "heat.png").image


# Of those that read whatever a user names; all of them are told the product's rules.
OF_RAW: dict[str, Reader] = {
    "training": lambda data, rules, folder: open_rgb(written(data, folder), rules),
    "detect --model, packaged runner": lambda data, rules, folder: model(rules).detect(
        written(data, folder)
    ),
    "DetectAnomalies": lambda data, rules, _: InProcess(model(rules)).detect(data),
    "an image that somebody opened": lambda data, rules, folder: model(rules).detect(
        Image.open(written(data, folder))
    ),
    "heat picture": heat_picture,
}
# Of those that read what extract has left alone.
OF_PREPARED: dict[str, Reader] = OF_RAW | {
    "thumbnail": lambda data, _, folder: thumbnails._read_small(written(data, folder), 64),
    "review": lambda data, rules, folder: read_image(data).image,  # by a browser, and `Pictures`
}


def assert_same(seen: Image.Image, expected: Image.Image) -> None:
    assert seen.size == expected.size
    assert np.array_equal(np.asarray(seen.convert("RGB")), np.asarray(expected.convert("RGB")))


@pytest.mark.parametrize("reader", OF_PREPARED)
@settings(max_examples=60, deadline=None)
@given(photographs(), RULES)
def test_prepared_then_judged_is_judged_raw(
    reader: str, photograph: Photograph, rules: PixelRules
) -> None:
    expected = read_image(photograph.data, rules).image
    prepared = examine(photograph.data, rules=rules)
    with tempfile.TemporaryDirectory() as folder:
        assert_same(OF_PREPARED[reader](prepared.data, rules, Path(folder)), expected)
        if reader in OF_RAW:
            assert_same(OF_RAW[reader](photograph.data, rules, Path(folder)), expected)
    assert (prepared.width, prepared.height) == expected.size


@given(RULES)
def test_rules_survive_a_tag_and_a_model_file(rules: PixelRules) -> None:
    assert PixelRules.from_text(rules.as_text()) == rules
    assert PixelRules.from_json(rules.as_json()) == rules
    assert set(rules.as_text()) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .="
    )


@pytest.mark.parametrize("text", ["white=", "white=-1", "mode=X", "white=1 white=2", "white=1e999"])
def test_a_tag_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        PixelRules.from_text(text)
