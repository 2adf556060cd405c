"""`lfvpipe detect --out` over few and many images: time and memory; then with nothing to do.

    python tests/benchmarks/scale/many_images.py
    python tests/benchmarks/scale/many_images.py --images 1000,10000

The model is trained on 24 textures of 64 by 64 px; judged are PNGs of that size, in a folder.
Memory is the highest of the process, sampled each hundredth of a second.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from lfvpipe.detector import Example, Settings, train
from tests.benchmarks.scale.measure import Bench, picture


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", default="500,5000", help="how many, with commas between")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bench, chance = Bench(Path(scratch), 1), random.Random(1)
        examples = []
        for number in range(24):
            file = bench.folder / f"{number}.png"
            file.write_bytes(picture(chance, number % 3 == 0))
            examples.append(Example(file, "normal" if number % 3 else "anomaly"))
        train(examples, Settings(looks=4, steps=24)).save(bench.folder / "model.lfv")
        for count in map(int, options.images.split(",")):
            folder = bench.folder / str(count)
            folder.mkdir()
            for number in range(count):
                (folder / f"{number:06}.png").write_bytes(picture(chance, number % 10 == 0))
            words = ("detect", "--model", "model.lfv", str(count))
            into = ("--out", f"{count}-judged")
            bench.lfvpipe(f"{count:,} images, --out", None, *words, *into, repeat=1)
            bench.lfvpipe(f"{count:,} images, nothing to do", None, *words, *into, repeat=1)
            bench.lfvpipe(f"{count:,} images, to the terminal", None, *words, repeat=1)
            stat = [sys.executable, "-c", f"import os; [e.stat() for e in os.scandir('{count}')]"]
            bench.measure(f"python that stats {count:,} images", None, stat, repeat=1)


if __name__ == "__main__":
    main()
