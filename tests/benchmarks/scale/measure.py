"""Measures what must stay quick: start-up, reruns that have nothing to do, and 10,000 images.

    python tests/benchmarks/scale/measure.py
    python tests/benchmarks/scale/measure.py --images 100000 --repeat 5 --json
    python tests/benchmarks/scale/measure.py --doit /tmp/peer/bin/python --dvc /tmp/peer/bin/python

It makes `--images` PNGs of 64 by 64 px (a tenth of them with a scratch) in two archives, runs
``lfvpipe run --until manifests`` once, and then measures each command `--repeat` times, each in a
process of its own. It reports the shortest wall time, the least CPU time (user and system; the
steadier one on a busy machine), and the peak resident memory of the process and its children.

What it is compared with, in the same minutes on the same machine: a Python that does nothing; a
Python that lists and stats every extracted image; and, where an interpreter is given that has
them, doit and DVC with one up-to-date stage over the same archives and images.

Bytecode is written to the scratch folder, as an installation has it; ``PYTHONDONTWRITEBYTECODE``
is ignored. Training is no part of it: the quickstart is measured only with ``--quickstart``.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from PIL import Image, ImageDraw

ROOT = Path(__file__).parents[3]
SIDE = 64
PIPELINE = "sources: {normal: {archive: good.zip}, anomaly: {archive: bad.zip}}\n"
UNTIL = ("--until", "manifests")
WATCH_EVERY = 0.01  # seconds
DODO = """\
from pathlib import Path
images = [str(p) for p in Path('.lfvpipe/pipeline/images').rglob('*.png')]
def task_manifests():
    return {'file_dep': ['good.zip', 'bad.zip', *images], 'targets': ['out.txt'],
            'actions': ['touch out.txt']}
"""
DVC = """\
stages:
  manifests:
    cmd: touch out.txt
    deps: [good.zip, bad.zip, .lfvpipe/pipeline/images]
    outs: [out.txt]
"""
STAT_ALL = """\
import os
def walk(folder):
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False): walk(entry.path)
        else: entry.stat(follow_symlinks=False)
