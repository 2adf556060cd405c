"""What clients had judged on days gone by, and tests of models that knew it better."""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import TYPE_CHECKING

from lfvpipe.service.state.database import Database
from lfvpipe.service.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .conftest import Offered

DAY = 86400
NOW = time.time()  # one for all, so that no midnight falls between two days of a test


def judge(
    offered: Offered, images: int, anomalies: int, *, days_ago: float = 0.0, score: float = 0.1
) -> None:
    """Count what another process of the same state had version 1 of p judge."""
    then = NOW - days_ago * DAY
    with closing(Database(offered.root / "service" / "service.db")) as database:
        tally = Tally(database, lambda: then)
        for number in range(images):
            bad = number < anomalies
            tally.count("p", 1, score=0.9 if bad else score, is_anomalous=bad)
        tally.write()


def retell_test(offered: Offered, scores: Sequence[float], *, false_alarms: int = 0) -> None:
    """Let version 1 have said other things of its test: scores of normal images."""
    (file,) = (offered.root / "service").glob("models/*/EvaluationManifest.json")
    rows = [json.loads(each) for each in file.read_text("utf-8").splitlines()]
    normal = next(row for row in rows if "normal" in json.dumps(row["source-ref"]))
    detected = next(name for name in normal if name.endswith("-detected"))
    lines = []
    for number, score in enumerate([*scores, *[0.9] * false_alarms]):
        row = json.loads(json.dumps(normal))
        row["source-ref"] = f"s3://bucket/normal/{number}.png"
        row[detected] = int(score >= 0.5)
        about = row[f"{detected}-metadata"]
        about["confidence"] = score if score >= 0.5 else 1 - score
        about["class-name"] = "anomaly" if score >= 0.5 else "normal"
        lines.append(json.dumps(row))
    file.write_text("\n".join(lines), "utf-8")
