"""A run to show: forty test images, four evaluation images, one of them wrong."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lfvpipe.report import metrics
from lfvpipe.report.records import Finding, RunRecord, Timing, Verdict
from lfvpipe.report.verdict_file import write_verdicts

MakeRun = Callable[..., RunRecord]


def _verdicts() -> dict[str, list[Verdict]]:
    test = [
        Verdict(f"{label}/{n}.png", f"{n}.png", label, label == "anomaly", 0.6 + n / 100)
        for label in ("normal", "anomaly")
        for n in range(20)
    ]
    evaluation = [
        Verdict("normal/Class3/100.png", "Class3/100.png", "normal", False, 0.958),
        Verdict("normal/Class3/117.png", "Class3/117.png", "normal", False, 0.593, True),
        Verdict("anomaly/Class3_def/100.png", "Class3_def/100.png", "anomaly", False, 0.554, True),
        Verdict("anomaly/Class3_def/117.png", "Class3_def/117.png", "anomaly", True, 0.959),
    ]
    return {"test": test, "evaluation": evaluation}


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Return a maker of a run under `tmp_path`, with the fields that a test wants different."""

    def make(**fields: object) -> RunRecord:
        verdicts = _verdicts()
        run = RunRecord(
            id="20210406T191844Z-0123abcd",
            created="2021-04-06T19:18:44Z",
            name="dagm-class3",
            fingerprint="0123abcd" * 8,
            config={"sample.percent": 40, "split.train": 80},
            versions={"lfvpipe": "0.1.0", "python": "3.11.7", "service": "embedded"},
            model={"project": "dagm", "version": "1", "f1": 0.9},
            data={"train": {"normal": 320, "anomaly": 48}, "test": {"normal": 80, "anomaly": 12}},
            scores={name: metrics.score_set(rows) for name, rows in verdicts.items()},
            verdict_files={
                name: write_verdicts(tmp_path, f"verdicts/{name}.jsonl", rows)
                for name, rows in verdicts.items()
            },
            review=("anomaly/Class3_def/100.png", "normal/Class3/117.png"),
            findings=(Finding("warning", "the same image is in train and test", ("a", "b")),),
            timings=(Timing("model", "created", 75.25), Timing("upload", "updated", 3.5)),
            verdicts={name: tuple(rows) for name, rows in verdicts.items()},
        )
        return replace(run, **fields)  # type: ignore[arg-type]  # a test names fields freely

    return make
