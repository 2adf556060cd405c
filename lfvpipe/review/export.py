"""What was decided, for other tools: CSV, or a Ground Truth manifest."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from lfvpipe.dataset.index import read_index
from lfvpipe.dataset.labels import label_of, read_decisions, standings
from lfvpipe.manifest import creation_date, write_line
from lfvpipe.steps.manifests import line_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lfvpipe.config.spec import Bucket
    from lfvpipe.dataset.index import Image
    from lfvpipe.dataset.labels import Decision, Standing

COLUMNS = ("name", "source", "label", "was", "who", "when", "conflict", "sha256", "mask")
_RISKY = ("=", "+", "-", "@", "\t", "\r")


def as_csv(labels: Path) -> str:
    """Return a row for each image that is decided about, in the order of the decisions.

    Raises:
        LabelsError: The labels file cannot be used.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for standing in _decided(labels):
        decision = standing.decision
        assert decision is not None
        others = [f"{each.who}: {each.label}" for each in standing.made]
        row = {
            **vars(decision),
            "label": str(decision.label),
            "conflict": "; ".join(others) if standing.is_conflict else "",
        }
        writer.writerow([_harmless(row[column]) for column in COLUMNS])
    return buffer.getvalue()


def as_manifest(labels: Path, index: Path, bucket: Bucket) -> Iterator[str]:
    """Yield a JSON line, without its end, for each image of the index decided normal or anomaly.

    Masks are those of the index: a painted one is among them after the next run.

    Raises:
        LabelsError: The labels file cannot be used.
    """
    decided = {(s.source, s.name): s for each in _decided(labels) if (s := each.decision)}
    root = f"s3://{bucket.name}/{bucket.prefix}"
    for image in read_index(index):
        decision = decided.get((image.source, image.member)) or decided.get((None, image.member))
        label = label_of(decision.label) if decision else None
        if decision is not None and label is not None:
            when = _moment(decision)
            yield write_line(line_of(_labelled(image, label), root, segmentation=True, **when))


def _moment(decision: Decision) -> dict[str, str]:
    """Return when it was decided as `line_of` takes it; nothing where that is not known."""
    from datetime import datetime

    try:
        return {"created": creation_date(datetime.fromisoformat(decision.when))}
    except (ValueError, OverflowError):
        return {}


def _labelled(image: Image, label: str) -> Image:
    from dataclasses import replace

    return replace(image, label="anomaly" if label == "anomaly" else "normal")


def _decided(labels: Path) -> Iterator[Standing]:
    for standing in standings(read_decisions(labels)).values():
        if standing.decision is not None:
            yield standing


def _harmless(value: object) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_RISKY) else text
