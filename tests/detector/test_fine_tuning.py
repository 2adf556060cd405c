"""The last blocks of the backbone learn what counts for a product, and say where it is."""

from typing import Any

import numpy as np
import pytest

from lfvpipe.detector import tuning
from lfvpipe.detector.arrays import Floats
from lfvpipe.detector.augmentation import Variation, vary
from lfvpipe.detector.backbone.network import checkpoint_tensors, start_session
from lfvpipe.detector.fine_tuning import (
    Course,
    Lessons,
    Look,
    build_judge,
    count_of,
    graphs,
    start_teacher,
)

pytestmark = pytest.mark.slow

SHAPE = (4, 5)  # of the stride-16 map
MOST = tuning.TUNING_MOST_STEPS
FINE = (8, 10)


@pytest.fixture(scope="module")
def parameters() -> tuple[graphs.Parameters, graphs.Parameters]:
    """Return parameters that learn, no head of which is nearly 0, and those that stay."""
    random = np.random.default_rng(0)
    learning, fixed = graphs.pretrained(checkpoint_tensors())
    heads = graphs.new_heads(random)
    heads |= {
        name: (random.standard_normal(heads[name].shape) / 5).astype(np.float32)
        for name in ("evidence.out", "image.mean", "image.maximum")
    }
    return learning | heads, fixed


def a_batch(random: np.random.Generator) -> dict[str, Any]:
    def draw(*shape: int) -> Floats:
        return random.standard_normal((3, *shape)).astype(np.float32)

    return {
        "fine": draw(48, *FINE),
        "coarse": draw(88, *SHAPE) / np.float32(8),
        "count": np.array([2], np.int64),
        "labels": np.array([[1], [0], [1]], np.float32),
        "weights": np.full((3, 1), 0.3, np.float32),
        "cells": (draw(1, *FINE) > 1).astype(np.float32),
        "trust": np.full((3, 1, *FINE), 1e-2, np.float32),
    }


def test_gradients_are_those_of_the_loss(
    parameters: tuple[graphs.Parameters, graphs.Parameters],
) -> None:
    learning, fixed = parameters
    session = start_session(graphs.build_step(learning, fixed))
    batch = a_batch(np.random.default_rng(1))

    def loss(some: graphs.Parameters) -> float:
        return float(session.run(["loss"], batch | some)[0])

    names = [f"d {name}" for name in learning]
    gradients = dict(zip(learning, session.run(names, batch | learning), strict=True))
    wrong = []
    for name, values in learning.items():
        assert gradients[name].shape == values.shape
        # Along the gradient the loss grows by its length; clipped units make that a little rough.
        length = float(np.linalg.norm(gradients[name]))
        step = 3e-4 * max(float(np.abs(values).mean()), 0.02) * values.size**0.5 / max(length, 1e-9)
        up, down = (
            loss({**learning, name: values + np.float32(sign * step) * gradients[name]})
            for sign in (1, -1)
        )
        if (up - down) / (2 * step) != pytest.approx(length**2, rel=0.1, abs=1e-3):
            wrong.append(name)
    assert wrong == []


def lessons(count: int) -> Lessons:
    """Return images whose every other one is an anomaly; nothing tells them apart."""

    def read(index: int, view: int) -> Look:
        random = np.random.default_rng([index, view])
        fine = random.standard_normal((48, *FINE)).astype(np.float32)
        return Look(fine, random.standard_normal((88, *SHAPE)).astype(np.float32))

    return Lessons(np.arange(count) % 2 == 1, [SHAPE] * count, 4, read)


def judge(network: graphs.Parameters, look: Look) -> float:
    inputs = {"fine": look.fine[None], "coarse": look.coarse[None]}
    inputs |= {"count": np.array([count_of(FINE)], np.int64)}
    found = start_session(build_judge(network)).run(None, inputs)
    return float(found[0][0, 0] + found[1][0, 0])


def test_the_same_lessons_and_seed_make_the_same_network_however_they_are_cut() -> None:
    whole, parts, other = (Course(start_teacher(), lessons(8), MOST, [seed]) for seed in (1, 1, 2))
    whole.advance(6)
    for _ in range(3):
        parts.advance(2)
    other.advance(6)
    one, two, three = (each.network for each in (whole, parts, other))
    assert all((one[name] == two[name]).all() for name in one)
    assert any((one[name] != three[name]).any() for name in one)


def test_images_of_several_shapes_are_learnt_from() -> None:
    wide = (3, 8)

    def read(index: int, _view: int) -> Look:
        height, width = SHAPE if index % 3 else wide
        values = np.full((48, 2 * height, 2 * width), index % 2, np.float32)
        return Look(values, np.zeros((88, height, width), np.float32))

    labels = np.arange(12) % 2 == 1
    course = Course(
        start_teacher(),
        Lessons(labels, [SHAPE if n % 3 else wide for n in range(12)], 1, read),
        MOST,
        [0],
    )
    course.advance(course.steps)
    scores = np.array([judge(course.network, read(index, 0)) for index in range(12)])
    assert scores[labels].min() > scores[~labels].max()


def test_the_first_variation_is_the_image_and_the_others_are_near_it() -> None:
    y, x = np.mgrid[:96, :128]
    pixels = np.stack([x, y, x + y], -1).astype(np.uint8)
    first, *others = vary(8, [3])
    assert first.apply(pixels) is pixels
    assert len({each.turn for each in others}) == 7
    for each in others:
        found = each.apply(pixels)
        assert found.shape == pixels.shape
        assert found.dtype == np.uint8
        assert (found != pixels).any()
    assert [each.apply(pixels).sum() for each in vary(8, [3])[1:]] == [
        each.apply(pixels).sum() for each in others
    ]


def test_what_moves_an_image_moves_its_mask() -> None:
    mask = np.zeros((96, 128), np.uint8)
    mask[20:30, 90:110] = 255
    pixels = np.repeat(mask[..., None], 3, 2)
    for each in vary(12, [1])[1:]:
        plain = Variation(each.mirrored, each.turn, each.growth, each.shift)
        assert (plain.apply(pixels)[..., 0] == plain.move(mask)).all()
        assert plain.move(mask).any()


def test_a_variation_turns_about_the_middle() -> None:
    spot = np.zeros((101, 101), np.uint8)
    spot[10:15, 48:53] = 255
    turned = Variation(turn=90).move(spot)
    rows, columns = np.nonzero(turned > 128)
    assert abs(rows.mean() - 50) < 1
    assert min(abs(columns.mean() - 12), abs(columns.mean() - 88)) < 1.5


def test_few_images_are_learnt_from_in_more_rounds() -> None:
    few, many = (Course(start_teacher(), lessons(count), 100, [0]).steps for count in (10, 400))
    assert few == tuning.TUNING_LEAST_STEPS
    assert many == 100
