"""Products as inspection photographs show them: grey levels (h, w), float32, never placed alike."""

from collections.abc import Callable
from copy import deepcopy

import numpy as np
from PIL import Image, ImageDraw

from tests.benchmarks.detector.defects import Grey, Random, grid
from tests.benchmarks.detector.surfaces import blur, noise

BARE, COPPER = 55, 165  # grey levels of an etched board
PARTS = 45  # on a board
SEEN = 20  # grey levels that a fault makes at least
Offset = tuple[float, float]


def disk(random: Random) -> Grey:
    """Return a cast disk, 400 px, turned and shifted."""
    y, x = grid((400, 400))
    cy, cx = 200 + random.normal(0, 5, 2)
    r, a = np.hypot(y - cy, x - cx), np.arctan2(y - cy, x - cx) + random.uniform(0, 6.28)
    light = 140 + 25 * np.cos(np.arctan2(y - cy, x - cx) - 0.8 + random.normal(0, 0.2))
    body = light + 12 * np.sin(r / 6) - 60 * (r < 40) + 15 * (np.abs(r - 110) < 12)
    body = body - 50 * ((np.abs(r - 80) < 9) & (np.cos(5 * a) > 0.93))
    body = body + 7 * noise(random, (400, 400), 1) + 6 * noise(random, (400, 400), 12)
    return np.where(r < 180, body, 25 + 4 * noise(random, (400, 400), 1)).astype(np.float32)


def tile(random: Random) -> Grey:
    """Return a ground tile whose size differs from image to image."""
    shape = (int(random.integers(240, 420)), int(random.integers(200, 320)))
    streaks = blur(random.standard_normal(shape).astype(np.float32), (12, 0.9))
    shade = 20 * noise(random, shape, 50)
    drawn: Grey = 110 + shade + 9 * streaks / streaks.std() + 6 * noise(random, shape, 0.8)
    return drawn


def turned(random: Random) -> Grey:
    """Return a tall turned surface, 500 by 1240, with grooves and stains."""
    shape = (1240, 500)
    y, _x = grid(shape)
    grooves = blur(random.standard_normal(shape).astype(np.float32), (0.8, 60))
    shade = 150 - 45 * ((y - 620) / 620) ** 2 + 8 * noise(random, shape, 60)
    stains = -14 * np.clip(noise(random, shape, 7, 25) - 1.8, 0, 1.5)
    drawn: Grey = shade + 7 * grooves / grooves.std() + stains + 5 * noise(random, shape, 0.8)
    return drawn


def board(random: Random) -> Grey:
    """Return a board of parts, 480 by 640, whose layout is fixed and whose placing is not."""
    return _board(random, lambda _part, _size: (0.0, 0.0))


def misplaced(random: Random, surface: Grey) -> Grey:
    """Return the difference that a part makes that is missing, or moved by half its size.

    Args:
        random: As it was before the surface was drawn, so that all the rest is the same.
        surface: A board.
    """
    (fault,) = random.spawn(1)
    missing = fault.random() < 0.5
    for chosen in fault.permutation(PARTS).tolist():

        def moved(part: int, size: Offset, chosen: int = chosen) -> Offset | None:
            if part != chosen:
                return 0.0, 0.0
            return None if missing else size

        difference: Grey = _board(deepcopy(random), moved) - surface
        if np.abs(difference).max() > SEEN:  # others lie on top of some parts
            return difference
    raise AssertionError("a board has parts that can be seen")


def _board(random: Random, moved: Callable[[int, Offset], Offset | None]) -> Grey:
    """Return a board whose parts, by number and half size, are `moved` by so much, or missing."""
    fixed, shape = np.random.default_rng(5), (480, 640)
    image = Image.new("L", shape[::-1], 70)
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        a, b = fixed.uniform(20, 460, 2), fixed.uniform(20, 460, 2)
        draw.line((a[0] * 1.3, a[1], b[0] * 1.3, a[1]), fill=100, width=2)
        draw.line((b[0] * 1.3, a[1], b[0] * 1.3, b[1]), fill=100, width=2)
    for part in range(PARTS):
        cx, cy, w, h = fixed.uniform(30, 610), fixed.uniform(30, 450), *fixed.uniform(5, 18, 2)
        (dx, dy), fill = random.normal(0, 0.8, 2), int(fixed.choice([20, 40, 160, 200]))
        offset = moved(part, (w, h))
        if offset is not None:
            x, y = cx + dx + offset[0], cy + dy + offset[1]
            draw.rectangle((x - w, y - h, x + w, y + h), fill=fill, outline=190)
    turn, (right, down) = random.normal(0, 1.2), random.normal(0, 4, 2).astype(int).tolist()
    image = image.rotate(turn, Image.Resampling.BILINEAR, translate=(right, down), fillcolor=60)
    light = 1 + 0.12 * noise(random, shape, 120)
    return np.asarray(image, np.float32) * light + 4 * noise(random, shape, 0.9)


def etched(random: Random) -> Grey:
    """Return an etched board, 600 by 600, of traces and pads that lie elsewhere in every image."""
    image = Image.new("L", (600, 600), BARE)
    draw = ImageDraw.Draw(image)
    for row in range(18, 600, 33):
        _trace(draw, random, row)
    for x, y in random.uniform(20, 580, (14, 2)):
        r = random.uniform(9, 15)
        draw.ellipse((x - r - 5, y - r - 5, x + r + 5, y + r + 5), fill=BARE)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=COPPER)
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=BARE)
    shade = noise(random, (600, 600), 150)
    light = 1 + 0.06 * (shade - shade.mean())
    drawn: Grey = blur(np.asarray(image, np.float32), 0.7) * light
    return drawn + 4 * noise(random, (600, 600), 0.8)


def _trace(draw: ImageDraw.ImageDraw, random: Random, row: int) -> None:
    """Draw a trace from left to right that steps up or down at an angle, here and there."""
    width, x, y = int(random.integers(7, 12)), -20.0, float(row)
    points = [(x, y)]
    while x < 620:
        x += random.uniform(30, 160)
        points.append((x, y))
        step = row - y if y != row else random.choice([-9, 0, 9])
        x, y = x + abs(step), y + step
        points.append((x, y))
    draw.line(points, fill=COPPER, width=width, joint="curve")


def fault(random: Random, surface: Grey) -> Grey:
    """Return a nick in a trace or a spur beside it: a small spot of the other level, at an edge."""
    middle = (BARE + COPPER) / 2
    steep = np.abs(np.diff(surface, axis=0, prepend=surface[:1])) > 0.3 * (COPPER - BARE)
    steep[:30] = steep[-30:] = steep[:, :30] = steep[:, -30:] = False
    cy, cx = random.choice(np.argwhere(steep))
    y, x = grid((surface.shape[0], surface.shape[1]))
    radius = random.uniform(3.0, 5.5)
    spot = np.clip(radius - np.hypot(y - cy, x - cx) + 0.5, 0, 1)
    other = -1.0 if random.random() < 0.5 else 1.0
    there = surface > middle if other < 0 else surface < middle
    drawn: Grey = (other * spot * there).astype(np.float32)
    return drawn
