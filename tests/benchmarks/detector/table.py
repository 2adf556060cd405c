"""Results as Markdown tables: the median and the range over splits and seeds.

    PYTHONPATH=. python tests/benchmarks/detector/table.py FILE.json [LATER.json]

prints the tables of a file that measure.py has written. With two, such as of before and after a
change, methods are named with their file, and the later detector is held against all else.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

COSTS = ("train_s", "train_cpu_s", "ms", "peak_mb")
LINE = ("set", "method", "masks", "normals", "anomalies")  # what tells lines apart
LABEL = ("set", "method", "normal + anomalous learnt from")
SAME_SPLIT = ("set", "split", "seed", "anomalies")  # what two methods are compared on
DISTURBANCES = ("turn", "shift", "brightness", "blur", "jpeg", "noise")
EQUAL = 0.0005  # a difference of AUROC that three digits do not show
Row = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """A table: its heading and its columns, as (figure, what it is called)."""

    heading: str
    columns: tuple[tuple[str, str], ...]


TABLES = (
    Table(
        "Verdicts",
        (
            ("auroc", "AUROC"),
            ("ap", "average precision"),
            ("f1", "F1"),
            ("best_f1", "best F1 possible"),
            ("recall", "recall"),
            ("false_positives", "false alarms"),
            ("brier", "Brier"),
            ("calibration_error", "calibration error"),
        ),
    ),
    Table(
        "Honesty: what a method reports of itself, and the test",
        (
            ("reported_auroc", "AUROC, reported"),
            ("auroc", "AUROC, test"),
            ("auroc_gap", "reported less test"),
            ("reported_false_positives", "false alarms, reported"),
            ("false_positives", "false alarms, test"),
            ("false_positives_within", "share of runs within the reported rate's 95 % interval"),
        ),
    ),
    Table(
        "Cost",
        (
            ("train_s", "training, s"),
            ("train_cpu_s", "training, CPU s"),
            ("ms", "ms an image, one thread"),
            ("peak_mb", "peak MB"),
        ),
    ),
    Table(
        "Heat maps",
        (
            ("pixel_auroc", "pixel AUROC"),
            ("pixel_auroc_within", "the same, each anomaly on its own"),
            ("aupro", "AUPRO"),
            ("pointing", "pointing game"),
            ("pointing_chance", "pointing by chance"),
            ("marked", "anomalies with a mask"),
            ("unmarked", "without"),
            ("iou", "IoU of drawn masks"),
        ),
    ),
    Table("Flipped verdicts", tuple((f"flips_{each}", each) for each in DISTURBANCES)),
    Table(
        "AUROC under disturbances",
        (("auroc", "none"), *((f"auroc_{each}", each) for each in DISTURBANCES)),
    ),
)
# A table is printed where one of these was measured; others stand in every row.
TELLING = (
    *("f1", "reported_auroc", "reported_false_positives", "ms", "aupro", "iou"),
    *("flips_turn", "auroc_turn"),
)


def tables(rows: Sequence[Row], ours: str = "lfvpipe") -> str:
    """Return every table of the rows, real sets before generated ones.

    Args:
        rows: Of any sets and methods.
        ours: The method that the others are held against.
    """
    parts = []
    for generated, heading in ((False, "Real"), (True, "Generated")):
        own = [each for each in rows if each["generated"] is generated]
        if own:
            parts += [f"## {heading}", *_sections(own, ours)]
    return "\n\n".join(parts) + "\n"


def _sections(rows: Sequence[Row], ours: str) -> Iterator[str]:
    for table in TABLES:
        names = [name for name, _ in table.columns]
        if any(name in row for row in rows for name in names if name in TELLING):
            yield f"### {table.heading}\n\n{lines(rows, table)}"
    if any("failed" in row for row in rows):
        yield f"### Failures\n\n{failures(rows)}"
    if len({row["method"] for row in rows}) > 1:
        yield f"### {ours} against each other method, run by run (AUROC)\n\n{duels(rows, ours)}"
    if len({(row["set"], row["anomalies"]) for row in rows}) > len({row["set"] for row in rows}):
        yield f"### AUROC by the number of anomalies learnt from\n\n{curve(rows)}"
    if len({row["seed"] for row in rows}) > 1:
        yield f"### AUROC over training seeds\n\n{seeds(rows)}"


def lines(rows: Sequence[Row], table: Table) -> str:
    """Return a line for each set, method and number learnt from, and the mean of a method's sets.

    Medians, with the smallest and the largest of the runs.
    """
    figures = [name for name, _ in table.columns]
    result = [*_head([*LABEL, "runs", *(called for _, called in table.columns)])]
    medians: dict[str, dict[str, list[float]]] = {}
    for own in _grouped(rows, LINE):
        done = [each for each in own if "failed" not in each]
        if not any(name in each for each in done for name in figures):
            continue
        cells = [summary([each[name] for each in done if name in each]) for name in figures]
        result.append(_row([*_label(own[0]), str(len(done)), *cells]))
        for name in figures:
            known = [each[name] for each in done if name in each]
            if known:
                of_method = medians.setdefault(_method(own[0]), {})
                of_method.setdefault(name, []).append(float(np.median(known)))
    lines_of_a_set = Counter((own[0]["set"], _method(own[0])) for own in _grouped(rows, LINE))
    if len({row["set"] for row in rows}) > 1 and {*lines_of_a_set.values()} == {1}:
        for method, found in medians.items():
            means = [_digits(float(np.mean(found[n]))) if n in found else "" for n in figures]
            result.append(_row(["mean of the sets", method, "", "", *means]))
    return "\n".join(result)


def failures(rows: Sequence[Row]) -> str:
    """Return how many runs of a line failed, and why, once for every reason."""
    result = [*_head([*LABEL, "failures"])]
    for own in _grouped(rows, LINE):
        reasons = [each["failed"] for each in own if "failed" in each]
        for reason in dict.fromkeys(reasons):
            text = f"{reasons.count(reason)} of {len(own)}: {reason.replace('|', '/')}"
            result.append(_row([*_label(own[0]), " ".join(text.split())]))
    return "\n".join(result)


def duels(rows: Sequence[Row], ours: str) -> str:
    """Return how often the method `ours` is ahead of each other one on the same split."""
    done = [each for each in rows if "auroc" in each and not each["masks"]]
    held = {_key(row, SAME_SPLIT): row["auroc"] for row in done if row["method"] == ours}
    result = [*_head(["method", "runs", "ahead", "equal", "behind", "median difference"])]
    for own in _grouped([row for row in done if row["method"] != ours], ("method",)):
        both = [row for row in own if _key(row, SAME_SPLIT) in held]
        if both:
            gaps = np.array([held[_key(row, SAME_SPLIT)] - row["auroc"] for row in both])
            counts = ((gaps > EQUAL).sum(), (np.abs(gaps) <= EQUAL).sum(), (gaps < -EQUAL).sum())
            cells = [str(len(gaps)), *map(str, counts), f"{np.median(gaps):+.4f}"]
            result.append(_row([_method(own[0]), *cells]))
    return "\n".join(result)


def curve(rows: Sequence[Row]) -> str:
    """Return the median AUROC by the number of anomalies learnt from; ↓ where more made it less."""
    counts = sorted({row["anomalies"] for row in rows})
    result = [*_head(["set", "method", *map(str, counts)])]
    for own in _grouped(rows, ("set", "method", "masks")):
        cells, before = [], 0.0
        for count in counts:
            known = [r["auroc"] for r in own if r["anomalies"] == count and "auroc" in r]
            middle = float(np.median(known)) if known else float("nan")
            worse = middle < before - EQUAL
            cells.append(f"{summary(known)}{' ↓' if worse else ''}" if known else "")
            before = before if middle != middle else max(before, middle)
        result.append(_row([own[0]["set"], _method(own[0]), *cells]))
    return "\n".join(result)


def seeds(rows: Sequence[Row]) -> str:
    """Return how far apart the AUROC of different training seeds on the same split is."""
    result = [*_head([*LABEL, "splits", "largest less smallest"])]
    for own in _grouped([row for row in rows if "auroc" in row], LINE):
        ranges = []
        for same in _grouped(own, ("split",)):
            areas = [each["auroc"] for each in same]
            if len(areas) > 1:
                ranges.append(max(areas) - min(areas))
        if ranges:
            result.append(_row([*_label(own[0]), str(len(ranges)), summary(ranges)]))
    return "\n".join(result)


def summary(values: Sequence[float]) -> str:
    """Return the median, and the smallest and largest, with as many digits as matter."""
    if not values:
        return ""
    low, middle, high = (float(f(values)) for f in (np.min, np.median, np.max))
    if len(values) == 1 or _digits(low) == _digits(high):
        return _digits(middle)
    return f"{_digits(middle)} ({_digits(low)} to {_digits(high)})"


def _digits(value: float) -> str:
    return f"{value:.3f}" if abs(value) <= 1 else f"{value:.0f}"


def _head(cells: Sequence[str]) -> tuple[str, str]:
    return _row(cells), "|---" * len(cells) + "|"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _key(row: Row, parts: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[part] for part in parts)


def _grouped(rows: Sequence[Row], parts: Sequence[str]) -> list[list[Row]]:
    """Return the rows that have these parts in common, group by group."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(_key(row, parts), []).append(row)
    return list(found.values())


def _label(row: Row) -> list[str]:
    return [row["set"], _method(row), f"{row['normals']} + {row['anomalies']}"]


def _method(row: Row) -> str:
    return f"{row['method']}, with masks" if row["masks"] else str(row["method"])


def main() -> None:
    """Print the tables of the files that the command line names."""
    files = [Path(each) for each in sys.argv[1:]]
    if not files:
        raise SystemExit(__doc__)
    rows: list[Row] = []
    for file in files:
        named = f" ({file.stem})" if len(files) > 1 else ""
        rows += [
            each | {"method": each["method"] + named}
            for each in json.loads(file.read_text("utf-8"))
        ]
    print(tables(rows, f"lfvpipe{named}"), end="")


if __name__ == "__main__":
    main()
