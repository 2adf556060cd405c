"""Training data as it comes: flat, copied, tiny, long, rare or plentiful images."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lfvpipe.detector import DetectorError, Example, Settings, train
from lfvpipe.detector.gathering import kept_shares

SMALL = Settings(sides=(64, 128), views=1, threads=1)


def saved(folder: Path, name: str, pixels: Any) -> Path:
    path = folder / f"{name}.png"
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


def noisy(seed: int, shape: tuple[int, int] = (64, 64)) -> Any:
    return np.random.default_rng(seed).integers(100, 140, shape)


def test_copies_of_one_normal_image_are_refused(tmp_path: Path) -> None:
    good = [Example(saved(tmp_path, f"good{i}", noisy(0)), "normal") for i in range(5)]
    bad = [Example(saved(tmp_path, f"bad{i}", noisy(1)), "anomaly") for i in range(3)]
    with pytest.raises(DetectorError, match="copies of one image"):
        train([*good, *bad], SMALL)


def test_copies_of_one_anomaly_count_once(tmp_path: Path) -> None:
    good = [Example(saved(tmp_path, f"good{i}", noisy(i)), "normal") for i in range(6)]
    bad = [Example(saved(tmp_path, f"bad{i}", noisy(99)), "anomaly") for i in range(6)]
    model = train([*good, *bad], SMALL)
    assert model.info.kind == "novelty"
    assert "few-anomalies" in [each.code for each in model.info.warnings]


@pytest.mark.parametrize("anomalies", [0, 6])
def test_images_without_any_structure_give_a_model(tmp_path: Path, anomalies: int) -> None:
    sizes = [(64 + i, 64) for i in range(5)]
    good = [Example(saved(tmp_path, f"g{s}", np.zeros(s)), "normal") for s in sizes]
    flat = [np.full((64, 64 + i), 255) for i in range(anomalies)]
    bad = [Example(saved(tmp_path, f"b{p.shape}", p), "anomaly") for p in flat]
    verdict = train([*good, *bad], SMALL).detect(good[0].path)
    assert np.isfinite(verdict.probability)
    assert verdict.heat_map is not None
    assert np.isfinite(verdict.heat_map).all()
    assert not verdict.is_anomalous


def test_very_long_and_very_small_images_learn_together(tmp_path: Path) -> None:
    shapes = [(64, 64), (64, 4096), (4096, 64), (64, 70)]
    good = [
        Example(saved(tmp_path, f"good{i}", noisy(i, shapes[i % 4])), "normal") for i in range(4)
    ]
    verdict = train(good, SMALL).detect(good[1].path)
    assert 0 <= verdict.probability <= 1


def test_more_images_than_allowed_are_drawn_by_content(tmp_path: Path) -> None:
    good = [Example(saved(tmp_path, f"{i}", noisy(i)), "normal") for i in range(40)]
    tight = replace(SMALL, max_rows=1000)
    assert train(good[:4], tight).info.counts["normal"] == 4
    assert kept_shares([False] * 900 + [True] * 100, 500) == (400 / 900, 1.0)
    assert kept_shares([False] * 900 + [True] * 900, 500) == (250 / 900, 250 / 900)
    assert kept_shares([False] * 10 + [True] * 5, 500) == (1.0, 1.0)
