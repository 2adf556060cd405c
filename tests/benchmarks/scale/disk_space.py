"""Measures what a matrix leaves on the disk, by what it is.

    LFVPIPE_TEST_DATA=... python tests/benchmarks/scale/disk_space.py
    LFVPIPE_TEST_DATA=... python tests/benchmarks/scale/disk_space.py --whole

Five variants of the set `cookies` (29 MB), that learn from 20 to 100 % of its images; until the
data sets are there, or, with ``--whole``, trained and reported on, which takes minutes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
PIPELINE = """\
sources:
  normal: {{archive: "{data}/cookies/cookies.zip"}}
  anomaly: {{archive: "{data}/cookies/cookies_def.zip"}}
matrix: {{sample.percent: [20, 40, 60, 80, 100]}}
"""


def main() -> None:
    """Run the matrix in a folder of its own, and print kilobytes by folder, links counted once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--whole", action="store_true", help="train and report, too")
    whole = parser.parse_args().whole
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "cookies.yaml")
        file.write_text(PIPELINE.format(data=os.environ["LFVPIPE_TEST_DATA"]))
        until = [] if whole else ["--until", "datasets"]
        command = [sys.executable, "-m", "lfvpipe", "run", str(file), *until]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        sizes: dict[str, int] = {}
        seen: set[int] = set()
        for found in sorted(Path(scratch, ".lfvpipe").rglob("*")):
            status = found.stat()
            if found.is_file() and status.st_ino not in seen:
                seen.add(status.st_ino)
                what = "/".join(found.relative_to(scratch).parts[1:3])
                sizes[what] = sizes.get(what, 0) + status.st_size
        for what, size in sorted(sizes.items(), key=lambda each: -each[1]):
            print(f"{size / 1e6:8.1f} MB  {what}")
        print(f"{sum(sizes.values()) / 1e6:8.1f} MB  together")


if __name__ == "__main__":
    main()
