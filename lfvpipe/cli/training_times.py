"""How long the model step will take, as a plan says it: as its last training and test took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.lookout.progress import about
from lfvpipe.steps.model.outcome import ModelOutcome

if TYPE_CHECKING:
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.planning import PlanRow

# What, changed, has the model learn anew, whatever the images are.
_OF_TRAINING = frozenset({"model.effort", "images.background", "service.detector"})


def foretell(row: PlanRow, ledger: Ledger) -> str:
    """Return what a run of the model step comes to, and about how long; "" where nobody knows.

    Whether the training images stay the same, only the steps before it tell.
    """
    if row.step != "model" or row.action != "run":
        return ""
    trained, tested = _last_seconds(ledger)
    if trained is None:
        return ""
    training = f"trains again, about {about(trained)} as the last time"
    if any(why.code == "forced" or why.subject in _OF_TRAINING for why in row.reasons):
        return training
    how_long = "" if tested is None else f", about {about(tested)}"
    return f"{training}; only tests{how_long}, where the training images stay the same"


def _last_seconds(ledger: Ledger) -> tuple[float | None, float | None]:
    """Return the seconds of the last version that learnt, and of the last that was only tested."""
    trained: float | None = None
    tested: float | None = None
    for record in ledger.records("model"):
        for outcome in record.outcomes:
            model = ModelOutcome.from_json(outcome.facts)
            if model.weights_of is None:
                trained = model.training_seconds if trained is None else trained
            else:
                tested = model.training_seconds if tested is None else tested
    return trained, tested
