"""What the pipeline file decides by at this moment, which a run need not have judged by yet."""

from __future__ import annotations

from math import isclose
from typing import TYPE_CHECKING

from lfvpipe import report
from lfvpipe.cli.usage import UsageError
from lfvpipe.decision import Decision

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lfvpipe.cli.variants import Variant
    from lfvpipe.report.policies import Choice, Judged
    from lfvpipe.report.records import Verdict
    from lfvpipe.steps.evaluate.outcome import EvaluateOutcome

_ALIKE = 1e-9  # between a score and the same one as a file of verdicts has it


def decide_now(variant: Variant, found: EvaluateOutcome | None) -> Choice:
    """Return the decision that the pipeline file comes to by what a run knows of the model.

    Args:
        variant: Whose.
        found: Of the run that judged with the model; None where none has.

    Raises:
        UsageError: What the run knew of training images is gone, and is needed.
    """
    spec = variant.pipeline.evaluate
    goes_by_training = spec.decide is not None and spec.decide.threshold is None
    known = goes_by_training and found is not None
    judged = judged_in_training(variant.context.state_dir, found) if known and found else []
    half = found.calibrated_at_half if found else None
    return report.policies.decide(spec.decide, spec.to_person, judged, half)


def is_by_run(choice: Choice, found: EvaluateOutcome | None) -> bool:
    """Tell whether a run decided as this does."""
    stood = found.decision.decision if found and found.decision else Decision()
    now = choice.decision
    band = (now.above, now.below) == (stood.above, stood.below)
    return band and isclose(now.threshold, stood.threshold, rel_tol=_ALIKE, abs_tol=_ALIKE)


def judged_in_training(state_dir: Path, found: EvaluateOutcome) -> Sequence[Judged]:
    """Return what is known of the training images, as decisions are made by it.

    Raises:
        UsageError: The file of it is gone.
    """
    return [
        report.policies.Judged(each.score, each.label == "anomaly")
        for each in training_verdicts(state_dir, found)
    ]


def training_verdicts(state_dir: Path, found: EvaluateOutcome) -> Sequence[Verdict]:
    """Return what models said of training images that they had not learnt from.

    Raises:
        UsageError: The file of it is gone.
    """
    return verdicts_of(state_dir, found.training.path) if found.training else []


def verdicts_of(state_dir: Path, path: str) -> Sequence[Verdict]:
    """Return the verdicts of a file.

    Raises:
        UsageError: It is gone.
    """
    file = state_dir / path
    if not file.is_file():
        raise UsageError(f"{file} is gone.", hint="`lfvpipe run` makes it again.")
    return list(report.verdict_file.read_verdicts(file))