walk('.lfvpipe/pipeline/images')
"""


@dataclass(frozen=True)
class Row:
    """What a command took: seconds, CPU seconds (both the least of all), peak memory in MB."""

    what: str
    bound: float | None
    wall: float
    cpu: float
    peak: float


@dataclass(frozen=True)
class Bench:
    """A scratch folder and the environment that commands run in."""

    folder: Path
    repeat: int

    @property
    def environment(self) -> dict[str, str]:
        """The process's own, with bytecode in the scratch folder."""
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        cache = str(self.folder / "bytecode")
        return {**kept, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": cache}

    def lfvpipe(self, what: str, bound: float | None, *words: str, repeat: int = 0) -> Row:
        """Measure one of our own commands."""
        return self.measure(what, bound, [sys.executable, "-m", "lfvpipe", *words], repeat=repeat)

    def measure(
        self, what: str, bound: float | None, command: list[str], *, repeat: int = 0
    ) -> Row:
        """Measure a command; without `repeat`, as often as the user said after one trial run."""
        if not repeat:
            self._once(command)
        taken = [self._once(command) for _ in range(repeat or self.repeat)]
        least = [min(column) for column in zip(*taken, strict=True)]
        row = Row(what, bound, least[0], least[1], max(each[2] for each in taken))
        print(_line(row), flush=True)
        return row

    def _once(self, command: list[str]) -> tuple[float, float, float]:
        began = time.perf_counter()
        process = psutil.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        peak, cpu = _watch(process)
        wall = time.perf_counter() - began
        if process.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{process.stderr.read().decode()}")
        process.stderr.close()
        return wall, cpu, peak


def _watch(process: psutil.Popen) -> tuple[float, float]:
    """Wait for a process, sampling the memory of it and its children; return peak MB and CPU s."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _resident(process))
        try:
            process.wait(WATCH_EVERY)
        except psutil.TimeoutExpired:
            continue
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return peak / 1e6, cpu


def _resident(process: psutil.Popen) -> int:
    total = 0
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for each in family:
        try:
            total += each.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def make_archives(folder: Path, images: int) -> None:
    """Write good.zip and bad.zip, nine to one, with `images` PNGs of grey noise together."""
    chance = random.Random(1)
    for name, count in (("good", images - images // 10), ("bad", images // 10)):
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
            for number in range(count):
                archive.writestr(f"{name}/{number:06}.png", picture(chance, name == "bad"))


def picture(chance: random.Random, spoilt: bool) -> bytes:
    """Return a PNG of grey noise; a spoilt one has a scratch."""
    noise = bytes(byte // 16 + 120 for byte in chance.randbytes(SIDE * SIDE))
    image = Image.frombytes("L", (SIDE, SIDE), noise)
    if spoilt:
        x, y = chance.randrange(SIDE // 2), chance.randrange(SIDE // 2)
        ImageDraw.Draw(image).line((x, y, x + SIDE // 3, y + SIDE // 4), fill=20, width=4)
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def start_up(bench: Bench) -> list[Row]:
    """Measure the commands that do nothing."""
    return [
        bench.measure("python that does nothing", None, [sys.executable, "-c", "pass"]),
        bench.lfvpipe("lfvpipe --version", 0.15, "--version"),
        bench.lfvpipe("lfvpipe --help", 0.15, "--help"),
    ]


def many_images(bench: Bench, images: int) -> list[Row]:
    """Measure a first run over many images, then reruns with nothing to do, and their peers."""
    make_archives(bench.folder, images)
    (bench.folder / "pipeline.yaml").write_text(PIPELINE)
    return [
        bench.lfvpipe(
            f"{images:,} images, first run until manifests", None, "run", *UNTIL, repeat=1
        ),
        bench.lfvpipe(f"{images:,} images, nothing to do", 0.3, "run", *UNTIL),
        bench.lfvpipe(f"{images:,} images, plan", None, "plan", *UNTIL),
        bench.measure(
            f"python that stats {images:,} images", None, [sys.executable, "-c", STAT_ALL]
        ),
    ]


def quickstart(bench: Bench) -> list[Row]:
    """Measure the quickstart, then its rerun."""
    ignore = shutil.ignore_patterns(".lfvpipe", "__pycache__")
    shutil.copytree(ROOT / "pipelines", bench.folder / "q", ignore=ignore)
    file = "q/quickstart.yaml"
    return [
        bench.lfvpipe("quickstart, first run", 60, "run", file, repeat=1),
        bench.lfvpipe("quickstart, nothing to do", 0.5, "run", file),
    ]


def peers(bench: Bench, doit: str | None, dvc: str | None) -> list[Row]:
    """Measure up-to-date stages of other tools over the same files."""
    rows = []
    if doit:
        (bench.folder / "dodo.py").write_text(DODO)
        rows.append(bench.measure("doit, nothing to do", None, [doit, "-m", "doit"]))
    if dvc:
        (bench.folder / "dvc.yaml").write_text(DVC)
        subprocess.run([dvc, "-m", "dvc", "init", "--no-scm", "-q"], cwd=bench.folder, check=True)
        rows.append(bench.measure("dvc repro, nothing to do", None, [dvc, "-m", "dvc", "repro"]))
    return rows


def _line(row: Row) -> str:
    bound = f"≤ {row.bound:g} s" if row.bound else ""
    times = f"{row.wall:8.3f} s wall  {row.cpu:8.3f} s CPU  {row.peak:6.0f} MB"
    return f"{row.what:<45}{times}  {bound}"


def main() -> int:
    """Measure from the command line; return 1 if a bound on CPU time is broken."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--quickstart", action="store_true", help="train the quickstart, too")
    parser.add_argument("--doit", metavar="PYTHON", help="an interpreter that has doit")
    parser.add_argument("--dvc", metavar="PYTHON", help="an interpreter that has DVC")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON at the end")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.repeat)
        rows = start_up(bench) + many_images(bench, options.images)
        rows += quickstart(bench) if options.quickstart else []
        rows += peers(bench, options.doit, options.dvc)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    return int(any(row.bound is not None and row.cpu > row.bound for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
