"""At every point of a run the process is killed, or the power fails; the next run ends the same.

The points are those that an undisturbed run of a small pipeline passes, so that code which writes
or calls more is found by itself. Some of them by default, as in CI; all, with the number survived:

    LFVPIPE_CRASH_EVERY=1 python -m pytest tests/crashes -s --timeout 0

That is 1,700 runs that die and as many that finish: about two hours of a processor. In parts, the
third of twenty: ``LFVPIPE_CRASH_EVERY=20 LFVPIPE_CRASH_FROM=3``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.crashes.left import files, what_is_left
from tests.crashes.points import POWER_ALONE, Point
from tests.crashes.zygote import Errand
from tests.soak.kills import Trial, compare
from tests.workshop import environment, write_archive

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks at files through /proc"),
]

EVERY = int(os.environ.get("LFVPIPE_CRASH_EVERY", "421"))
FROM = int(os.environ.get("LFVPIPE_CRASH_FROM", "0"))
PIPELINE = """\
sources:
  normal: {archive: good.zip}
  anomaly: {archive: bad.zip}
split: {train: 50, test: 50}
evaluate: {images: [good/0.png, bad/0.png]}
model: {effort: fast}
"""


@dataclass
class Laboratory:
    """One folder in which a pipeline is run from nothing, time and again."""

    trial: Trial
    aside: Path
    zygote: subprocess.Popen[str]

    def run(self, *words: str, at: Point | None = None, power: bool = False) -> int:
        """Give a command; return its exit code, -9 where it died at a point."""
        shadow = self.aside / "shadow"
        shutil.rmtree(shadow, ignore_errors=True)
        shadow.mkdir()
        self.log.unlink(missing_ok=True)
        errand = Errand(
            words or ("run", self.trial.pipeline),
            str(self.trial.folder),
            str(self.log),
            str(self.aside / "said"),
            at.label if at else None,
            at.number if at else 0,
            str(shadow) if power else None,
        )
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        self.zygote.stdin.write(errand.as_line())
        self.zygote.stdin.flush()
        return int(self.zygote.stdout.readline())

    @property
    def log(self) -> Path:
        return self.aside / "points"

    @property
    def said(self) -> str:
        return (self.aside / "said").read_text()

    def points(self) -> list[Point]:
        """Return the points that the last run passed, in its order."""
        lines = (line.partition(" ") for line in self.log.read_text().splitlines())
        return [Point(label, int(number)) for number, _, label in lines]

    def disturb(self, point: Point, *, power: bool) -> bool:
        """Begin anew and die there; return whether the run came there at all."""
        self.trial.forget()
        return self.run(at=point, power=power) == -9


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    folder, aside = tmp_path_factory.mktemp("pipeline"), tmp_path_factory.mktemp("aside")
    write_archive(folder / "good.zip", "good", 7, spoilt=False)
    write_archive(folder / "bad.zip", "bad", 5, spoilt=True)
    (folder / "pipeline.yaml").write_text(PIPELINE)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.crashes.zygote"],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as zygote:
        laboratory = Laboratory(Trial(folder, "pipeline.yaml"), aside, zygote)
        yield laboratory
        assert zygote.stdin is not None
        zygote.stdin.close()
    laboratory.trial.forget()


@pytest.fixture(scope="module")
def undisturbed(laboratory: Laboratory) -> tuple[Sequence[Point], dict[str, Any]]:
    """Return the points of a run that nobody disturbed, and what it left."""
    assert laboratory.run() == 0, laboratory.said
    return laboratory.points(), what_is_left(laboratory.trial)


def chosen(points: Sequence[Point], every: int, offset: int) -> list[Point]:
    return list(points[(FROM + offset) % every :: every])


@pytest.mark.parametrize("power", [False, True], ids=["kill", "power"])
def test_a_run_that_dies_anywhere_is_finished_by_the_next_as_if_it_had_not(
    laboratory: Laboratory,
    undisturbed: tuple[Sequence[Point], dict[str, Any]],
    power: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    points, expected = undisturbed
    if not power:
        points = [point for point in points if not point.label.startswith(POWER_ALONE)]
    fates: Counter[str] = Counter()
    faults: list[str] = []
    # The points between are the other test's.
    for point in chosen(points, EVERY, EVERY // 2 if power else 0):
        died = laboratory.disturb(point, power=power)
        code = laboratory.run()
        if code != 0:
            differences = [f"exit {code}: {laboratory.said[-2000:]}"]
        else:
            differences = compare(expected, what_is_left(laboratory.trial))
        fates["survived" if died else "not reached"] += not differences
        faults += [f"{point.number} {point.label}: {each[:2000]}" for each in differences]
    with capsys.disabled():
        told = ", ".join(f"{number} {fate}" for fate, number in fates.items())
        what = "power failures" if power else "kills"
        print(f"\n{len(points)} points; {what}: {told}, {len(faults)} differences")
    assert not faults, "\n".join(faults)


def test_what_a_run_left_that_died_anywhere_is_destroyed_like_what_another_left(
    laboratory: Laboratory, undisturbed: tuple[Sequence[Point], dict[str, Any]]
) -> None:
    points, _ = undisturbed
    laboratory.trial.forget()
    assert laboratory.run() == 0
    assert laboratory.run("destroy", "pipeline.yaml", "--yes") == 0, laboratory.said
    allowed = set(files(laboratory.trial.state))
    for point in chosen(points, 2 * EVERY, EVERY // 3):
        laboratory.disturb(point, power=False)
        for _ in range(3):  # a model is not deleted while it is trained, which destroy says
            laboratory.trial.await_workers()
            code = laboratory.run("destroy", "pipeline.yaml", "--yes")
            if code == 0 or "TRAINING" not in laboratory.said:
                break
        assert code == 0, (point, laboratory.said)
        assert set(files(laboratory.trial.state)) <= allowed, point
