"""How training grows with the number of images: seconds, processor seconds, peak memory.

    PYTHONPATH=. python tests/benchmarks/detector/growth.py [--sizes 60,460,1000,2000,5000]
        [--class board] [--anomalous 0.4] [--images FOLDER] [--json FILE]

Images of a class of textures.py are drawn once, for the largest size (some 0.1 s each; with
--images into a folder that is kept, and drawn no more where it holds enough). Every size trains on
the first of them with default settings, in a process of its own, so that peak memory is its own;
then 20 of them are judged, on one thread. For a memory limit, use `ulimit -v`.
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from lfvpipe.detector import Example, Settings, train
from tests.benchmarks.detector import sets, textures
from tests.benchmarks.detector.processes import Clock, peak_megabytes

JUDGED = 20
COLUMNS = ("images", "normals", "anomalies", "train_s", "train_cpu_s", "ms", "peak_mb")


def counts(size: int, anomalous: float) -> tuple[int, int]:
    """Return how many of `size` images are normal and how many are not."""
    anomalies = round(size * anomalous)
    return size - anomalies, anomalies


def draw_examples(
    folder: Path, name: str, wanted: tuple[int, int]
) -> tuple[list[Example], list[Example]]:
    """Return at least so many (normal, anomalous) examples below `folder`; draw missing ones."""
    found = list(sets.in_folder(folder / name))
    normal, anomaly = ([each for each in found if each.label == x] for x in ("normal", "anomaly"))
    if len(normal) < wanted[0] or len(anomaly) < wanted[1]:
        textures.write(folder, name, wanted, 1.0, 0)
        return draw_examples(folder, name, wanted)
    return normal, anomaly


def measure_here(examples: Sequence[Example]) -> dict[str, float]:
    """Train on the examples, without their masks; return what it took."""
    clock = Clock()
    model = train([Example(each.path, each.label) for each in examples], Settings())
    found = clock.seconds() | {"peak_mb": peak_megabytes()}
    start = time.process_time()
    for each in examples[:JUDGED]:
        model.detect(each.path)
    return found | {"ms": 1000 * (time.process_time() - start) / len(examples[:JUDGED])}


def line(row: dict[str, float]) -> str:
    """Return a size's line of the table."""
    return f"| {' | '.join(f'{row[column]:.0f}' for column in COLUMNS)} |"


def options() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description="Measure how training grows.")
    parser.add_argument("--sizes", default="60,460,1000,2000,5000")
    parser.add_argument("--class", dest="name", default="board", choices=textures.KINDS)
    parser.add_argument("--anomalous", type=float, default=0.4)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    """Measure the sizes that the command line names."""
    asked = options()
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # for the runs' processes
    sizes = sorted(int(each) for each in asked.sizes.split(","))
    results: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.images or Path(scratch)
        normal, anomaly = draw_examples(folder, asked.name, counts(sizes[-1], asked.anomalous))
        print(f"| {' | '.join(COLUMNS)} |\n" + "|---" * len(COLUMNS) + "|", flush=True)
        for size in sizes:
            normals, anomalies = counts(size, asked.anomalous)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found = pool.apply(measure_here, ([*normal[:normals], *anomaly[:anomalies]],))
            results.append({"images": size, "normals": normals, "anomalies": anomalies} | found)
            print(line(results[-1]), flush=True)
            if asked.json:
                asked.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
