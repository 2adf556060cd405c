"""Ten DAGM-like texture classes and five products, with and without defects, with masks; seeded.

DAGM 2007 (Heidelberg HCI) has ten classes of artificial 512 by 512 grey textures whose defects are
local and weak. This family is our own: each class is a texture and a kind of defect, and `contrast`
runs from plain (1.0) to barely visible (0.25). The products mimic what inspection photographs are
like: a cast disk with pits, a tile with fine cracks, a tall turned surface with hairline cracks, a
board with stray patches, and the same with a part missing or moved; each is placed a little
differently in every image. On the last, an etched board with faulty traces, nothing lies where it
did in another image.

    PYTHONPATH=. python tests/benchmarks/detector/textures.py FOLDER [--classes weave,tile]
        [--normal 80] [--anomaly 60] [--contrast 0.6] [--seed 0]

writes FOLDER/<class>/{normal,anomaly,masks}/NNN.png.
"""

import argparse
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.benchmarks.detector import products, surfaces
from tests.benchmarks.detector.defects import (
    Grey,
    Random,
    blob,
    crack,
    hairline,
    line,
    missing,
    pit,
    specks,
)


@dataclass(frozen=True)
class Kind:
    """A class of images: how its surface and its defects are drawn.

    Attributes:
        surface: Draws it.
        defect: Draws the difference that a defect makes to it, in units of the strength.
        strength: Grey levels.
        again: Whether the defect draws the surface again: by the same numbers, then.
    """

    surface: Callable[[Random], Grey]
    defect: Callable[[Random, Grey], Grey]
    strength: float
    again: bool = False


def anywhere(draw: Callable[[Random, tuple[int, int]], Grey]) -> Callable[[Random, Grey], Grey]:
    """Return a defect that is drawn without regard to the surface."""
    return lambda random, surface: draw(random, (surface.shape[0], surface.shape[1]))


KINDS: dict[str, Kind] = {
    "grain": Kind(surfaces.fine_noise, anywhere(blob), 30),
    "clouds": Kind(surfaces.coarse_noise, anywhere(line), 40),
    "brushed": Kind(surfaces.brushed, anywhere(specks), 60),
    "weave": Kind(surfaces.weave, anywhere(crack), 60),
    "stripes": Kind(surfaces.stripes, anywhere(blob), 40),
    "cells": Kind(surfaces.cells, anywhere(line), 60),
    "marble": Kind(surfaces.marble, anywhere(crack), 50),
    "leather": Kind(surfaces.leather, anywhere(line), 55),
    "dots": Kind(surfaces.dots, anywhere(specks), 70),
    "speckle": Kind(surfaces.speckle, anywhere(blob), 30),
    "disk": Kind(products.disk, anywhere(pit), 60),
    "tile": Kind(products.tile, anywhere(crack), 45),
    "turned": Kind(products.turned, anywhere(hairline), 60),
    "board": Kind(products.board, anywhere(missing), 60),
    "etched": Kind(products.etched, products.fault, 110),
    "populated": Kind(products.board, products.misplaced, 1, again=True),
}


def draw(
    name: str, random: Random, contrast: float, *, anomalous: bool
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return an image of class `name`, uint8 (h, w), and its mask, 255 where it is anomalous."""
    kind = KINDS[name]
    before = deepcopy(random)
    surface = kind.surface(random)
    shape = (surface.shape[0], surface.shape[1])
    drawn = before if kind.again else random
    alpha = kind.defect(drawn, surface) if anomalous else np.zeros(shape, np.float32)
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
