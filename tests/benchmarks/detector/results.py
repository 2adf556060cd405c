"""What was measured, as JSON: written after every run, and read so that no run is done twice."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.benchmarks.detector.splits import Run

HERE = Path(__file__).parent
DETECTOR = HERE.parents[2] / "lfvpipe" / "detector"
IMAGES = HERE.parents[2] / "lfvpipe" / "images"
Row = dict[str, Any]  # a run's identity, `code`, `parts`, and its figures or why it `failed`

# The files whose content decides a method's figures. What all share, such as the metrics, is not
# among them: whoever changes a metric starts a new file.
CODE: Mapping[str, tuple[Path, ...]] = {
    "lfvpipe": (DETECTOR, IMAGES),
    "pooled": (HERE / "pooled.py", HERE / "peers" / "held_out.py", DETECTOR / "backbone", IMAGES),
    "finetune": (
        HERE / "peers" / "finetune.py",
        HERE / "peers" / "held_out.py",
        HERE / "peers" / "finetune.txt",
    ),
    "patchcore": (HERE / "peers" / "novelty.py", HERE / "peers" / "anomalib.txt"),
    "padim": (HERE / "peers" / "novelty.py", HERE / "peers" / "anomalib.txt"),
    "supersimplenet": (HERE / "peers" / "supersimplenet.py", HERE / "peers" / "anomalib.txt"),
}


def code(method: str) -> str:
    """Return a digest of a method's code as it is now."""
    digest = hashlib.sha256()
    for place in CODE[method]:
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


class Results:
    """The rows of one file, or of none; every addition is written at once."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        known = path is not None and path.exists()
        self.rows: list[Row] = json.loads(path.read_text("utf-8")) if path and known else []

    def known(self, run: Run) -> Row | None:
        """Return a run's row if it has figures, of all parts that are asked for, by today's code.

        Rows of other code, and runs that failed, are to be measured again.
        """
        row = next((each for each in self.rows if _is_of(each, run)), None)
        if row is None or "failed" in row or row["code"] != code(run.method):
            return None
        return row if {*run.parts()} <= {*row["parts"]} else None

    def add(self, run: Run, figures: Mapping[str, Any]) -> Row:
        """Add a run's row, in place of an earlier one; figures that are no number are left out."""
        numbers = {name: each for name, each in figures.items() if each == each}  # not NaN
        row = numbers | run.identity() | {"code": code(run.method), "parts": run.parts()}
        self.rows = [*(each for each in self.rows if not _is_of(each, run)), row]
        if self._path is not None:
            beside = self._path.with_name(f"{self._path.name}.part")
            beside.write_text(json.dumps(self.rows, indent=1), "utf-8")
            beside.replace(self._path)  # whole or not at all
        return row


def _is_of(row: Row, run: Run) -> bool:
    return all(row.get(name) == value for name, value in run.identity().items())
