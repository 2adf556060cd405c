"""What a model version said of its test images, as its page shows it."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Final

from lfvpipe import manifest
from lfvpipe.console.wording import say
from lfvpipe.decision import Decision
from lfvpipe.lookout.tags import DECISION
from lfvpipe.report import metrics
from lfvpipe.report.figures import figures_of
from lfvpipe.report.masks import TypeFigures
from lfvpipe.report.records import Verdict, wrong_first

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lfvpipe.report.figures import Figures
    from lfvpipe.service.versions import ModelVersions

SHOWS: Final = ("", "wrong", "missed", "alarm", "right")
"""What of the test images can be shown; "" for all."""
_NO_DOUBT = 0.0  # the confidence under which the page would ask for a look: it has no such bound


@dataclass(frozen=True)
class Evaluation:
    """The verdicts on a version's test images.

    Attributes:
        verdicts: By the decision, in the order of the EvaluationManifest; ids are addresses.
        decision: What turns scores into verdicts.
        masks: How well predicted masks are, by type; empty for a model that draws none.
    """

    verdicts: tuple[Verdict, ...]
    decision: Decision
    masks: tuple[TypeFigures, ...] = ()

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The number of each image, by its address: what pages call it."""
        return {verdict.id: number for number, verdict in enumerate(self.verdicts)}

    @cached_property
    def figures(self) -> Figures:
        """Metrics, charts and what the slider works on."""
        return figures_of(
            self.verdicts,
            metrics.score_set(self.verdicts),
            name="test",
            title=say("models.evaluation"),
            description="",
            costs=(1.0, 1.0),
            decided=self.decision.threshold,
            masks=self.masks,
            masks_of=say("models.masks_of"),
        )

    def select(self, show: str) -> Sequence[tuple[int, Verdict]]:
        """Return images with their numbers, the wrong ones first.

        Args:
            show: One of `SHOWS`; any other text stands for all.
        """
        return [
            (self.places[verdict.id], verdict)
            for verdict in wrong_first(self.verdicts)
            if _is_shown(verdict, show)
        ]


def find_evaluation(
    versions: ModelVersions, project: str, version: str, tags: Mapping[str, str]
) -> Evaluation | None:
    """Return what a version said of its test images; None where its files are gone, or not there.

    Args:
        versions: Those of the region.
        project: Whose version it is.
        version: Which one.
        tags: Its tags; one of them may hold the decision.

    Raises:
        Fault: ResourceNotFoundException.
    """
    text = versions.evaluation(project, version)
    if text is None:
        return None
    result = versions.evaluation(project, version, "EvaluationResult") or "{}"
    return _read(text, result, tags.get(DECISION, ""))


@lru_cache(maxsize=8)
def _read(text: str, result: str, decided: str) -> Evaluation:
    try:
        decision = Decision.from_text(decided) if decided else Decision()
    except ValueError:  # DetectAnomalies refuses such a tag; the figures are the model's own
        decision = Decision()
    verdicts = tuple(each.decided(decision, _NO_DOUBT) for each in read_verdicts(text))
    shown = Counter(name for verdict in verdicts for name in verdict.types)
    return Evaluation(verdicts, decision, tuple(_masks(result, shown)))


@dataclass(frozen=True)
class TrueMask:
    """Where the anomaly of a test image is: the mask's address, and its colours by type."""

    source: str
    classes: Mapping[str, str]


@lru_cache(maxsize=8)
def read_masks(text: str) -> Mapping[str, TrueMask]:
    """Return the true masks of an EvaluationManifest, by their images' addresses."""
    found = {}
    for line in text.splitlines():
        with suppress(manifest.LineError):
            entry = manifest.service_entry(line, longest=len(line) + 1)
            if entry.mask is not None:
                found[entry.source] = TrueMask(entry.mask, entry.mask_classes)
    return found


@lru_cache(maxsize=8)
def read_verdicts(text: str) -> tuple[Verdict, ...]:
    """Return the model's own verdicts, of the lines of an EvaluationManifest that have one."""
    return tuple(_verdicts(text))


def _verdicts(text: str) -> Iterator[Verdict]:
    for line in text.splitlines():
        try:
            row = manifest.read_evaluation_line(line)
            entry = manifest.service_entry(line, longest=len(line) + 1)
        except manifest.LineError:
            continue
        if row is not None:
            types = (entry.given.type,) if entry.given.type else tuple(entry.mask_classes)
            yield Verdict(
                id=row.image,
                name=row.image.split("/", 3)[-1],
                label=row.label,
                is_anomalous=row.detection.is_anomalous,
                confidence=row.detection.confidence,
                types=types if row.label == "anomaly" else (),
            )


def _masks(result: str, shown: Mapping[str, int]) -> Iterator[TypeFigures]:
    """Yield the figures of masks that an EvaluationResult has, with how many images show a type."""
    try:
        rows = json.loads(result)["AggregatedEvaluationResults"]["Metrics"]
        found = rows["PixelAnomalyClassMetrics"]
        for row in found:
            told = (_number(row.get(key)) for key in ("F1Score", "AIOU", "Precision", "Recall"))
            name = str(row["ClassName"])
            yield TypeFigures(name, shown.get(name), *told)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _is_shown(verdict: Verdict, show: str) -> bool:
    match show:
        case "wrong":
            return verdict.correct is False
        case "missed":
            return verdict.correct is False and not verdict.is_anomalous
        case "alarm":
            return verdict.correct is False and verdict.is_anomalous
        case "right":
            return verdict.correct is True
        case _:
            return True
