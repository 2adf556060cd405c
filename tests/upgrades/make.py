"""Keeps the state that this version leaves, for later versions to show that they read it.

    python -m tests.upgrades.make 0.2.0

runs a small pipeline of sixteen drawn photographs and packs its folder, with ledger, runs, model
file and the service's state, into ``fixtures/0.2.0.tar.xz``, with the verdicts of its model. An
archive that is there is never written anew.
"""

from __future__ import annotations

import argparse
import json
import lzma
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

FIXTURES = Path(__file__).parent / "fixtures"
PIPELINE = """\
project: small
sources:
  normal: {archive: good}
  anomaly: {archive: bad}
model: {effort: fast}
split: {train: 50, test: 50}
"""
_KEPT_BITS = 4  # of mantissas: all of them are a megabyte that does not shrink


def lfvpipe(folder: Path, *words: str) -> str:
    """Run a command in the folder and return its standard output."""
    command = [sys.executable, "-m", "lfvpipe", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def draw(folder: Path) -> None:
    """Draw twelve good photographs and four with a bright spot, 64 pixels a side."""
    chance = np.random.default_rng(1)
    rows, columns = np.mgrid[0:64, 0:64]
    for label, count in (("good", 12), ("bad", 4)):
        (folder / label).mkdir()
        for number in range(count):
            pixels = 120 + 20 * np.sin(columns / 5) + chance.normal(0, 4, (64, 64))
            if label == "bad":
                row, column = chance.integers(12, 52, 2)
                pixels[(rows - row) ** 2 + (columns - column) ** 2 < 36] = 235
            picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert("RGB")
            picture.save(folder / label / f"{number:02}.jpg", quality=80)


def shorten(file: Path) -> None:
    """Cut the mantissas in a model file, before it is asked anything."""
    from lfvpipe.detector import model_file

    header, arrays = model_file.read(file)
    short: dict[str, Any] = {}
    for name, array in arrays.items():
        short[name] = array
        widths: Any = ((np.float32, 23, np.uint32), (np.float64, 52, np.uint64))
        for kind, bits, width in widths:
            if array.dtype == kind:
                mask = ~width((1 << (bits - _KEPT_BITS)) - 1)
                short[name] = (array.copy().view(width) & mask).view(kind)
    model_file.write(file, {k: v for k, v in header.items() if k != "arrays"}, short)


def make(folder: Path) -> None:
    """Let the pipeline run in the folder, and note the verdicts of its model."""
    (folder / "p.yaml").write_text(PIPELINE, encoding="utf-8")
    draw(folder)
    lfvpipe(folder, "run", "p.yaml", "--until", "model")
    shorten(next((folder / ".lfvpipe" / "service" / "models").rglob("model.lfv")))
    lfvpipe(folder, "run", "p.yaml")
    verdicts = json.loads(lfvpipe(folder, "detect", "p.yaml", "good", "bad", "--json"))
    (folder / "verdicts.json").write_text(json.dumps(verdicts, indent=1), encoding="utf-8")


def main() -> None:
    """Make the archive of a version."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version")
    target = FIXTURES / f"{parser.parse_args().version}.tar.xz"
    if target.exists():
        raise SystemExit(f"{target} is there, and says what that version wrote.")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made) / "small"
        folder.mkdir()
        make(folder)
        with lzma.open(target, "wb", preset=9) as packed, tarfile.open(None, "w", packed) as tar:
            tar.add(folder, ".", filter=_nobodys)
    print(f"{target}: {target.stat().st_size:,} bytes")


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out who made it, and what only a process that is gone had."""
    if member.name.endswith((".lock", "-shm")):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main()
