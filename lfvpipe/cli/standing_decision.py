"""What the pipeline file decides by at this moment, which a run need not have judged by yet."""

from __future__ import annotations

from contextlib import suppress
from math import isclose
from typing import TYPE_CHECKING

from lfvpipe import report
from lfvpipe.cli.usage import UsageError
from lfvpipe.decision import Decision
from lfvpipe.errors import UserError
from lfvpipe.steps.evaluate.outcome import EvaluateOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lfvpipe.cli.variants import Variant
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.report.policies import Choice, Judged
    from lfvpipe.report.records import RunRecord, Verdict

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


def is_by_run(choice: Choice, found: EvaluateOutcome | RunRecord | None) -> bool:
    """Tell whether a run decided as this does."""
    stood = (found.decision if found else None) or Decision()
    now = choice.decision
    band = (now.above, now.below) == (stood.above, stood.below)
    return band and isclose(now.threshold, stood.threshold, rel_tol=_ALIKE, abs_tol=_ALIKE)


def has_judged(variant: Variant, ledger: Ledger, choice: Choice, model: str) -> bool:
    """Tell whether any run that is known of decided so on a model's scores.

    Args:
        variant: Whose.
        ledger: Its ledger; of what is pruned from it, the files of runs still tell.
        choice: The decision.
        model: The model's ARN.
    """
    for record in ledger.records(EvaluateOutcome.step):
        for outcome in record.outcomes:
            with suppress(UserError):  # of a version that nobody can read any more
                found = EvaluateOutcome.from_json(outcome.facts)
                if found.model == model and is_by_run(choice, found):
                    return True
    state_dir = variant.context.state_dir
    for run_id in report.run_file.run_ids(state_dir):
        with suppress(UserError):
            path = report.run_file.path_of(state_dir, run_id)
            run = report.run_file.load(path, with_verdicts=False)
            if run.model.get("arn") == model and is_by_run(choice, run):
                return True
    return False


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
