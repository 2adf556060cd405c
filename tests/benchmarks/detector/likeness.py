"""Which images are called unlike the training images: held-out ones, disturbed ones, others.

python tests/benchmarks/detector/likeness.py [SETS] [--splits 0,1,2,3,4] [--learn 20]

Trains nothing but what is typical of the training images of each split, at 256 px. The table has
percentages, over all splits; those of "another product" are of images of each other set.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

sys.path.insert(0, str(Path(__file__).parents[3]))

from lfvpipe import images
from lfvpipe.detector.features import CELL_TAPS, extract, prepare
from lfvpipe.detector.likeness import Likeness, describe, fit_likeness
from lfvpipe.detector.tuning import FOLDS, SIDES
from tests.benchmarks.detector.disturbances import KINDS, Pixels, brighten
from tests.benchmarks.detector.sets import DATA, REAL, ImageSet, image_set
from tests.benchmarks.detector.splits import split_of

SHARE = 0.7  # to learn from, of sets that have no split files
DISTURBED = 30  # tested images of a split that are disturbed
OTHERS = 60  # images of each other set
Traits = NDArray[np.float32]


def blur(pixels: Pixels, share: float) -> Pixels:
    """Blur by a share of the image's side."""
    sigma = share * (pixels.shape[0] * pixels.shape[1]) ** 0.5
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma)))


def fill(pixels: Pixels, level: float | None) -> Pixels:
    """Return a blank image: of one level, or, with None, of the image's own mean colour."""
    colour = pixels.mean((0, 1)) if level is None else level
    return np.broadcast_to(np.asarray(colour, np.uint8), pixels.shape)


FAR: dict[str, Sequence[Callable[[Pixels], Pixels]]] = {
    "75 % of the light": (lambda pixels: brighten(pixels, 0.75),),
    "half the light": (lambda pixels: brighten(pixels, 0.5),),
    "half as light again": (lambda pixels: brighten(pixels, 1.5),),
    "blurred by 1 % of the side": (partial(blur, share=0.01),),
    "blurred by 2 %": (partial(blur, share=0.02),),
    "blurred by 4 %": (partial(blur, share=0.04),),
    "blank": tuple(partial(fill, level=each) for each in (0, 128, 255, None)),
}


def traits(pixels: Pixels) -> Traits:
    """Return what an image is compared by."""
    seen, _motion = prepare(Image.fromarray(pixels), SIDES[0], None)
    return describe(extract(seen, CELL_TAPS))


def read(path: Path) -> Pixels:
    """Return an image's pixels, RGB."""
    return np.asarray(images.read_image(path).image.convert("RGB"))


@cache
def traits_of(path: Path) -> Traits:
    """Return what the image in a file is compared by."""
    return traits(read(path))


def far(likeness: Likeness, rows: Sequence[Traits]) -> list[bool]:
    """Return which images are unlike those that were learnt from."""
    return [likeness.unlikeness_of(each) >= 1 for each in rows]


def measure(
    one: ImageSet, splits: Sequence[int], learn: int | None, others: dict[str, list[Traits]]
) -> Iterator[tuple[str, list[bool]]]:
    """Yield which images of each kind are called unlike, by split."""
    for number in splits:
        split = split_of(one, number, SHARE, None)
        order = np.random.default_rng(number).permutation(len(split.learnt))[:learn]
        learnt = np.stack([traits_of(split.learnt[row].path) for row in order])
        likeness = fit_likeness(learnt, np.arange(len(learnt)) % FOLDS)
        for label in ("normal", "anomaly"):
            held_out = [traits_of(each.path) for each in split.tested if each.label == label]
            yield f"{label}, held out", far(likeness, held_out)
        some = np.random.default_rng(number).permutation(len(split.tested))[:DISTURBED]
        pixels = [read(split.tested[row].path) for row in some]
        for kind, variants in {**KINDS, **FAR}.items():
            disturbed = [traits(change(each)) for change in variants for each in pixels]
            yield kind, far(likeness, disturbed)
        for name, rows in others.items():
            yield f"another product: {name}", far(likeness, rows)


def main(arguments: list[str]) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=list(REAL))
    parser.add_argument("--splits", default="0,1,2,3,4")
    parser.add_argument("--learn", type=int, help="images to learn from; by default all of a split")
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args(arguments)
    splits = [int(each) for each in options.splits.split(",")]
    found: dict[str, dict[str, list[bool]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        sets = {
            name: image_set(name, options.data, Path(scratch), 1.0)
            for name in dict.fromkeys([*options.sets, *REAL])
        }
        rows = {
            name: [
                traits_of(example.path)
                for group in (each.normal, each.anomaly)
                for example in group[: OTHERS // 2]
            ]
            for name, each in sets.items()
        }
        for name in options.sets:
            others = {other: each for other, each in rows.items() if other != name}
            for kind, unlike in measure(sets[name], splits, options.learn, others):
                found.setdefault(kind, {}).setdefault(name, []).extend(unlike)
    print("| % unlike |", " | ".join(options.sets), "|")
    print("|---" * (len(options.sets) + 1) + "|")
    for kind, by_set in found.items():
        cells = [f"{100 * np.mean(by_set[n]):.1f}" if n in by_set else "" for n in options.sets]
        print(f"| {kind} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main(sys.argv[1:])
