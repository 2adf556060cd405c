"""Defects drawn onto normal images: visible, where they are said to be, and always the same."""

import numpy as np
import pytest

from lfvpipe.detector import synthetic, tuning
from lfvpipe.detector.arrays import Pixels


@pytest.fixture(params=[(160, 160), (64, 256)])
def surface(request: pytest.FixtureRequest) -> Pixels:
    generator = np.random.default_rng(0)
    grey = generator.normal(120, 10, request.param).clip(0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def test_a_defect_changes_what_it_covers_and_nothing_else(surface: Pixels) -> None:
    for seed in range(30):
        drawn, defects = synthetic.add_defects(surface, np.random.default_rng(seed))
        change = np.abs(drawn.astype(int) - surface).max(-1)
        covered = np.zeros(surface.shape[:2], np.float32)
        for each in defects:
            there = covered[each.spot.rows, each.spot.columns]
            there[:] = np.maximum(there, each.cover)
        assert 0 <= covered.min() <= covered.max() <= 1
        assert change[covered == 0].max() <= 2 * tuning.DEFECT_VISIBLE  # faint ones may overlap
        assert np.median(change[covered > 0.5]) > tuning.DEFECT_VISIBLE / 2


def test_the_same_seed_draws_the_same_defects(surface: Pixels) -> None:
    first, again, other = (
        synthetic.add_defects(surface, np.random.default_rng(seed))[0] for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_every_defect_that_can_be_seen_is_described(surface: Pixels) -> None:
    found = [
        each
        for seed in range(10)
        for each in synthetic.synthetic_cells(surface, np.random.default_rng(seed))
    ]
    assert len(found) > 0.8 * 10 * tuning.DEFECTS_AN_IMAGE
    assert all(len(each) for each in found)
    assert len({each.shape[1] for each in found}) == 1
