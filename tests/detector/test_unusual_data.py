"""Training data as it comes: flat, copied, tiny, long, rare or plentiful images."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from lfvpipe.detector import DetectorError, Example, Settings, train
from lfvpipe.detector.heads.padim import PadimHead
from lfvpipe.detector.sampling import digest_of, sample_shares

pytestmark = pytest.mark.slow

SMALL = Settings(sides=(64, 128), views=1, threads=1)


def save(folder: Path, name: str, pixels: Any) -> Path:
    path = folder / f"{name}.png"
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


def noisy(seed: int, shape: tuple[int, int] = (64, 64)) -> Any:
    return np.random.default_rng(seed).integers(100, 140, shape)


def test_copies_of_one_normal_image_are_refused(tmp_path: Path) -> None:
    good = [Example(save(tmp_path, f"good{i}", noisy(0)), "normal") for i in range(5)]
    bad = [Example(save(tmp_path, f"bad{i}", noisy(1)), "anomaly") for i in range(3)]
    with pytest.raises(DetectorError, match="copies of one image"):
        train([*good, *bad], SMALL)


def test_copies_of_one_anomaly_count_once(tmp_path: Path) -> None:
    good = [Example(save(tmp_path, f"good{i}", noisy(i)), "normal") for i in range(6)]
    bad = [Example(save(tmp_path, f"bad{i}", noisy(99)), "anomaly") for i in range(6)]
    model = train([*good, *bad], SMALL)
    assert model.info.kind == "novelty"
    assert "few-anomalies" in [each.code for each in model.info.warnings]


@pytest.mark.parametrize("anomalies", [0, 6])
def test_images_without_any_structure_give_a_model(tmp_path: Path, anomalies: int) -> None:
    sizes = [(64 + i, 64) for i in range(5)]
    good = [Example(save(tmp_path, f"g{s}", np.zeros(s)), "normal") for s in sizes]
    flat = [np.full((64, 64 + i), 255) for i in range(anomalies)]
    bad = [Example(save(tmp_path, f"b{p.shape}", p), "anomaly") for p in flat]
    verdict = train([*good, *bad], SMALL).detect(good[0].path)
    assert np.isfinite(verdict.probability)
    assert verdict.heat_map is not None
    assert np.isfinite(verdict.heat_map).all()
    assert not verdict.is_anomalous


def test_very_long_and_very_small_images_learn_together(tmp_path: Path) -> None:
    shapes = [(64, 64), (64, 4096), (4096, 64), (64, 70)]
    good = [
        Example(save(tmp_path, f"good{i}", noisy(i, shapes[i % 4])), "normal") for i in range(4)
    ]
    verdict = train(good, SMALL).detect(good[1].path)
    assert 0 <= verdict.probability <= 1


def test_more_images_than_allowed_are_drawn_by_content(tmp_path: Path) -> None:
    good = [Example(save(tmp_path, f"{i}", noisy(i)), "normal") for i in range(300)]
    tight = replace(SMALL, sides=(64,), max_rows=1000)
    info = train(good, tight).info
    assert 200 < info.counts["normal"] < 300
    assert [each.code for each in info.warnings] == ["normals-only", "sampled"]
    assert train(good[::-1], tight).info.digest == info.digest
    assert sample_shares([False] * 900 + [True] * 100, 500) == (400 / 900, 1.0)
    assert sample_shares([False] * 900 + [True] * 900, 500) == (250 / 900, 250 / 900)
    assert sample_shares([False] * 10 + [True] * 5, 500) == (1.0, 1.0)


def test_copies_in_other_files_count_once(tmp_path: Path) -> None:
    good = [Example(save(tmp_path, f"good{i}", noisy(i)), "normal") for i in range(2)]
    for index in range(9):
        path = tmp_path / f"copy{index}.png"
        Image.open(good[0].path).save(path, compress_level=index)
        good.append(Example(path, "normal"))
    codes = [each.code for each in train(good, SMALL).info.warnings]
    assert "few-normals" in codes


def test_an_image_under_both_labels_is_named(tmp_path: Path) -> None:
    paths = [save(tmp_path, f"image{i}", noisy(i)) for i in range(12)]
    both = [Example(paths[0], "anomaly"), *(Example(each, "anomaly") for each in paths[8:])]
    model = train([*(Example(each, "normal") for each in paths[:8]), *both], SMALL)
    (warning,) = (each for each in model.info.warnings if each.code == "contradictory")
    assert "image0.png" in warning.message


def test_labels_that_mean_nothing_are_said_to(tmp_path: Path) -> None:
    labels: tuple[Literal["normal"], Literal["anomaly"]] = ("normal", "anomaly")
    images = [Example(save(tmp_path, f"{i}", noisy(i)), labels[i % 2]) for i in range(60)]
    assert "labels-unexplained" in [each.code for each in train(images, SMALL).info.warnings]


def test_a_normal_image_unlike_the_others_is_named(tmp_path: Path) -> None:
    good = [Example(save(tmp_path, f"good{i}", noisy(i)), "normal") for i in range(20)]
    spoiled = noisy(99)
    spoiled[20:40, 20:40] = 255
    odd = Example(save(tmp_path, "spoiled", spoiled), "normal")
    (warning,) = (
        each for each in train([*good, odd], SMALL).info.warnings if each.code == "odd-normals"
    )
    assert "spoiled.png" in warning.message


def test_one_odd_format_does_not_decide_where_places_are(tmp_path: Path) -> None:
    def board(index: int) -> Any:
        pixels = noisy(index, (64, 128))
        pixels[10:30, 20:60] = 250
        pixels[35:60, 90:110] = 10
        return pixels

    good = [Example(save(tmp_path, f"board{i}", board(i)), "normal") for i in range(12)]
    first = min(digest_of(each) for each in good)
    strips = (
        Example(save(tmp_path, "strip", noisy(seed, (16, 128))), "normal") for seed in range(1000)
    )
    strip = next(each for each in strips if digest_of(each) < first)
    heads = train([*good, strip], SMALL).ensemble.scales[-1].heads
    (padim,) = (each for each in heads if isinstance(each, PadimHead))
    assert padim.mean.shape[:2] == (12, 22)
