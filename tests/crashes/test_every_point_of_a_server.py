"""A service dies at each of its points; the next one ends where an undisturbed one does.

It is killed, or the power fails, by turns at some of the points, as in CI; at all, with the number
survived:

    export LFVPIPE_CRASH_EVERY=1 LFVPIPE_CRASH_BY=power  # or kill
    python -m pytest tests/crashes/test_every_point_of_a_server.py -s
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.crashes.laboratory import Bench, deaths, entry, open_bench, photograph, told_by
from tests.crashes.server import DETECTOR
from tests.soak.kills import compare

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at files through /proc"),
]

EVERY = told_by("LFVPIPE_CRASH_EVERY", 50)
NORMAL, ANOMALOUS = 8, 4  # of each dataset


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Yield a bench whose state has images and manifests, and no service yet."""
    folder, aside = tmp_path_factory.mktemp("service"), tmp_path_factory.mktemp("aside")
    bucket, number = folder / "state" / "buckets" / "bucket", 0
    for kind in ("train", "test"):
        lines = ""
        for defect in [False] * NORMAL + [True] * ANOMALOUS:
            photograph(bucket / f"{number}.png", number, defect=defect)
            lines += entry(f"{number}.png", "anomaly" if defect else "normal")
            number += 1
        (bucket / f"{kind}.manifest").write_text(lines)
    for bench in open_bench(folder, aside, "tests.crashes.server", site(aside)):
        bench.keep()
        yield bench


def site(aside: Path) -> Path:
    """Install the detector of the documentation, which learns at once."""
    folder = aside / "site"
    info = folder / f"{DETECTOR.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {DETECTOR}\nVersion: 1.0\n")
    value = "tests.detector.example_detector:MeanColourDetector"
    (info / "entry_points.txt").write_text(f"[lfvpipe.detectors]\n{DETECTOR} = {value}\n")
    return folder


def processes(bench: Bench) -> list[psutil.Process]:
    """Return the trainers and inference units over the state."""
    found = psutil.process_iter(["cmdline"])
    return [each for each in found if str(bench.state) in " ".join(each.info["cmdline"] or ())]


def all_end(bench: Bench) -> bool:
    """Say whether trainers and units end by themselves, soon."""
    _, alive = psutil.wait_procs(processes(bench), timeout=60)
    return not alive


def test_a_service_that_dies_anywhere_ends_as_if_it_had_not_been(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.restore()
    assert bench.run(str(bench.state)) == 0, bench.said
    points, expected = bench.points(), bench.left()
    fates: Counter[str] = Counter()
    faults: list[str] = []
    for point, power in deaths(points, EVERY):
        bench.restore()
        died = bench.run(str(bench.state), at=point, power=power) == -9
        code = bench.run(str(bench.state))
        ended = all_end(bench)
        differences = [bench.said[-2000:]] if code else compare(expected, bench.left())
        differences += [] if ended else [f"left over: {processes(bench)}"]
        fates["survived" if died else "not reached"] += not differences
        fates["power failures"] += died and power
        faults += [f"{point.number} {point.label}, {power=}: {each[:2000]}" for each in differences]
    with capsys.disabled():
        told = ", ".join(f"{number} {fate}" for fate, number in fates.items())
        print(f"\n{len(points)} points of the service; {told}, {len(faults)} differences")
    assert faults == [], "\n".join(faults)
