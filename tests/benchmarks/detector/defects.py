"""Defects to draw onto surfaces: alpha maps (h, w), signed, of magnitude up to 1."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Random = np.random.Generator
Grey = NDArray[np.float32]


def grid(shape: tuple[int, int]) -> tuple[Grey, Grey]:
    """Return the row and column of every pixel."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return y, x


def place(random: Random, shape: tuple[int, int], margin: float = 0.12) -> tuple[float, float]:
    """Return a random (y, x) away from the border."""
    y, x = (random.uniform(margin * length, (1 - margin) * length) for length in shape)
    return y, x


def blob(random: Random, shape: tuple[int, int]) -> Grey:
    """Return a soft ellipse, brighter or darker."""
    (cy, cx), (y, x) = place(random, shape), grid(shape)
    angle, a, b = random.uniform(0, np.pi), random.uniform(10, 26), random.uniform(6, 14)
    u = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    v = (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
    drawn: Grey = np.exp(-(((u / a) ** 2 + (v / b) ** 2) ** 2)) * random.choice([-1, 1])
    return drawn


def line(random: Random, shape: tuple[int, int], width: float = 2.0) -> Grey:
    """Return a straight scratch."""
    cy, cx = place(random, shape)
    angle, half = random.uniform(0, np.pi), random.uniform(25, 70)
    ends = [(cx + s * half * np.cos(angle), cy + s * half * np.sin(angle)) for s in (-1, 1)]
    drawn: Grey = stroke(shape, ends, width) * random.choice([-1, 1])
    return drawn


def crack(random: Random, shape: tuple[int, int], width: float = 1.3) -> Grey:
    """Return a dark crack that wanders."""
    point, angle = np.array(place(random, shape)[::-1]), random.uniform(0, 2 * np.pi)
    points = [tuple(point)]
    for _ in range(random.integers(8, 22)):
        angle += random.normal(0, 0.45)
        point = point + random.uniform(4, 9) * np.array([np.cos(angle), np.sin(angle)])
        points.append(tuple(point))
    return -stroke(shape, points, width)


def specks(random: Random, shape: tuple[int, int]) -> Grey:
    """Return a cluster of small dark dots."""
    cy, cx = place(random, shape)
    y, x = grid(shape)
    result = np.zeros(shape, np.float32)
    for _ in range(random.integers(3, 9)):
        dy, dx, r = random.normal(0, 14), random.normal(0, 14), random.uniform(1.5, 3.5)
        result = np.maximum(result, np.exp(-((y - cy - dy) ** 2 + (x - cx - dx) ** 2) / r**2))
    return -result


def pit(random: Random, shape: tuple[int, int]) -> Grey:
    """Return a small dark hole with a bright rim."""
    (cy, cx), (y, x) = place(random, shape, 0.3), grid(shape)
    r = random.uniform(3, 7)
    d = np.hypot(y - cy, (x - cx) * random.uniform(0.6, 1.4))
    drawn: Grey = (0.5 * np.exp(-(((d - r) / 2) ** 2)) - np.exp(-((d / r) ** 2))).astype(np.float32)
    return drawn


def hairline(random: Random, shape: tuple[int, int]) -> Grey:
    """Return a crack barely wider than a pixel."""
    return crack(random, shape, 0.8)


def stroke(shape: tuple[int, int], points: Sequence[Sequence[float]], width: float) -> Grey:
    """Return an anti-aliased polyline of `width` px, 0 to 1."""
    scale = 4
    image = Image.new("L", (shape[1] * scale, shape[0] * scale))
    flat = [(px * scale, py * scale) for px, py in points]
    ImageDraw.Draw(image).line(flat, fill=255, width=max(1, round(width * scale)), joint="curve")
    small = image.resize((shape[1], shape[0]), Image.Resampling.BOX)
    softened = np.asarray(small.filter(ImageFilter.GaussianBlur(0.5)), np.float32)
    return softened / np.float32(255)


def missing(random: Random, shape: tuple[int, int]) -> Grey:
    """Return a part painted over or a wrong part: a small rectangle."""
    (cy, cx), (y, x) = place(random, shape), grid(shape)
    h, w = random.uniform(5, 13, 2)
    drawn: Grey = ((np.abs(y - cy) < h) & (np.abs(x - cx) < w)).astype(np.float32) * random.choice(
        [-1, 1]
    )
    return drawn
