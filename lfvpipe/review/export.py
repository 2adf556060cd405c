"""What was decided, for other tools: CSV, or a Ground Truth manifest."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from lfvpipe.dataset.index import read_index
from lfvpipe.dataset.labels import label_of, read_decisions, standings
from lfvpipe.manifest import creation_date, write_line
from lfvpipe.steps.manifests import line_of
from lfvpipe.visible import harmless_cell

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lfvpipe.config.spec import Bucket
    from lfvpipe.dataset.labels import Decision, Standing

COLUMNS = (
    *("name", "source", "label", "was", "who", "when", "conflict", "sha256", "mask"),
    *("type", "comment", "split"),
)


def as_csv(labels: Path) -> str:
    """Return a row for each image that is decided about, in the order of the decisions.

    Raises:
        LabelsError: The labels file cannot be used.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for standing in _standings_of(labels):
        decision = standing.decision
        assert decision is not None
        others = [f"{each.who}: {each.label}" for each in standing.made]
        row = {
            **vars(decision),
            "label": str(decision.label),
            "conflict": "; ".join(others) if standing.is_conflict else "",
        }
        cells = ("" if row[column] is None else str(row[column]) for column in COLUMNS)
        writer.writerow(map(harmless_cell, cells))
    return buffer.getvalue()


def as_manifest(labels: Path, index: Path, bucket: Bucket) -> Iterator[str]:
    """Yield a JSON line, without its end, for each image of the index decided normal or anomaly.

    Masks are those of the index: a painted one is among them after the next run.

    Raises:
        LabelsError: The labels file cannot be used.
    """
    decided = {(s.source, s.name): s for each in _standings_of(labels) if (s := each.decision)}
    root = f"s3://{bucket.name}/{bucket.prefix}"
    for image in read_index(index):
        decision = decided.get((image.source, image.member)) or decided.get((None, image.member))
        label = label_of(decision.label) if decision else None
        if decision is not None and label is not None:
            as_decided = replace(image, label="anomaly" if label == "anomaly" else "normal")
            when = _creation_date(decision)
            yield write_line(line_of(as_decided, root, segmentation=True, **when))


def _creation_date(decision: Decision) -> dict[str, str]:
    """Return when it was decided as `line_of` takes it; nothing where that is not known."""
    try:
        return {"created": creation_date(datetime.fromisoformat(decision.when))}
    except (ValueError, OverflowError):
        return {}


def _standings_of(labels: Path) -> Iterator[Standing]:
    """Yield the images that are decided about; a decision that was taken back is none."""
    for standing in standings(read_decisions(labels)).values():
        if standing.decision is not None:
            yield standing
