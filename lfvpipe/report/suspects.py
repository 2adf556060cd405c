"""Training images whose labels are worth a second look: what the model says of them out of fold.

Models that had not learnt from an image were asked about it. The rule is that of confident
learning for two labels (Northcutt, Jiang & Chuang, "Confident learning", JAIR 2021): a label is
doubted where the model holds the other one, and is as sure of it as it is, on average, of the
images that have it. So a model that is sure of little doubts little.
"""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from lfvpipe.engine.phrases import count_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.report.records import Verdict

LEAST = 10
"""Images of each label; with fewer an average says too little to doubt a label by."""


def contradiction(verdict: Verdict) -> float:
    """Return how much the model believes the label that an image does not have, 0 to 1."""
    return 1 - verdict.score if verdict.label == "anomaly" else verdict.score


def by_contradiction(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return verdicts on labelled images, those that contradict their label most first."""
    return sorted(verdicts, key=lambda each: (-contradiction(each), each.name, each.id))


def contradicted(verdicts: Sequence[Verdict]) -> list[Verdict] | None:
    """Return the verdicts out of fold that speak against their image's label, strongest first.

    None where there are too few of a label to say.

    Args:
        verdicts: Of all training images that have one.
    """
    scores = {
        label: [each.score for each in verdicts if each.label == label]
        for label in ("normal", "anomaly")
    }
    if min(map(len, scores.values())) < LEAST:
        return None
    # How sure the model is of a label, on average of those that have it; by the other's label.
    least = {"normal": fmean(scores["anomaly"]), "anomaly": 1 - fmean(scores["normal"])}
    return by_contradiction(
        [
            each
            for each in verdicts
            if each.label is not None
            and each.correct is False
            and contradiction(each) >= least[each.label]
        ]
    )


def correct_first(doubted: int) -> str:
    """Return what to do before a decision is chosen by training labels that are contradicted."""
    are = "is" if doubted == 1 else "are"
    labels = f"{count_of(doubted, 'training label')} that {are} contradicted"
    return f"first correct the {labels}: `lfvpipe review --of training`"
