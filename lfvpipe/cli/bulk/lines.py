"""A verdict as a line of JSON, and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lfvpipe.cli.verdicts import ImageVerdict
from lfvpipe.damage import parse_json

if TYPE_CHECKING:
    from lfvpipe.cli.judge import Judge


def line_of(verdict: ImageVerdict, judge: Judge) -> bytes:
    """Return a verdict as a line; `lfvpipe/docs/many-images.md` says what its keys mean."""
    said = {
        "image": verdict.image,
        "verdict": verdict.word,
        "is_anomalous": verdict.is_anomalous,
        "confidence": verdict.confidence,
        "score": verdict.score,
        "threshold": judge.decision.threshold,
        "model": judge.model,
        "needs_review": verdict.needs_review,
        "anomalies": [{"name": name, "area": area} for name, area in verdict.anomalies],
        "error": verdict.error or None,
        "heat_map": verdict.heat_map,
        "note": verdict.note or None,
        "unlikeness": verdict.unlikeness,
    }
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


def verdict_of(line: bytes) -> ImageVerdict:
    """Return the verdict that a line says.

    Raises:
        ValueError: It is no such line.
    """
    said = parse_json(line)
    try:
        return ImageVerdict(
            said["image"],
            said["is_anomalous"],
            said["confidence"],
            needs_review=said["needs_review"],
            anomalies=tuple((each["name"], each["area"]) for each in said["anomalies"]),
            error=said["error"] or "",
            heat_map=said["heat_map"],
            note=said["note"] or "",
            unlikeness=said["unlikeness"],
            to_person=said["verdict"] == "person",
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no line of a verdict: {error!r}") from error
