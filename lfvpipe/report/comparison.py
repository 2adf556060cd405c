"""Runs side by side: their metrics, what explains them, and the verdicts that changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lfvpipe.report import history, metrics
from lfvpipe.report.corrected_labels import relabelled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfvpipe.report.corrected_labels import Relabelled
    from lfvpipe.report.history import Difference
    from lfvpipe.report.records import RunRecord, Scores, Verdict

SETS = ("test", "evaluation")
Turn = Literal["fixed", "broken", "turned", "to a person"]
Basis = Literal["same", "shared", "different"]


@dataclass(frozen=True)
class Change:
    """An image on which two runs disagree.

    Attributes:
        set: ``test`` or ``evaluation``.
        before: The earlier run's verdict.
        after: The later run's.
    """

    set: str
    before: Verdict
    after: Verdict

    @property
    def turn(self) -> Turn:
        """``fixed`` and ``broken`` by the label; ``turned`` where the truth is unknown.

        ``to a person`` where one is to decide now; a verdict on what one was to decide before is
        as right or wrong as any.
        """
        if self.after.to_person:
            return "to a person"
        if self.after.correct is None:
            return "turned"
        return "fixed" if self.after.correct else "broken"


@dataclass(frozen=True)
class Side:
    """One set of images as all the runs judged it.

    Attributes:
        name: ``test`` or ``evaluation``.
        scores: Each run's own scores; None for a run without this set.
        shared: How many labelled images all the runs judged, with the same label.
        on_shared: Each run's scores on those; empty where there are none.
    """

    name: str
    scores: tuple[Scores | None, ...]
    shared: int
    on_shared: tuple[Scores, ...]

    @property
    def basis(self) -> Basis:
        """What numbers can be compared on: the sets themselves, their common part, or nothing."""
        if not self.shared:
            return "different"
        totals = {scores.labelled if scores else 0 for scores in self.scores}
        return "same" if totals == {self.shared} else "shared"

    @property
    def comparable(self) -> tuple[Scores | None, ...]:
        """The scores that may be compared, as far as that is possible at all."""
        return self.on_shared if self.basis == "shared" else self.scores


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes:
        runs: Two or more, with their verdicts, in the order asked for.
        differences: In which keys their configurations differ.
        sides: The sets that hold labelled images in at least one of the runs.
        changes: For each run after the first, the images on which it disagrees with the first.
        relabelled: For each run after the first, the images that it takes for something else.
    """

    runs: tuple[RunRecord, ...]
    differences: tuple[Difference, ...]
    sides: tuple[Side, ...]
    changes: tuple[tuple[Change, ...], ...]
    relabelled: tuple[tuple[Relabelled, ...], ...]

    def side(self, name: str) -> Side | None:
        """Return one set of images."""
        return next((side for side in self.sides if side.name == name), None)


def compare(runs: Sequence[RunRecord]) -> Comparison:
    """Put two or more runs, with their verdicts, side by side."""
    return Comparison(
        runs=tuple(runs),
        differences=tuple(history.differences([run.config for run in runs])),
        sides=tuple(
            _side(runs, name)
            for name in SETS
            if any(name in run.scores and run.scores[name].labelled for run in runs)
        ),
        changes=tuple(tuple(_changes(runs[0], run)) for run in runs[1:]),
        relabelled=tuple(tuple(relabelled(runs[0], run)) for run in runs[1:]),
    )


def _side(runs: Sequence[RunRecord], name: str) -> Side:
    known: list[dict[tuple[str, str], Verdict]] = []
    for run in runs:
        verdicts = run.verdicts.get(name, ())
        # By label, too: an image whose label was corrected is another question.
        known.append({(each.id, each.label): each for each in verdicts if each.label})
    shared = set(known[0]).intersection(*known[1:])
    cut = [[rows[key] for key in sorted(shared)] for rows in known]
    return Side(
        name=name,
        scores=tuple(run.scores.get(name) for run in runs),
        shared=len(shared),
        on_shared=tuple(metrics.score_set(rows) for rows in cut) if shared else (),
    )


def _changes(before: RunRecord, after: RunRecord) -> Iterator[Change]:
    for name in SETS:
        earlier = {verdict.id: verdict for verdict in before.verdicts.get(name, ())}
        for verdict in after.verdicts.get(name, ()):
            known = earlier.get(verdict.id)
            if known is not None and _called(known) != _called(verdict):
                yield Change(name, known, verdict)


def _called(verdict: Verdict) -> bool | None:
    """Return what an image counts as; None where a person is to decide."""
    return None if verdict.to_person else verdict.is_anomalous
