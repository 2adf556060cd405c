"""The pictures that the review lays over an image."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy
from PIL import Image

from lfvpipe.report import heat_colours
from lfvpipe.review.pictures import Pictures

if TYPE_CHECKING:
    import pytest


def test_heat_maps_have_the_colours_of_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    heat = numpy.array([[0, 0.3], [0.6, 1.4]], numpy.float32)
    model = SimpleNamespace(detect=lambda _: SimpleNamespace(heat_map=heat, mask_png=None))
    monkeypatch.setattr("lfvpipe.detector.load", lambda _: model)
    looked = Pictures(Path("model.lfv")).of(Path("image.png"), "0" * 64)
    assert looked.heat is not None
    assert looked.mask is None
    with Image.open(io.BytesIO(looked.heat)) as picture:
        shown = numpy.asarray(picture.convert("RGBA"))
    assert (shown == heat_colours.pixels(heat.clip(0, 1))).all()
    assert shown[0, 0, 3] == 0
    assert tuple(shown[1, 1, :3]) == heat_colours.HOTTEST
