"""What a sample of a remote zip moves, beside the whole: bytes, requests and seconds.

python tests/benchmarks/scale/by_range.py --images 1000 --kilobytes 190
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy
from PIL import Image

from tests.conftest import QuietServer, Web, WebPage

PIPELINE = """\
sources:
  normal: {{archive: "{url}/images.zip", include: ["good/**"]}}
  anomaly: {{archive: "{url}/images.zip", include: ["bad/**"]}}
sample: {{percent: {percent}}}
split: {{train: 80, test: 20}}
"""


def archive_of(images: int, kilobytes: int) -> bytes:
    """Return a zip of noise, a tenth of it anomalies."""
    side = round((kilobytes * 1000 / 3) ** 0.5)
    numbers = numpy.random.default_rng(1)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(images):
            picture = io.BytesIO()
            noise = numbers.integers(0, 256, (side, side, 3), numpy.uint8)
            Image.fromarray(noise).save(picture, "PNG", compress_level=0)
            label = "bad" if number % 10 == 0 else "good"
            archive.writestr(f"{label}/{number:06}.png", picture.getvalue())
    return buffer.getvalue()


def measure(web: Web, percent: int, *, ranges: bool) -> dict[str, Any]:
    """Run a pipeline until its images are extracted, with or without ranges."""
    web.ranges, web.sent = ranges, 0
    web.requests.clear()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pipeline.yaml"
        file.write_text(PIPELINE.format(url=web.url, percent=percent))
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "lfvpipe", "run", str(file), "--until", "extract"]
        subprocess.run(command, check=True, capture_output=True)
        seconds = time.perf_counter() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        (selection,) = (Path(folder) / ".lfvpipe").rglob("selection/*.jsonl")
        (*index,) = sorted(each.name for each in (Path(folder) / ".lfvpipe").rglob("index/*"))
    share = round(web.sent / len(web.files["/images.zip"]), 4)
    return {
        "percent": percent,
        "ranges": ranges,
        "bytes": web.sent,
        "share": share,
        "requests": len(web.requests),
        "seconds": round(seconds, 2),
        "processor_seconds": round(
            used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime, 2
        ),
        "results": [selection.name, *index],
    }


def main() -> None:
    """Print one line of JSON for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--kilobytes", type=int, default=190)
    parser.add_argument("--percents", type=int, nargs="+", default=[1, 10, 30])
    chosen = parser.parse_args()
    server: Any = QuietServer(("127.0.0.1", 0), WebPage)
    server.web = web = Web(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    web.files["/images.zip"] = archive_of(chosen.images, chosen.kilobytes)
    web.etags["/images.zip"] = '"1"'
    for percent in chosen.percents:
        for ranges in (True, False):
            print(json.dumps(measure(web, percent, ranges=ranges)), flush=True)


if __name__ == "__main__":
    main()
