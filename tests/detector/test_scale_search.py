"""Which scales a model looks at: those that pay."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lfvpipe.detector import Example, Settings, load, train
from lfvpipe.detector import scale_search as search
from lfvpipe.detector.heads.cell_mahalanobis import CellScores
from lfvpipe.detector.heads.head import FittedHead
from lfvpipe.detector.heads.multiple_instance import MultipleInstanceHead
from lfvpipe.detector.scale import FittedScale

pytestmark = pytest.mark.slow

LABELS = np.arange(80) >= 40
EVIDENCE = MultipleInstanceHead(
    CellScores(np.zeros(1, np.float32), np.eye(1, dtype=np.float32), np.ones(1), 0.0)
)


def a_scale(side: int, strength: float, *, seed: int = 0) -> FittedScale:
    noise = np.random.default_rng([side, seed]).normal(size=len(LABELS))
    return FittedScale(side, (FittedHead(EVIDENCE, noise + strength * LABELS),))


def sides(found: list[FittedScale]) -> list[int]:
    return [each.side for each in found]


def test_the_scale_that_shows_the_defects_is_kept_alone() -> None:
    tried = [a_scale(416, 0), a_scale(640, 0.3), a_scale(896, 6)]
    assert sides(search.choose_scales(tried, LABELS)) == [896]


def test_of_scales_that_show_as_much_the_cheapest_is_kept() -> None:
    tried = [a_scale(416, 6), a_scale(640, 6), a_scale(896, 6)]
    assert sides(search.choose_scales(tried, LABELS)) == [416]


def test_scales_that_show_different_defects_are_both_kept() -> None:
    usual, finer = a_scale(416, 0), a_scale(640, 0)
    usual.scores["evidence"][40:60] += 9
    finer.scores["evidence"][60:] += 9
    assert sides(search.choose_scales([usual, finer], LABELS)) == [416, 640]


def test_a_scale_that_is_needed_stays() -> None:
    tried = [a_scale(416, 0), a_scale(640, 6)]
    assert sides(search.choose_scales(tried, LABELS, always=416)) == [416, 640]


def test_without_doubt_no_finer_scale_is_tried() -> None:
    assert not search.is_worth_trying(640, [a_scale(416, 12)], LABELS, persistent=True)


def test_what_is_normal_on_another_scale_is_learnt_where_labels_are_few_or_at_a_loss() -> None:
    lost, doubtful, sure = ([a_scale(256, strength)] for strength in (0, 2, 12))
    assert search.is_novelty_worth_trying(lost, LABELS)
    assert not search.is_novelty_worth_trying(doubtful, LABELS)
    (fitted,) = doubtful[0].heads
    few = np.arange(80) >= 68
    some = FittedScale(256, (FittedHead(EVIDENCE, fitted.scores - 2 * (LABELS & ~few)),))
    assert search.is_novelty_worth_trying([some], few)
    assert not search.is_novelty_worth_trying(sure, LABELS)


def test_where_most_is_explained_a_finer_scale_is_tried_only_if_asked_for() -> None:
    most = [a_scale(416, 3.5)]
    assert not search.is_worth_trying(640, most, LABELS, persistent=False)
    assert search.is_worth_trying(640, most, LABELS, persistent=True)


def test_where_nothing_is_seen_yet_the_next_scale_is_tried_all_the_same() -> None:
    lost = [a_scale(416, 0), a_scale(640, 0)]
    assert search.is_worth_trying(896, lost, LABELS, persistent=False)


def test_images_that_a_finer_scale_has_not_seen_do_not_count() -> None:
    usual, finer = a_scale(416, 0), a_scale(640, 9)
    finer.scores["evidence"][::2] = np.nan
    assert sides(search.choose_scales([usual, finer], LABELS)) == [640]


def test_small_images_are_not_magnified_without_end() -> None:
    usual = Settings().sides
    assert search.ladder((512, 512), usual) == usual
    assert search.ladder((4096, 4096), usual) == usual
    assert search.ladder((200, 200), usual) == (256, 448)
    assert search.ladder((64, 64), usual) == (144,)
    assert search.ladder((400, 400), usual) == (256, 416, 640, 880)
    assert search.ladder((500, 1240), usual) == (256, 416, 640, 784)


def draw_speckled(folder: Path, index: int, *, bad: bool) -> Example:
    random = np.random.default_rng([index, bad])
    pixels = random.normal(128, 12, (240, 240))
    checks = np.indices((10, 10)).sum(0) % 2 * 140 - 70  # grey again, where it is made smaller
    for y, x in random.integers(20, 220, (4, 2)) if bad else ():
        pixels[y : y + 10, x : x + 10] += checks
    path = folder / f"{index}-{bad}.png"
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
    return Example(path, "anomaly" if bad else "normal")


def test_defects_too_small_for_the_usual_scale_are_found_on_a_finer_one(tmp_path: Path) -> None:
    good = [draw_speckled(tmp_path, index, bad=False) for index in range(30)]
    bad = [draw_speckled(tmp_path, index, bad=True) for index in range(30)]
    learnt = [*good[:22], *bad[:22]]
    tested = [*good[22:], *bad[22:]]

    def right(settings: Settings) -> tuple[int, tuple[int, ...]]:
        train(learnt, settings).save(tmp_path / "model.lfv")
        model = load(tmp_path / "model.lfv")
        verdicts: Any = [model.detect(each.path).is_anomalous for each in tested]
        truth = [each.label == "anomaly" for each in tested]
        return sum(a == b for a, b in zip(verdicts, truth, strict=True)), model.info.sides

    few, looked = right(Settings(sides=(64, 96), views=1))
    assert set(looked) <= {64, 96}
    many, looked = right(Settings(sides=(64, 96, 256), views=1))
    assert 240 in looked  # as it is
    assert many >= 15 > few


def draw_stained(folder: Path, index: int, *, bad: bool) -> Example:
    random = np.random.default_rng([index, bad])
    clouds = Image.fromarray(random.normal(0, 30, (24, 24)).astype(np.float32)).resize((240, 240))
    pixels = 128 + np.asarray(clouds) + random.normal(0, 12, (240, 240))
    y, x = random.integers(0, 140, 2)
    pixels[y : y + 100, x : x + 100] *= 0.4 if bad else 1.0
    path = folder / f"stained-{index}-{bad}.png"
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
    return Example(path, "anomaly" if bad else "normal")


def test_what_a_coarse_scale_tells_is_not_looked_for_on_a_finer_one(tmp_path: Path) -> None:
    examples = [
        draw_stained(tmp_path, index, bad=bad) for index in range(20) for bad in (False, True)
    ]
    told: list[str] = []
    settings = Settings(sides=(96, 512), views=1, looks=4, steps=20)
    model = train(examples, settings, progress=lambda stage, *_: told.append(stage))
    assert model.info.sides == (96,)
    assert "features at 512 px" not in told
    assert "local evidence at 512 px" not in told


def test_without_labels_a_texture_is_looked_at_from_farther_away_and_closer(tmp_path: Path) -> None:
    examples = [draw_stained(tmp_path, index, bad=False) for index in range(16)]
    model = train(examples, Settings(sides=(64, 96, 256), views=1))
    assert model.info.sides == (64, 240)


def test_without_labels_a_product_is_looked_at_where_its_positions_are_known(product: Any) -> None:
    model = train(product.normal[:10], Settings(sides=(64, 96, 128), views=1))
    assert model.info.sides == (96,)
