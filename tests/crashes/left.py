"""What a run leaves: ledger, bucket, service, report and every file, without times and ids."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.soak.kills import snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.soak.kills import Trial

_RUN = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
_LINEAGE = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|\+00:00)?")
_SECONDS = re.compile(r"[\d.]+(?= ?s\b)")
_MARK = re.compile(r"(?<=-)[0-9a-f]{12}(?=\.json)")  # of a project: of the pipeline's id
_TRAINING = re.compile(r"(?<=training seconds</th><td>)[\d.]+")
_BESIDE = re.compile(r"/verified/[^.]|^service/(?:(?:locks|logs)/|pace\.json$)|-(?:wal|shm)$")
_PASSING = ("id", "created", "timings")  # of a run file


def what_is_left(trial: Trial) -> dict[str, Any]:
    """Return all that has to be the same after a run, however often it was killed."""
    folder = trial.state / "pipeline"
    (run_file,) = folder.glob("runs/*.json")
    run = {k: v for k, v in json.loads(run_file.read_text()).items() if k not in _PASSING}
    run["model"].pop("training_seconds")
    lines = _anonymous((folder / "report.html").read_text()).splitlines()
    lines = [line for line in lines if "<!--timings-->" not in line]  # of the last run alone
    return {
        **snapshot(trial),
        "run": run,
        "page": dict(enumerate(lines, 1)),
        "files": files(trial.state),
    }


def files(state: Path) -> dict[str, int]:
    """Return how many files there are of each name, ids apart.

    Without those that depend on which process did what: notes of what a second run has looked at,
    locks, logs and times of the service, SQLite's own. None of them grows with kills. Nor of
    manifests, which go once the bucket has them: a power cut may bring one back; nobody reads it.
    """
    found = (
        path.relative_to(state).as_posix()
        for path in state.rglob("*")
        if path.is_file() and path.parent.name != "manifests"
    )
    return dict(Counter(_anonymous(name) for name in found if not _BESIDE.search(name)))


def _anonymous(text: str) -> str:
    for pattern in (_RUN, _LINEAGE, _TIME, _SECONDS, _MARK, _TRAINING):
        text = pattern.sub("…", text)
    return text
