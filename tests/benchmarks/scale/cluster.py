"""`lfvpipe detect --out` by one and by two Dask workers of one core each, and without Dask.

    python tests/benchmarks/scale/cluster.py
    python tests/benchmarks/scale/cluster.py --images 50000

The model is trained on 24 textures of 64 by 64 px; judged are PNGs of that size, in a folder. Each
worker is bound to a core of its own, and so is the command without Dask to one and to two. Time is
that of the whole command: connecting, listing, and the first model of each worker included. The
same is judged by all, and the files are compared. On a machine whose cores have other work, the
ratios are those of what is left of them.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from pathlib import Path

from lfvpipe.detector import Example, Settings, train
from tests import workshop
from tests.benchmarks.scale.measure import picture
from tests.dask_cluster import DaskCluster


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--partition", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, chance = Path(scratch), random.Random(1)
        examples = []
        for number in range(24):
            file = folder / f"{number}.png"
            file.write_bytes(picture(chance, number % 3 == 0))
            examples.append(Example(file, "normal" if number % 3 else "anomaly"))
        train(examples, Settings(looks=4, steps=24)).save(folder / "model.lfv")
        (folder / "images").mkdir()
        for number in range(options.images):
            file = folder / "images" / f"{number:06}.png"
            file.write_bytes(picture(chance, number % 10 == 0))
        took = _measure(folder, options.partition)
    by_one = took["1 worker"]
    for what, seconds in took.items():
        rate = options.images / seconds
        print(f"{what:<18} {seconds:7.1f} s  {rate:7.0f} images/s  {by_one / seconds:5.2f} x")


def _measure(folder: Path, partition: int) -> dict[str, float]:
    """Return seconds by what judged."""
    found: dict[str, float] = {}
    written: list[dict[str, bytes]] = []
    words = ("detect", "--model", "model.lfv", "images", "--partition", str(partition), "--out")

    def judge(what: str, cores: set[int], *where: str) -> None:
        out = folder / what.replace(" ", "-")
        began = time.monotonic()
        with workshop.spawn(*words, str(out), *where, cwd=folder) as process:
            os.sched_setaffinity(process.pid, cores)
            _, err = process.communicate()
        assert process.returncode == 0, err
        found[what] = time.monotonic() - began
        files = (out / "verdicts").iterdir()
        written.append({file.name: file.read_bytes() for file in files})

    first, second = sorted(os.sched_getaffinity(0))[:2]
    judge("1 core, no Dask", {first})
    judge("2 cores, no Dask", {first, second})
    (folder / "dask").mkdir()
    with DaskCluster(folder / "dask", {}) as cluster:
        for count, core in ((1, first), (2, second)):
            os.sched_setaffinity(cluster.start().pid, {core})
            cluster.have(count)
            plural = "s" if count > 1 else ""
            judge(f"{count} worker{plural}", {first, second}, "--compute", cluster.address)
    assert all(each == written[0] for each in written)
    return found


if __name__ == "__main__":
    main()
