"""A pipeline's model judges raw photographs as the pipeline judges prepared ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.images.photographs import deep_png

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

PIPELINE = """\
sources:
  normal: {archive: good}
  anomaly: {archive: bad}
split: {train: 50, test: 50}
"""


def deep(seed: int, *, spot: bool) -> bytes:
    """Return a texture of 12 bits in 16, maybe with a bright spot."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :96]
    grey = 120 + 20 * np.sin(x / 5) + 15 * np.cos(y / 7) + random.normal(0, 6, (96, 96))
    if spot:
        right, down = random.integers(16, 80, 2)
        grey[(x - right) ** 2 + (y - down) ** 2 < 49] = 235
    return deep_png((grey.clip(0, 255) * 16).astype(np.uint16))


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    for label, count, spot in (("good", 24, False), ("bad", 8, True)):
        (tmp_path / label).mkdir()
        for number in range(count):
            seed = number + 1000 * spot
            (tmp_path / label / f"{number:02}.png").write_bytes(deep(seed, spot=spot))
    (tmp_path / "p.yaml").write_text(PIPELINE)
    return tmp_path


def test_the_part_that_counts_is_one_wherever_it_is_asked_for(
    photographs: Path, apart: Any
) -> None:
    images = (
        "images: {region: [8, 8, 80, 72], resize: {size: 96x80, fit: contain},"
        " ignore: [[[0, 0], [20, 0], [20, 20]]]}\n"
    )
    (photographs / "p.yaml").write_text(PIPELINE + images)
    ran = apart("run", "p.yaml", cwd=photographs)
    assert ran.code == 0, ran.err
    (model,) = (photographs / ".lfvpipe").rglob("model.lfv")
    names = ["good/00.png", "good/01.png", "bad/00.png", "bad/01.png"]
    said = apart("detect", "p.yaml", *names, "--json", cwd=photographs)
    of_file = apart("detect", "--model", model, *names, "--json", cwd=photographs)
    assert (said.code, of_file.code) == (0, 0), said.err + of_file.err
    assert confidences(said) == confidences(of_file)
    odd = photographs / "odd.png"
    odd.write_bytes(deep_png(np.full((90, 96), 2000, np.uint16)))
    for asked in (("--model", model), ("p.yaml",)):
        refused = apart("detect", *asked, "odd.png", "good/00.png", cwd=photographs)
        assert refused.code == 1
        assert "96x90 pixels; it must have" in refused.out
        assert "good/00.png" in refused.out


def confidences(said: Any) -> list[tuple[str, float]]:
    return [(each["image"], round(each["confidence"], 6)) for each in said.json["images"]]


def test_deep_grey_has_one_verdict_wherever_it_is_asked_for(photographs: Path, apart: Any) -> None:
    ran = apart("run", "p.yaml", cwd=photographs)
    assert ran.code == 0, ran.err
    (model,) = (photographs / ".lfvpipe").rglob("model.lfv")
    assert b'"white": 4095.0' in model.read_bytes() or b'"white":4095.0' in model.read_bytes()
    names = ["good/00.png", "good/01.png", "bad/00.png", "bad/01.png"]
    by_pipeline = apart("detect", "p.yaml", *names, "--csv", cwd=photographs)
    by_file = apart("detect", "--model", model, *names, "--csv", cwd=photographs)
    assert by_pipeline.code == by_file.code == 0, by_pipeline.err + by_file.err

    def verdicts(text: str) -> list[list[str]]:
        return [line.split(",")[:3] for line in text.splitlines()]

    assert verdicts(by_pipeline.out) == verdicts(by_file.out)
    assert [row[1] for row in verdicts(by_file.out)[1:]] == ["normal"] * 2 + ["anomaly"] * 2
