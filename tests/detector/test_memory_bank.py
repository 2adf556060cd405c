"""The memory bank: what it finds wherever it lies, and what its scores may not come from."""

import numpy as np
import pytest

from lfvpipe.detector import tuning
from lfvpipe.detector.arrays import Bools, Doubles, Floats
from lfvpipe.detector.calibration import auroc
from lfvpipe.detector.heads.memory_bank import MemoryBankHead, fit_bank

CHANNELS = 12


def photographs(generator: np.random.Generator, count: int) -> Floats:
    """Return patches (count, 6, 6, c): five parts unlike each other, anywhere in the image."""
    parts = 10 * np.random.default_rng(1).normal(size=(5, CHANNELS))
    lying = generator.integers(5, size=(count, 6, 6))
    noise = generator.normal(size=(count, 6, 6, CHANNELS))
    return (parts[lying] + noise).astype(np.float32)


def fit(images: Floats, labels: Bools, threads: int = 1) -> tuple[MemoryBankHead, Doubles]:
    folds = np.arange(len(images)) % 5
    return fit_bank(images.__getitem__, labels, folds, lambda *_: None, threads)


def test_a_part_seen_nowhere_is_found_wherever_it_lies() -> None:
    generator = np.random.default_rng(0)
    images, labels = photographs(generator, 40), np.arange(40) >= 20
    strange = images[:20].mean((0, 1, 2))  # what is in the midst of all parts is none of them
    for image, (row, column) in zip(images[20:], generator.integers(6, size=(20, 2)), strict=True):
        image[row, column] = strange
    known, scores = fit(images, labels)
    assert auroc(scores, labels) == 1
    fresh = photographs(generator, 1)[0]
    fresh[4, 2] = strange
    assert known.distances(fresh)[1].argmax() == 4 * 6 + 2


def test_no_image_is_compared_with_itself() -> None:
    generator = np.random.default_rng(0)
    images = photographs(generator, 20)
    images[7] = generator.normal(size=(6, 6, CHANNELS)) * 10
    _known, scores = fit(images, np.zeros(20, bool))
    assert scores[7] > np.delete(scores, 7).max() + 1


def test_new_images_score_as_those_learnt_from_did() -> None:
    images = photographs(np.random.default_rng(0), 200)
    known, scores = fit(images[:100], np.zeros(100, bool))
    fresh = [known.distances(each)[0] for each in images[100:]]
    assert np.median(fresh) == pytest.approx(np.median(scores), abs=0.02)


def test_a_bank_is_no_larger_for_more_images() -> None:
    images = photographs(np.random.default_rng(0), 100)
    few, many = (fit(images[:count], np.zeros(count, bool))[0] for count in (50, 100))
    assert few.patches.shape == many.patches.shape == (5, tuning.BANK_PATCHES_PER_FOLD, CHANNELS)


def test_two_images_make_a_bank() -> None:
    images = photographs(np.random.default_rng(0), 3)
    known, scores = fit(images, np.array([False, False, True]))
    assert known.patches.shape == (2, 36, CHANNELS)
    assert np.isfinite(scores).all()


def test_images_without_any_difference_are_all_usual() -> None:
    images = np.full((10, 6, 6, CHANNELS), 3, np.float32)
    known, scores = fit(images, np.zeros(10, bool))
    assert known.distances(images[0] * np.float32(1.001))[0] == pytest.approx(scores.max(), abs=0.5)
    assert known.distances(images[0] * np.float32(1.1))[0] > scores.max() + 1


def test_threads_change_nothing() -> None:
    images, labels = photographs(np.random.default_rng(0), 20), np.arange(20) >= 15
    (one, scores), (two, same) = fit(images, labels, 1), fit(images, labels, 2)
    assert np.array_equal(one.patches, two.patches)
    assert np.array_equal(scores, same)
