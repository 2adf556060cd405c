"""The steps of a pipeline: one module each, or one folder."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.steps import hosting, ownership
    from lfvpipe.steps.advice import advise
    from lfvpipe.steps.context import Context
    from lfvpipe.steps.decisions import tell_decision
    from lfvpipe.steps.intact import VERIFIED
    from lfvpipe.steps.left_by_kills import leftovers, remove_leftovers
    from lfvpipe.steps.mlflow import insist_on_extra
    from lfvpipe.steps.pipeline import families, steps_of
    from lfvpipe.steps.report import ReportOutcome
    from lfvpipe.steps.trainings import (
        Ending,
        Training,
        cancel_training,
        ending_of,
        trainings_under_way,
    )
else:
    __getattr__ = lazy.face(
        __name__,
        {
            "advice": ["advise"],
            "context": ["Context"],
            "decisions": ["tell_decision"],
            "hosting": [],
            "intact": ["VERIFIED"],
            "left_by_kills": ["leftovers", "remove_leftovers"],
            "mlflow": ["insist_on_extra"],
            "ownership": [],
            "pipeline": ["families", "steps_of"],
            "report": ["ReportOutcome"],
            "trainings": [
                "Ending",
                "Training",
                "cancel_training",
                "ending_of",
                "trainings_under_way",
            ],
        },
    )

__all__ = [
    "VERIFIED",
    "Context",
    "Ending",
    "ReportOutcome",
    "Training",
    "advise",
    "cancel_training",
    "ending_of",
    "families",
    "hosting",
    "insist_on_extra",
    "leftovers",
    "ownership",
    "remove_leftovers",
    "steps_of",
    "tell_decision",
    "trainings_under_way",
]
