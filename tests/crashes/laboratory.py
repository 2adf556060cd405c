"""What tests of a process that dies at each of its points share."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from tests.crashes.points import POWER_ALONE, Point
from tests.crashes.zygote import Errand
from tests.workshop import environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_TIMES = ("creation-date", "EvaluationEndTimestamp")
_OF_ATTEMPTS = ("at", "attempts", "deaths", "created", "updated", "evaluated", "answer")
# What was asked, by the hour on the clock: whoever dies with an answer asks again, and is counted.
_COUNTED = "judged"
_BESIDE = ("locks", "logs", "pace.json")  # the last are times


@dataclass
class Bench:
    """A state folder that is put back as it was before each trial.

    Attributes:
        folder: Holds ``state``, which has the service's folder and the buckets.
        aside: Holds what the state was at first, and what is noted.
        zygote: Runs the program in forks.
        program: The module whose `main` is run.
    """

    folder: Path
    aside: Path
    zygote: subprocess.Popen[str]
    program: str

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def said(self) -> str:
        return (self.aside / "said").read_text(errors="replace")

    def keep(self) -> None:
        """Note the state as what each trial begins with."""
        shutil.copytree(self.state, self.aside / "first")

    def restore(self) -> None:
        """Bring the state back to what `keep` noted, and forget all notes."""
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.copytree(self.aside / "first", self.state)
        (self.aside / "notes").unlink(missing_ok=True)

    def run(self, *words: str, at: Point | None = None, power: bool = False) -> int:
        """Run the program; return its exit code, -9 where it died, by a power cut or a kill."""
        log, shadow = self.aside / "points", self.aside / "shadow"
        log.unlink(missing_ok=True)
        shutil.rmtree(shadow, ignore_errors=True)
        shadow.mkdir()
        errand = Errand(
            (*words, str(self.aside / "notes")),
            str(self.folder),
            str(log),
            str(self.aside / "said"),
            at.label if at else None,
            at.number if at else 0,
            str(shadow) if power else None,
            program=self.program,
            root="state",
            most_waiting=1_000_000,
        )
        assert self.zygote.stdin is not None
        assert self.zygote.stdout is not None
        self.zygote.stdin.write(errand.as_line())
        self.zygote.stdin.flush()
        return int(self.zygote.stdout.readline())

    def points(self) -> list[Point]:
        """Return the points that the last run passed."""
        lines = (self.aside / "points").read_text().splitlines()
        return [Point(label, int(number)) for number, _, label in map(_parts, lines)]

    def notes(self) -> Counter[str]:
        """Return what was noted since `restore`, and how often."""
        file = self.aside / "notes"
        return Counter(file.read_text().splitlines() if file.is_file() else ())

    def left(self) -> dict[str, Any]:
        """Return all that has to be the same however often the program was killed."""
        return {"rows": _rows(self.state / "service"), "files": dict(_files(self.state))}


def _parts(line: str) -> tuple[str, str, str]:
    return line.partition(" ")


def open_bench(
    folder: Path, aside: Path, program: str, site: Path | None = None
) -> Iterator[Bench]:
    """Yield a bench whose zygote ends with it, and finds what is installed in `site`."""
    command = [sys.executable, "-m", "tests.crashes.zygote"]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    env = {**environment(), "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    if site is not None:
        env["PYTHONPATH"] += f"{os.pathsep}{site}"
    with subprocess.Popen(command, env=env, text=True, **pipes) as zygote:
        yield Bench(folder, aside, zygote, program)
        assert zygote.stdin is not None
        zygote.stdin.close()


def deaths(points: Sequence[Point], every: int) -> list[tuple[Point, bool]]:
    """Return each so many-th point, and whether the power fails there rather than a kill comes.

    Which, ``LFVPIPE_CRASH_FROM`` says; and ``LFVPIPE_CRASH_BY``, ``kill`` or ``power``, what is
    tried at all of them, in place of one after the other.
    """
    by = os.environ.get("LFVPIPE_CRASH_BY")
    if by != "power":
        points = [point for point in points if not point.label.startswith(POWER_ALONE)]
    found = points[told_by("LFVPIPE_CRASH_FROM", every // 2) % every :: every]
    return [
        (point, number % 2 == 1 if by is None else by == "power")
        for number, point in enumerate(found)
    ]


def photograph(path: Path, seed: int, *, defect: bool) -> None:
    """Write a small image as the detector expects it."""
    pixels = np.random.default_rng(seed).normal(140, 18, (64, 64))
    if defect:
        pixels[20:44, 20:44] -= 90
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert("RGB").save(path)


def entry(key: str, label: str) -> str:
    """Return a manifest's line."""
    metadata = {
        "class-name": label,
        "human-annotated": "yes",
        "type": "groundtruth/image-classification",
    }
    line = {"source-ref": f"s3://bucket/{key}", "anomaly-label": 0}
    return json.dumps(line | {"anomaly-label-metadata": metadata}) + "\n"


def _rows(folder: Path) -> dict[str, Any]:
    """Return the tables' rows, without times and the number of attempts."""
    with closing(sqlite3.connect(folder / "service.db")) as database:
        database.row_factory = sqlite3.Row
        listed = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = [name for (name,) in listed if not name.startswith(("sqlite", _COUNTED))]
        return {
            table: [
                {name: value for name, value in dict(row).items() if name not in _OF_ATTEMPTS}
                for row in database.execute(f"SELECT * FROM {table}")
            ]
            for table in tables
        }


def _files(state: Path) -> Iterator[tuple[str, str]]:
    """Yield each file's name and digest, times apart."""
    for path in sorted(state.rglob("*")):
        name = path.relative_to(state).as_posix()
        if not path.is_file() or "service.db" in name or {*path.parts} & {*_BESIDE}:
            continue
        data = path.read_bytes()
        if path.suffix == ".json":
            data = "\n".join(map(_without_times, _documents(data.decode()))).encode()
        yield name, hashlib.sha256(data).hexdigest()


def _documents(text: str) -> list[str]:
    lines = text.splitlines()
    return lines if lines and lines[0].endswith("}") else [text]


def _without_times(text: str) -> str:
    def hidden(found: dict[str, Any]) -> dict[str, Any]:
        return {name: each for name, each in found.items() if name not in _TIMES}

    return json.dumps(json.loads(text, object_hook=hidden))


def told_by(name: str, usual: int) -> int:
    """Return what an environment variable says, or what is usual."""
    return int(os.environ.get(name, str(usual)))
