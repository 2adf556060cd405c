"""The pictures that the review lays over an image."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy
from PIL import Image

from lfvpipe.painting import mask_from_painting
from lfvpipe.report import heat_colours
from lfvpipe.review.pictures import Pictures, pictures_of
from tests.outcomes import model_outcome

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


def test_a_painted_mask_has_the_nearest_classes_colours_and_takes_little_memory() -> None:
    classes = {"red": "#FF0000", "green": "#00FF00", "blue": "#0000FF", "dark": "#000040"}
    drawn = numpy.zeros((1024, 1024, 4), numpy.uint8)
    drawn[..., :] = (245, 20, 8, 255)  # as a browser rounds a stroke that is laid on twice
    drawn[20:22] = (200, 60, 30, 255)  # a soft edge
    drawn[:10] = (10, 0, 90, 255)
    drawn[10:20] = (0, 0, 0, 127)
    buffer = io.BytesIO()
    Image.fromarray(drawn).save(buffer, "PNG")
    tracemalloc.start()
    try:
        mask = mask_from_painting(buffer.getvalue(), (1024, 1024), classes)
        assert tracemalloc.get_traced_memory()[1] < 24_000_000
    finally:
        tracemalloc.stop()
    assert mask is not None
    with Image.open(io.BytesIO(mask)) as picture:
        pixels = numpy.asarray(picture)
    assert (pixels[:10] == (0, 0, 64)).all()
    assert (pixels[10:20] == 255).all()
    assert (pixels[20:] == (255, 0, 0)).all()


def test_a_model_that_is_not_here_has_no_pictures_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    pipeline = SimpleNamespace(region="us-east-1", service=SimpleNamespace(endpoint="embedded"))
    context: Any = SimpleNamespace(pipeline=pipeline, service_dir=tmp_path / "service")
    assert pictures_of(context, model_outcome()) is None
    assert not context.service_dir.exists()
