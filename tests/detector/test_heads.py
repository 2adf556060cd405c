"""The parts of a score: what each must be trusted with, and what it must not."""

import subprocess
import sys

import numpy as np
import pytest

from lfvpipe.detector.arrays import Bools, Doubles, Floats
from lfvpipe.detector.blending import fit_blend, fit_scale_blend
from lfvpipe.detector.calibration import auroc, calibrate, calibrate_on_normals, f1
from lfvpipe.detector.heads.cell_mahalanobis import image_novelty
from lfvpipe.detector.heads.image_mahalanobis import fit_gaussian
from lfvpipe.detector.heads.multiple_instance import CellFit, fit_cells
from lfvpipe.detector.heads.padim import PadimHead, fit_padim
from lfvpipe.detector.logistic import expit


def test_a_head_that_says_nothing_is_left_out() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(80) >= 40
    good = labels * 3.0 + generator.normal(size=80)
    mix = fit_blend(np.stack([generator.normal(size=80), good, -good], 1), labels)
    assert mix.weights[1] > 0
    assert mix.weights[0] == mix.weights[2] == 0


def test_with_few_anomalies_close_heads_share_the_say() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(45) >= 40
    scores = labels[:, None] * [2.5, 2.0] + generator.normal(size=(45, 2))
    mix = fit_blend(scores, labels)
    assert mix.weights.min() > 0.3 * mix.weights.max()


def test_a_dozen_heads_that_say_nothing_are_no_reason_to_fail() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(80) >= 40
    mix = fit_blend(generator.normal(size=(80, 12)), labels)
    assert np.isfinite(mix.weights).all()
    assert mix.weights.max() > 0


def test_two_heads_that_see_different_anomalies_are_both_kept() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(120) >= 60
    scores = generator.normal(size=(120, 2))
    scores[60:90, 0] += 6
    scores[90:, 1] += 6
    assert (fit_blend(scores, labels).weights > 0).all()


@pytest.mark.parametrize(("anomalies", "share"), [(5, 5 / 6), (25, 0.5), (75, 0.25)])
def test_what_is_normal_counts_less_the_more_anomalies_are_known(
    anomalies: int, share: float
) -> None:
    labels = np.arange(40 + anomalies) >= 40
    scores = np.random.default_rng(0).normal(size=(len(labels), 3))
    blend = fit_scale_blend(scores, labels, [1, 3, 1], np.array([False, False, True]))
    assert blend.weights == pytest.approx([share / 4, share * 3 / 4, 1 - share])


def test_heads_of_one_kind_share_the_say_whatever_is_labelled() -> None:
    labels = np.arange(80) >= 40
    scores = np.random.default_rng(0).normal(size=(80, 2))
    for learnt in (False, True):
        blend = fit_scale_blend(scores, labels, [1, 3], np.full(2, learnt))
        assert blend.weights == pytest.approx([1 / 4, 3 / 4])


def test_a_deviation_means_the_same_from_few_and_many_normals() -> None:
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(300, 2000)).astype(np.float32)
    fresh = generator.normal(size=(50, 2000)).astype(np.float32)
    few, many = fit_gaussian(rows[:40]), fit_gaussian(rows[:60])
    assert abs(few.log_distances(fresh).mean() - many.log_distances(fresh).mean()) < 0.05
    every = fit_gaussian(rows)
    assert (every.log_distances(fresh + 1) > every.log_distances(fresh)).all()


def odd_cells(generator: np.random.Generator, strength: float) -> tuple[Floats, Bools]:
    """Return positions of 20 normal and 20 anomalous images, whose seventh one is odd."""
    images = generator.normal(size=(40, 1000, 12)).astype(np.float32)
    images[..., 0] *= 10  # what varies much is no anomaly
    images[20:, 7, 3] += strength
    return images, np.arange(40) >= 20


def defects(generator: np.random.Generator, strength: float) -> dict[int, list[Floats]]:
    """Return positions of eight drawn defects for each of five folds."""
    drawn = generator.normal(size=(5, 8, 6, 12)).astype(np.float32)
    drawn[..., 3] += strength
    return {fold: list(each) for fold, each in enumerate(drawn)}


def fit_on(images: Floats, labels: Bools, drawn: dict[int, list[Floats]]) -> CellFit:
    return fit_cells(
        lambda index, _view: images[index],
        labels,
        np.arange(len(labels)) % 5,
        views=1,
        seed=0,
        tick=lambda *_: None,
        threads=2,
        synthetic=drawn,
    )


def test_drawn_defects_teach_what_no_label_does() -> None:
    generator = np.random.default_rng(0)
    images, labels = odd_cells(generator, 5)
    fitted = fit_on(images, labels, defects(generator, 4))
    assert auroc(fitted.evidence, labels) > auroc(fitted.novelty, labels)
    assert np.mean([fitted.cells.evidence(each).argmax() == 7 for each in images[20:]]) > 0.8


def test_an_image_is_scored_by_what_others_taught() -> None:
    generator = np.random.default_rng(0)
    images, labels = odd_cells(generator, 0)  # nothing to be learnt, much to be learnt by heart
    fitted = fit_on(images, labels, defects(generator, 0))
    assert 0.3 < auroc(fitted.evidence, labels) < 0.7


