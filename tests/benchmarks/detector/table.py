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
    """Return the median AUROC of each head that these runs tell of, and its weight."""
    names = [name.removeprefix("w_") for name in rows[0] if name.startswith("w_")]
    return [
        f"{name} {np.median([row[name] for row in rows]):.3f} "
        f"({np.median([row[f'w_{name}'] for row in rows]):.2f})"
        for name in names
    ]


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
