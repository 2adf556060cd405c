"""Ten DAGM-like texture classes and five products, with and without defects, with masks; seeded.

DAGM 2007 (Heidelberg HCI) has ten classes of artificial 512 by 512 grey textures whose defects are
local and weak. This family is our own: each class is a texture and a kind of defect, and `contrast`
runs from plain (1.0) to barely visible (0.25). The products mimic what inspection photographs are
like: a cast disk with pits, a tile with fine cracks, a tall turned surface with hairline cracks, a
board with parts missing or shifted; each is placed a little differently in every image. On the
fifth, an etched board with faulty traces, nothing lies where it did in another image.

    PYTHONPATH=. python tests/benchmarks/detector/textures.py FOLDER [--classes weave,tile]
        [--normal 80] [--anomaly 60] [--contrast 0.6] [--seed 0]

writes FOLDER/<class>/{normal,anomaly,masks}/NNN.png.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tests.benchmarks.detector.defects import (
    Grey,
    Random,
    blob,
    crack,
    grid,
    hairline,
    line,
    missing,
    pit,
    specks,
)

SIDE = 512
BARE, COPPER = 55, 165  # grey levels of an etched board


@dataclass(frozen=True)
class Kind:
    """A class of images: how its surface and its defects are drawn."""

    surface: Callable[[Random], Grey]
    defect: Callable[[Random, Grey], Grey]
    strength: float


def anywhere(draw: Callable[[Random, tuple[int, int]], Grey]) -> Callable[[Random, Grey], Grey]:
    """Return a defect that is drawn without regard to the surface."""
    return lambda random, surface: draw(random, (surface.shape[0], surface.shape[1]))


def noise(random: Random, shape: tuple[int, int], *sigmas: float) -> Grey:
    """Return Gaussian noise band-passed between `sigmas` (fine, coarse), of unit spread."""
    values = random.standard_normal(shape).astype(np.float32)
    fine = blur(values, sigmas[0])
    result = fine - blur(values, sigmas[1]) if len(sigmas) > 1 else fine
    drawn: Grey = result / result.std()
    return drawn


def blur(values: Grey, sigma: float | tuple[float, float]) -> Grey:
    """Return `values` (h, w) under a periodic Gaussian; sigma in px, or (y, x)."""
    pair = sigma if isinstance(sigma, tuple) else (sigma, sigma)
    fy = np.fft.fftfreq(values.shape[0])[:, None]
    fx = np.fft.rfftfreq(values.shape[1])[None]
    gain = np.exp(-2 * np.pi**2 * ((fy * pair[0]) ** 2 + (fx * pair[1]) ** 2))
    return np.fft.irfft2(np.fft.rfft2(values) * gain, values.shape).astype(np.float32)


# Surfaces: grey levels (h, w).

SQUARE = (SIDE, SIDE)


def fine_noise(random: Random) -> Grey:
    """Return grain."""
    return 128 + 22 * noise(random, SQUARE, 1.2, 4)


def coarse_noise(random: Random) -> Grey:
    """Return clouds with grain."""
    return 120 + 25 * noise(random, SQUARE, 6, 20) + 8 * noise(random, SQUARE, 0.8)


def brushed(random: Random) -> Grey:
    """Return brushed metal."""
    streaks = blur(random.standard_normal(SQUARE).astype(np.float32), (0.7, 30))
    drawn: Grey = 130 + 18 * streaks / streaks.std() + 5 * noise(random, SQUARE, 0.7)
    return drawn


def weave(random: Random) -> Grey:
    """Return cloth: two waves crossing, jittered."""
    y, x = grid(SQUARE)
    y, x = y + 3 * noise(random, SQUARE, 30), x + 3 * noise(random, SQUARE, 30)
    phase = random.uniform(0, 2 * np.pi, 2)
    waves = np.sin(x * 0.55 + phase[0]) * np.sin(y * 0.5 + phase[1])
    drawn: Grey = 128 + 30 * waves + 8 * noise(random, SQUARE, 0.8)
    return drawn


def stripes(random: Random) -> Grey:
    """Return slanted stripes, wavy."""
    y, x = grid(SQUARE)
    wave = (x + 0.4 * y) * 0.3 + 1.2 * noise(random, SQUARE, 25) + random.uniform(0, 6)
    return 125 + 28 * np.sin(wave) + 10 * noise(random, SQUARE, 1)


def cells(random: Random) -> Grey:
    """Return rounded cells, by thresholded noise."""
    edges = np.abs(noise(random, SQUARE, 5, 12))
    return 90 + 70 * np.clip(edges, 0, 1) + 8 * noise(random, SQUARE, 0.8)


def marble(random: Random) -> Grey:
    """Return veins."""
    y, x = grid(SQUARE)
    veins = np.abs(np.sin(0.02 * (x + y) + 2 * noise(random, SQUARE, 18)))
    drawn: Grey = 150 + 35 * veins**0.5 - 20 + 7 * noise(random, SQUARE, 1, 3)
    return drawn


def leather(random: Random) -> Grey:
    """Return wrinkles."""
    return 110 + 30 * np.tanh(noise(random, SQUARE, 2.5, 6)) + 6 * noise(random, SQUARE, 0.7)


def dots(random: Random) -> Grey:
    """Return a jittered lattice of dots."""
    y, x = grid(SQUARE)
    y, x = y + 2 * noise(random, SQUARE, 12), x + 2 * noise(random, SQUARE, 12)
    phase = random.uniform(0, 2 * np.pi, 2)
    lattice = np.cos(x * 0.35 + phase[0]) + np.cos(y * 0.35 + phase[1])
    drawn: Grey = 120 + 45 * (lattice > 1) + 9 * noise(random, SQUARE, 0.9)
    return drawn


def speckle(random: Random) -> Grey:
    """Return multiplicative speckle on a gradient."""
    y, x = grid(SQUARE)
    slope = random.normal(0, 0.03, 2)
    drawn: Grey = (125 + slope[0] * (y - 256) + slope[1] * (x - 256)) * np.exp(
        0.2 * noise(random, SQUARE, 1.5)
    )
    return drawn


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
    fixed, shape = np.random.default_rng(5), (480, 640)
    image = Image.new("L", shape[::-1], 70)
    draw = ImageDraw.Draw(image)
    for _ in range(40):
        a, b = fixed.uniform(20, 460, 2), fixed.uniform(20, 460, 2)
        draw.line((a[0] * 1.3, a[1], b[0] * 1.3, a[1]), fill=100, width=2)
        draw.line((b[0] * 1.3, a[1], b[0] * 1.3, b[1]), fill=100, width=2)
    for _ in range(45):
        cx, cy, w, h = fixed.uniform(30, 610), fixed.uniform(30, 450), *fixed.uniform(5, 18, 2)
        dx, dy = random.normal(0, 0.8, 2)
        box = (cx + dx - w, cy + dy - h, cx + dx + w, cy + dy + h)
        draw.rectangle(box, fill=int(fixed.choice([20, 40, 160, 200])), outline=190)
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


KINDS: dict[str, Kind] = {
    "grain": Kind(fine_noise, anywhere(blob), 30),
    "clouds": Kind(coarse_noise, anywhere(line), 40),
    "brushed": Kind(brushed, anywhere(specks), 60),
    "weave": Kind(weave, anywhere(crack), 60),
    "stripes": Kind(stripes, anywhere(blob), 40),
    "cells": Kind(cells, anywhere(line), 60),
    "marble": Kind(marble, anywhere(crack), 50),
    "leather": Kind(leather, anywhere(line), 55),
    "dots": Kind(dots, anywhere(specks), 70),
    "speckle": Kind(speckle, anywhere(blob), 30),
    "disk": Kind(disk, anywhere(pit), 60),
    "tile": Kind(tile, anywhere(crack), 45),
    "turned": Kind(turned, anywhere(hairline), 60),
    "board": Kind(board, anywhere(missing), 60),
    "etched": Kind(etched, fault, 110),
}
PRODUCTS = ("disk", "tile", "turned", "board", "etched")


def draw(
    name: str, random: Random, contrast: float, *, anomalous: bool
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return an image of class `name`, uint8 (h, w), and its mask, 255 where it is anomalous."""
    kind = KINDS[name]
    surface = kind.surface(random)
    shape = (surface.shape[0], surface.shape[1])
    alpha = kind.defect(random, surface) if anomalous else np.zeros(shape, np.float32)
    image = np.clip(surface + contrast * kind.strength * alpha, 0, 255).astype(np.uint8)
    return image, np.where(np.abs(alpha) > 0.25, 255, 0).astype(np.uint8)


def write(folder: Path, name: str, counts: tuple[int, int], contrast: float, seed: int) -> None:
    """Write `counts` (normal, anomaly) images of a class under `folder`/<class>."""
    for label, count in zip(("normal", "anomaly"), counts, strict=True):
        for index in range(count):
            random = np.random.default_rng(
                [seed, list(KINDS).index(name), label == "anomaly", index]
            )
            image, mask = draw(name, random, contrast, anomalous=label == "anomaly")
            save(image, folder / name / label / f"{index:03}.png")
            if label == "anomaly":
                save(mask, folder / name / "masks" / f"{index:03}.png")


def save(pixels: NDArray[np.uint8], path: Path) -> None:
    """Write grey `pixels` as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def main() -> None:
    """Write the classes that the command line asks for."""
    parser = argparse.ArgumentParser(description="Generate DAGM-like textures with defects.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--classes", default=",".join(KINDS))
    parser.add_argument("--normal", type=int, default=80)
    parser.add_argument("--anomaly", type=int, default=60)
    parser.add_argument("--contrast", type=float, default=0.6)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for name in options.classes.split(","):
        counts = (options.normal, options.anomaly)
        write(options.folder, name, counts, options.contrast, options.seed)


if __name__ == "__main__":
    main()
