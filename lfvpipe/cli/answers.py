"""What `lfvpipe detect` says of an image, as text, CSV and JSON."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lfvpipe.cli import output

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True)
class Answer:
    """What is said of one image.

    Attributes:
        image: The file, as the user named it.
        is_anomalous: The verdict; None where there is none.
        confidence: In the verdict, 0.5 to 1.
        needs_review: The confidence is under the pipeline's `evaluate.review_below`.
        anomalies: Types of anomaly with the part of the image (0 to 1) that each covers.
        error: Why there is no verdict.
        heat_map: The picture of where the model sees evidence; None where none was written.
    """

    image: str
    is_anomalous: bool | None = None
    confidence: float | None = None
    needs_review: bool = False
    anomalies: tuple[tuple[str, float], ...] = ()
    error: str = ""
    heat_map: str | None = None

    @property
    def verdict(self) -> str:
        """``normal``, ``anomaly`` or ``error``."""
        if self.is_anomalous is None:
            return "error"
        return "anomaly" if self.is_anomalous else "normal"


def printed(answers: Iterable[Answer], *, as_json: bool, as_csv: bool) -> list[Answer]:
    """Print the answers in the form that was asked for, as they come where that is possible."""
    if as_json:
        kept = list(answers)
        output.print_json({"images": [_json(answer) for answer in kept]})
        return kept
    kept = []
    write = _csv_writer() if as_csv else _print
    for answer in answers:
        kept.append(answer)
        write(answer)
    return kept


def _print(answer: Answer) -> None:
    if answer.error:
        line = f"{answer.verdict:<8} {'':5} {'':8}  {answer.image}: {answer.error}"
        print(output.styled(line, "red"))
        return
    types = ", ".join(f"{name} {part:.1%}" for name, part in answer.anomalies)
    doubt = "doubtful" if answer.needs_review else ""
    line = f"{answer.verdict:<8} {answer.confidence:.3f} {doubt:<8}  {answer.image}  {types}"
    print(output.styled(line.rstrip(), "yellow") if answer.is_anomalous else line.rstrip())


def _csv_writer() -> Callable[[Answer], None]:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["image", "verdict", "confidence", "needs_review", "error"])

    def write(answer: Answer) -> None:
        sure = "" if answer.confidence is None else f"{answer.confidence:.4f}"
        review = str(answer.needs_review).lower()
        writer.writerow([answer.image, answer.verdict, sure, review, answer.error])

    return write


def _json(answer: Answer) -> dict[str, Any]:
    """Return an answer as JSON; the keys are those of `Answer`, and `verdict`."""
    return {
        "image": answer.image,
        "verdict": answer.verdict,
        "is_anomalous": answer.is_anomalous,
        "confidence": answer.confidence,
        "needs_review": answer.needs_review,
        "anomalies": [{"name": name, "area": area} for name, area in answer.anomalies],
        "error": answer.error or None,
        "heat_map": answer.heat_map,
    }