def board(generator: np.random.Generator, *, missing: bool) -> Floats:
    """Return a map of eight parts, of which one may be missing: bare board is usual elsewhere."""
    tap = np.zeros((24, 30, 8), np.float32)
    gone = generator.integers(8) if missing else None
    for number in range(8):
        if number != gone:
            row, column = divmod(number, 4)
            tap[4 + 11 * row :, 3 + 7 * column :][:5, :4] = 3
    tap = np.roll(tap, generator.integers(2), 0)
    return tap + generator.normal(0, 0.3, tap.shape).astype(np.float32)


def novelty(head: PadimHead, tap: Floats) -> float:
    return image_novelty(head.distances(tap).ravel())


def fit_positions(maps: list[Floats], labels: Bools) -> tuple[PadimHead, Doubles] | None:
    """Fit positions on maps, most of which are as large as the last."""
    rows, columns, _ = maps[-1].shape
    folds = np.arange(len(maps)) % 5
    return fit_padim(maps.__getitem__, (rows, columns), labels, folds, lambda *_: None)


def test_a_part_missing_from_its_place_is_found() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(60) >= 40
    maps = [board(generator, missing=bool(label)) for label in labels]
    fitted = fit_positions(maps, labels)
    assert fitted is not None
    assert auroc(fitted[1], labels) > 0.95


def test_a_board_that_lies_a_little_aside_is_not_unusual() -> None:
    generator = np.random.default_rng(0)
    maps = [board(generator, missing=False) for _ in range(40)]
    fitted = fit_positions(maps, np.zeros(40, bool))
    assert fitted is not None
    aside = [np.roll(board(generator, missing=False), 2, 1) for _ in range(10)]
    faulty = [board(generator, missing=True) for _ in range(10)]
    highest = max(novelty(fitted[0], each) for each in aside)
    assert highest < min(novelty(fitted[0], each) for each in faulty)


def test_a_map_of_another_size_is_compared_place_by_place() -> None:
    generator = np.random.default_rng(0)
    maps = [board(generator, missing=False) for _ in range(20)]
    fitted = fit_positions(maps, np.zeros(20, bool))
    assert fitted is not None
    larger = maps[0].repeat(2, 0).repeat(2, 1)
    assert novelty(fitted[0], larger) == novelty(fitted[0], maps[0])


def test_positions_explain_nothing_of_a_texture() -> None:
    generator = np.random.default_rng(0)
    maps = [generator.normal(size=(20, 24, 8)).astype(np.float32) for _ in range(40)]
    assert fit_positions(maps, np.zeros(40, bool)) is None


def test_probability_is_half_exactly_at_the_threshold_and_monotone() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(200) >= 150
    scores = labels * 1.5 + generator.normal(size=200)
    calibration = calibrate(scores, labels, np.ones(200))
    line = np.linspace(-5, 5, 1001)
    probabilities = calibration.probability(line)
    assert (np.diff(probabilities) >= 0).all()
    raw = expit(calibration.slope * line + calibration.offset)
    assert ((probabilities >= 0.5) == (raw >= calibration.threshold)).all()
    assert abs(np.interp(calibration.threshold, raw, probabilities) - 0.5) < 0.01
    assert probabilities.min() < 0.1
    assert probabilities.max() > 0.9


def test_the_threshold_is_nearly_the_best_for_images_that_nobody_has_seen() -> None:
    found, best = [], []
    for seed in range(40):
        generator = np.random.default_rng(seed)

        def draw(count: int, generator: np.random.Generator = generator) -> tuple[Doubles, Bools]:
            labels = np.arange(2 * count) >= count
            return generator.normal(size=2 * count) + 2.0 * labels, labels

        calibration = calibrate(*draw(30), np.ones(60))
        scores, labels = draw(2000)
        found.append(f1(calibration.probability(scores) >= 0.5, labels))
        best.append(max(f1(scores >= cut, labels) for cut in np.linspace(0, 2, 41)))
    assert np.mean(found) > np.mean(best) - 0.007  # by the labels' own F1: .010 below it


def test_an_image_that_stands_for_others_counts_for_them() -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(90) >= 60
    scores = labels * 1.5 + generator.normal(size=90)
    often = np.where(labels, 1, 4)
    weighed = calibrate(scores, labels, often.astype(float))
    repeated = calibrate(np.repeat(scores, often), np.repeat(labels, often), np.ones(270))
    assert abs(weighed.threshold - repeated.threshold) < 0.02
    assert weighed.threshold != calibrate(scores, labels, np.ones(90)).threshold


def test_few_normals_are_called_anomalous() -> None:
    generator = np.random.default_rng(0)
    rates = [
        float((calibrate_on_normals(generator.normal(size=40)).probability(line) >= 0.5).mean())
        for line in (generator.normal(size=1000) for _ in range(50))
    ]
    assert 0.01 < np.mean(rates) <= 0.05


def test_an_anomaly_among_the_normal_images_hides_no_other() -> None:
    scores = np.random.default_rng(0).normal(size=30)
    alone, beside = calibrate_on_normals(scores), calibrate_on_normals(np.append(scores, 50))
    at = [-each.offset / each.slope for each in (alone, beside)]
    assert abs(at[1] - at[0]) < 0.5


def test_importing_the_detector_imports_nothing_heavy_but_numpy() -> None:
    code = "import sys, lfvpipe.detector; print(*{'onnx', 'onnxruntime', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
