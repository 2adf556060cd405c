"""Which labels of training images are contradicted, and what people have decided of them since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe import report
from lfvpipe.dataset.corrections import read_corrections
from lfvpipe.dataset.index import read_index
from lfvpipe.errors import UserError
from lfvpipe.steps.extract.outcome import ExtractOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.cli.variants import Variant
    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.report.records import Verdict


@dataclass(frozen=True)
class DoubtedLabels:
    """How many labels were contradicted by models that had not learnt from their images.

    Attributes:
        contradicted: In all, by the last run.
        corrected: Of these, how many people have changed since, or left out.
        confirmed: Of these, how many people have decided to be right.
    """

    contradicted: int = 0
    corrected: int = 0
    confirmed: int = 0

    @property
    def left(self) -> int:
        """How many nobody has decided about."""
        return self.contradicted - self.corrected - self.confirmed


def doubted_labels(variant: Variant, ledger: Ledger, told: Sequence[Verdict]) -> DoubtedLabels:
    """Return how many labels are doubted, and decided about in the labels file of the pipeline.

    Args:
        variant: Whose.
        ledger: Its ledger.
        told: What models said of training images that they had not learnt from.
    """
    doubted = {each.id for each in report.suspects.contradicted(told) or ()}
    standing = ExtractOutcome.standing(ledger, variant.name)
    index = variant.context.state_dir / standing.index if standing else None
    if not doubted or index is None or not index.is_file():
        return DoubtedLabels(len(doubted))
    try:
        corrections = read_corrections(variant.pipeline)
    except UserError:  # it is `run`'s to tell
        return DoubtedLabels(len(doubted))
    images = [image for image in read_index(index) if image.id in doubted]
    decided = [(image.label, made.label) for image in images if (made := corrections.of(image))]
    confirmed = sum(label == choice for label, choice in decided)
    return DoubtedLabels(len(doubted), len(decided) - confirmed, confirmed)
