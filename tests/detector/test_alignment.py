"""Photographs of a product that lies a little elsewhere are brought to where most of them lie."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lfvpipe.detector import Example, Model, Settings, alignment, load, train
from lfvpipe.detector.alignment import STILL, Alignment, Motion
from lfvpipe.detector.arrays import Pixels

pytestmark = pytest.mark.slow

SHAPE = (192, 256)
BARE = (70, 80, 60)
GONE = (9, 13, 1, 4, 12)  # parts that lie apart from others


def board(
    turn: float = 0, right: float = 0, down: float = 0, *, missing: int | None = None
) -> Pixels:
    """Return a photograph of a board that is turned by degrees and shifted by px."""
    parts = np.random.default_rng(1)
    image = Image.new("RGB", (SHAPE[1], SHAPE[0]), BARE)
    draw = ImageDraw.Draw(image)
    for number in range(14):
        x, y, w, h = (*parts.uniform((30, 30), (226, 162)), *parts.uniform(6, 16, 2))
        level = int(parts.choice([20, 150, 200]))
        if number != missing:
            draw.rectangle((x - w, y - h, x + w, y + h), fill=(level, level, level))
    moved = image.rotate(
        turn, Image.Resampling.BICUBIC, translate=(round(right), round(down)), fillcolor=BARE
    )
    noise = np.random.default_rng(int(100 * (right + 50))).normal(0, 4, (*SHAPE, 1))
    return np.clip(np.asarray(moved, np.float32) + noise, 0, 255).astype(np.uint8)


def photographs(count: int = 12) -> list[Pixels]:
    chance = np.random.default_rng(2)
    return [board(*chance.normal(0, (1.0, 3, 3)).tolist()) for _ in range(count)]


@pytest.fixture(scope="module")
def learnt() -> Alignment:
    found = alignment.fit_alignment([alignment.reduce_to_grey(each) for each in photographs()])
    assert found is not None
    return found


def apart(one: Pixels, other: Pixels) -> float:
    """Return the mean difference of two images, grey levels, without their borders."""
    inner = (slice(24, -24), slice(24, -24))
    return float(np.abs(one[inner].astype(float) - other[inner]).mean())


@pytest.mark.parametrize("missing", [None, 9])
def test_a_board_that_was_moved_is_moved_back(learnt: Alignment, missing: int | None) -> None:
    lying, moved = board(missing=missing), board(2.5, 9, -6, missing=missing)
    first, second = (learnt.motion(each).undo(each) for each in (lying, moved))
    assert apart(lying, moved) > 2 * apart(first, second)


def test_a_map_of_what_was_moved_back_lies_on_the_image_again(learnt: Alignment) -> None:
    seen = board(2.5, 9, -6)
    motion = learnt.motion(seen)
    grey = motion.undo(seen).mean(-1, dtype=np.float32)
    again = motion.redo(grey, SHAPE)[..., None].repeat(3, 2).astype(np.uint8)
    assert apart(again, seen) < 0.5 * apart(board(), seen)


def test_what_was_moved_and_moved_back_has_not_moved() -> None:
    motion = Motion(np.array([[0.9, -0.1], [0.1, 0.9]]), np.array([5.0, -3.0]))
    both = motion.after(motion.inverse())
    assert both.matrix == pytest.approx(np.eye(2))
    assert both.shift == pytest.approx(np.zeros(2))


def test_an_image_of_another_size_is_left_as_it_is(learnt: Alignment) -> None:
    assert learnt.motion(np.zeros((64, 64, 3), np.uint8)) is STILL


@pytest.mark.parametrize("level", [0, 255])
def test_an_image_that_shows_nothing_is_not_moved(learnt: Alignment, level: int) -> None:
    found = learnt.motion(np.full((*SHAPE, 3), level, np.uint8))
    assert (found.matrix == np.eye(2)).all()
    assert (found.shift == 0).all()


@pytest.mark.parametrize("turn", [25, 180])
def test_a_product_that_lies_far_askew_is_neither_turned_nor_made_to_fit(
    learnt: Alignment, turn: float
) -> None:
    assert (learnt.motion(board(turn)).matrix == np.eye(2)).all()


def test_textures_and_images_of_several_sizes_have_no_alignment() -> None:
    chance = np.random.default_rng(0)
    textures = [chance.integers(0, 255, (96, 96, 3)).astype(np.uint8) for _ in range(8)]
    assert alignment.fit_alignment([alignment.reduce_to_grey(each) for each in textures]) is None
    sizes = [each[: 96 + 16 * (index % 2)] for index, each in enumerate(photographs(4))]
    assert alignment.fit_alignment([alignment.reduce_to_grey(each) for each in sizes]) is None


def test_images_that_lie_alike_have_no_alignment() -> None:
    alike = [board(right=shift / 50) for shift in range(8)]
    assert alignment.fit_alignment([alignment.reduce_to_grey(each) for each in alike]) is None


def write_board(folder: Path, name: str, missing: int | None, seed: int) -> Path:
    chance = np.random.default_rng(seed)
    path = folder / f"{name}.png"
    Image.fromarray(board(*chance.normal(0, (1.0, 3, 3)).tolist(), missing=missing)).save(path)
    return path


def learn(folder: Path, anomalies: int) -> tuple[Model, list[Path], list[Path]]:
    """Train on boards; return the model, and normal and anomalous ones that it has not seen."""
    normal = [write_board(folder, f"n{seed}", None, seed) for seed in range(24)]
    anomaly = [
        write_board(folder, f"a{seed}", GONE[seed % len(GONE)], seed + 50) for seed in range(12)
    ]
    examples = [Example(path, "normal") for path in normal[:18]]
    examples += [Example(path, "anomaly") for path in anomaly[:anomalies]]
    settings = Settings(sides=(96, 208), views=1, looks=4, steps=20)
    return train(examples, settings), normal[18:], anomaly[8:]


@pytest.mark.parametrize("anomalies", [0, 8])
def test_a_missing_part_is_found_however_the_board_lies(tmp_path: Path, anomalies: int) -> None:
    model, normal, anomaly = learn(tmp_path, anomalies)
    assert [each.alignment is not None for each in model.ensemble.scales].count(True) == 1
    bad = [model.detect(path).probability for path in anomaly]
    assert max(model.detect(path).probability for path in normal) < min(bad)
    model.save(tmp_path / "model.lfv")
    assert load(tmp_path / "model.lfv").detect(anomaly[-1]).probability == bad[-1]


def test_the_heat_map_shows_the_missing_part_where_it_misses_in_the_image(tmp_path: Path) -> None:
    model, _normal, _anomaly = learn(tmp_path, 0)

    def across(right: float) -> float:
        heat = model.detect(Image.fromarray(board(0, right, 0, missing=9))).heat_map
        assert heat is not None
        columns, weights = np.arange(heat.shape[1]) + 0.5, heat.max(0) ** 4
        return float(columns @ weights / weights.sum() * SHAPE[1] / heat.shape[1])

    assert across(0) == pytest.approx(197, abs=10)
    assert across(12) - across(-12) == pytest.approx(24, abs=6)
