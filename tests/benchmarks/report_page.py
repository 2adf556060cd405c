"""How long the report page of many test images takes to write, how large it is, and when it opens.

    python tests/benchmarks/report_page.py 4000

The images are noise, 512 by 512 pixels, which no format compresses: the largest page there is. A
quarter has a true and a predicted mask. The browser is Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy
from PIL import Image

from lfvpipe.dataset.index import Mask
from lfvpipe.report import metrics, run_file
from lfvpipe.report.page import write_page
from lfvpipe.report.records import RunRecord, Verdict

SIDE = 512
COLOUR = "#23A436"
AREA = {"Name": "crack", "PixelAnomaly": {"Color": COLOUR, "TotalPercentageArea": 0.01}}


def make_verdicts(folder: Path, count: int) -> tuple[Verdict, ...]:
    """Write images and masks, and return a verdict on each."""
    chance = numpy.random.default_rng(0)
    noise = [chance.normal(128, 40, (SIDE, SIDE)).clip(0, 255).astype("u1") for _ in range(20)]
    y, x = numpy.mgrid[:SIDE, :SIDE]
    rows = []
    for number in range(count):
        is_anomaly = number % 4 == 0
        score = min(max(chance.normal(0.75 if is_anomaly else 0.2, 0.2), 0.001), 0.999)
        Image.fromarray(noise[number % 20]).save(folder / f"{number}.png", compress_level=1)
        if is_anomaly:
            middle, radius = chance.integers(60, 450, 2), chance.integers(20, 60)
            mask = numpy.full((SIDE, SIDE, 3), 255, "u1")
            mask[(x - middle[0]) ** 2 + (y - middle[1]) ** 2 < radius**2] = (0x23, 0xA4, 0x36)
            Image.fromarray(mask).save(folder / f"{number}-mask.png")
        rows.append(
            Verdict(
                id=f"{number}",
                name=f"{number}.png",
                label="anomaly" if is_anomaly else "normal",
                is_anomalous=score >= 0.5,
                confidence=max(score, 1 - score),
                path=f"{number}.png",
                mask=f"{number}-mask.png" if is_anomaly else None,
                anomalies=(AREA,) if is_anomaly else (),
                types=("crack",) if is_anomaly else (),
            )
        )
    return tuple(rows)


def opening_time(page: Path) -> float:
    """Return the seconds until Chromium has the page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        browser = player.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        shown = browser.new_page()
        began = time.perf_counter()
        shown.goto(page.as_uri())
        taken = time.perf_counter() - began
        browser.close()
    return taken


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=int)
    count: int = parser.parse_args().images
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = make_verdicts(folder, count)
        masks = {row.id: Mask(row.mask, "", 1, "", {"crack": COLOUR}) for row in rows if row.mask}
        run = RunRecord(
            id="20260101T000000Z-00000000",
            created="2026-01-01T00:00:00Z",
            name="many",
            fingerprint="0" * 64,
            versions={"service": "http://elsewhere"},
            model={"project": "many", "version": "1"},
            scores={"test": metrics.score_set(rows)},
            verdicts={"test": rows},
        )
        run_file.write(folder, run)
        began, worked = time.perf_counter(), time.process_time()
        write_page(folder, run, true_masks=masks)
        taken, worked = time.perf_counter() - began, time.process_time() - worked
        page = folder / "report.html"
        print(
            f"{count} images: {taken:.1f} s, {worked:.1f} s of processor,"
            f" {page.stat().st_size / 1e6:.1f} MB, open after {opening_time(page):.1f} s"
        )


if __name__ == "__main__":
    main()
