"""Results as a table: the median and the range over the seeds."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

COLUMNS = ("auroc", "ap", "f1", "brier", "pixel_auroc", "aupro", "iou")
CALLS = ("false_positives", "recall")
COSTS = ("train_s", "train_cpu_s", "ms", "peak_mb")
LINE = ("set", "method", "anomalies")  # what a line is about; the last: learnt from


def table(results: Sequence[dict[str, Any]]) -> str:
    """Return the median and the range of every figure, a line a set, method and anomalies."""
    out = io.StringIO()
    columns = [*COLUMNS, *CALLS, *COSTS]
    out.write(f"| {' | '.join([*LINE, *columns])} | heads: AUROC (weight); failures |\n")
    out.write("|---" * (len(LINE) + len(columns) + 1) + "|\n")
    for key in dict.fromkeys(tuple(each[part] for part in LINE) for each in results):
        rows = [each for each in results if tuple(each[part] for part in LINE) == key]
        cells = [*map(str, key), *(summary([r.get(column) for r in rows]) for column in columns)]
        out.write(f"| {' | '.join(cells)} | {', '.join([*heads(rows), *failures(rows)])} |\n")
    return out.getvalue()


def heads(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the median AUROC and weight of each score in the blend, and in how many runs."""
    named = [each.removeprefix("w_") for row in rows for each in row if each.startswith("w_")]
    result = []
    for name in dict.fromkeys(named):
        having = [row for row in rows if name in row]
        area, weight = (np.median([row[f"{p}{name}"] for row in having]) for p in ("", "w_"))
        result.append(f"{name} {area:.3f} ({weight:.2f}, {len(having)} of {len(rows)})")
    return result


def failures(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return how many of these runs failed, and why, once for every reason."""
    reasons = [row["failed"] for row in rows if "failed" in row]
    return [
        f"failed {reasons.count(each)} of {len(rows)}: {each.replace('|', '/')}"
        for each in dict.fromkeys(reasons)
    ]


def summary(values: Sequence[float | None]) -> str:
    """Return the median, and the smallest and largest, with as many digits as matter."""
    known = [each for each in values if each is not None]
    if not known:
        return ""
    digits = 3 if max(known) <= 1 else 0
    low, middle, high = (f"{f(known):.{digits}f}" for f in (np.min, np.median, np.max))
    return f"{middle} ({low}-{high})" if len(known) > 1 else middle
