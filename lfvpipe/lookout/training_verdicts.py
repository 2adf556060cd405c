"""What a training said of its own images before it had learnt from them: lfvpipe's own file.

EvaluationResult has a documented form, so that this lies beside it, under a name of its own that
no answer names and AWS never wrote: JSON Lines, one for each training image.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

NAME: Final = "TrainingVerdicts"
_MANIFEST: Final = "EvaluationManifest"


@dataclass(frozen=True)
class TrainingVerdict:
    """What models that had not learnt from an image said of it.

    Attributes:
        source: The image's address.
        label: ``normal`` or ``anomaly``, as it was learnt.
        probability: Of its being anomalous, 0 to 1; from 0.5 on the model calls it so.
        calibrated: The same as it was before the threshold was moved to 0.5: a probability in
            earnest. None where the detector does not tell, and in files of earlier versions.
    """

    source: str
    label: str
    probability: float
    calibrated: float | None = None


def key_beside(evaluation_manifest: str) -> str:
    """Return the key of the file beside an EvaluationManifest, by that one's key."""
    folder, _, tail = evaluation_manifest.rpartition(_MANIFEST)
    return f"{folder}{NAME}{tail}"


def write_lines(verdicts: tuple[TrainingVerdict, ...]) -> str:
    """Return the content of the file."""
    lines = (
        {
            "source-ref": each.source,
            "label": each.label,
            "anomaly-probability": round(each.probability, 6),
            **(
                {"calibrated-probability": round(each.calibrated, 6)}
                if each.calibrated is not None
                else {}
            ),
        }
        for each in verdicts
    )
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def read_lines(data: bytes) -> tuple[TrainingVerdict, ...]:
    """Return what the file holds.

    Raises:
        ValueError: A line is damaged.
    """
    found = []
    for line in filter(None, map(bytes.strip, data.splitlines())):
        try:
            read = json.loads(line)
            source, label = read["source-ref"], read["label"]
            probability = float(read["anomaly-probability"])
            told = read.get("calibrated-probability")
            calibrated = None if told is None else float(told)
        except (KeyError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError(str(error)) from error
        if not isinstance(source, str) or label not in ("normal", "anomaly"):
            raise ValueError("a line names no image, or no label")
        if not all(0 <= each <= 1 for each in (probability, calibrated or 0)):
            raise ValueError("a probability is none")
        found.append(TrainingVerdict(source, label, probability, calibrated))
    return tuple(found)
