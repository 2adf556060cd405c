"""`lfvpipe detect --out` by one and by two Dask workers of one core each, and without Dask.

    python tests/benchmarks/scale/cluster.py
    python tests/benchmarks/scale/cluster.py --images 50000

The model is trained on 24 textures of 64 by 64 px; judged are PNGs of that size, in a folder. Each
worker is bound to a core of its own, and so is the command without Dask to one and to two. Time is
that of the whole command: connecting, listing, and the first model of each worker included. The
same is judged by all, and the files are compared. The second ratio is by processor time: what one
worker took, to what the busier of two took. It is what the first would be on cores that have
nothing else to do, where nothing but processors is waited for.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from lfvpipe.detector import Example, Settings, train
from tests import workshop
from tests.benchmarks.scale.measure import picture
from tests.dask_cluster import DaskCluster

if TYPE_CHECKING:
    from collections.abc import Sequence


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
    for what, (seconds, processor) in took.items():
        rate = options.images / seconds
        ratios = f"{by_one[0] / seconds:5.2f} x  {by_one[1] / processor:5.2f} x"
        print(f"{what:<18} {seconds:7.1f} s {processor:7.1f} s  {rate:6.0f} images/s  {ratios}")


def _measure(folder: Path, partition: int) -> dict[str, tuple[float, float]]:
    """Return by what judged: seconds, and processor seconds, of workers those of the busiest."""
    found: dict[str, tuple[float, float]] = {}
    written: list[dict[str, bytes]] = []
    words = ("detect", "--model", "model.lfv", "images", "--partition", str(partition), "--out")

    def judge(what: str, cores: set[int], *where: str, by: Sequence[psutil.Process] = ()) -> None:
        out = folder / what.replace(" ", "-")
        before = [sum(each.cpu_times()[:2]) for each in by]
        own = _of_children()
        began = time.monotonic()
        with workshop.spawn(*words, str(out), *where, cwd=folder) as process:
            os.sched_setaffinity(process.pid, cores)
            _, err = process.communicate()
        assert process.returncode == 0, err
        seconds = time.monotonic() - began
        took = [sum(each.cpu_times()[:2]) for each in by]
        each_took = [after - earlier for after, earlier in zip(took, before, strict=True)]
        found[what] = seconds, max(each_took, default=_of_children() - own)
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
            where = ("--compute", cluster.address)
            by = [psutil.Process(each.pid) for each in cluster.workers]
            judge(f"{count} worker{plural}", {first, second}, *where, by=by)
    assert all(each == written[0] for each in written)
    return found


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
