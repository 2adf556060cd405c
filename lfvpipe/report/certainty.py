"""What a run's images tell of its model, and what nobody can know of it, in plain words.

With few images of one kind, or none, a metric is not defined, or so uncertain that its three
decimals mislead: then these words stand beside it, or in its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.engine.phrases import count_of
from lfvpipe.lookout import rules
from lfvpipe.lookout.limits import LEAST_ANOMALIES_LEARNT, single_test_size
from lfvpipe.report.metrics import for_person, wilson
from lfvpipe.report.records import Confusion, ForPerson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfvpipe.report.records import RunRecord

THRESHOLD = "threshold"
_NOBODY = ForPerson()


@dataclass(frozen=True)
class Statement:
    """What is known of one thing; `is_known` unless it cannot be told."""

    about: str
    text: str
    is_known: bool = True


def statements(counts: Confusion, left: ForPerson = _NOBODY) -> list[Statement]:
    """Return what a set of labelled images tells of false alarms and missed defects.

    Nothing where there are as many of both kinds as Lookout for Vision wanted to test on: then the
    metrics and their intervals say it.

    Args:
        counts: Of the set.
        left: Its images that are not in `counts`, as a person is to decide on them.
    """
    if counts.negative >= rules.MIN_TEST_NORMAL and counts.positive >= rules.MIN_TEST_ANOMALY:
        return []
    alarms = Statement("false alarms", _why_unknown("good", left.normals), is_known=False)
    if counts.negative:
        said = _part(counts.false_positive, counts.negative, "good", "called anomalous")
        alarms = Statement("false alarms", said)
    missed = Statement("missed defects", _why_unknown("defective", left.anomalies), is_known=False)
    if counts.positive:
        said = _part(counts.false_negative, counts.positive, "defective", "called normal")
        missed = Statement("missed defects", said)
    return [alarms, missed]


def _why_unknown(kind: str, left: int) -> str:
    """Return why nothing is known of verdicts on images of a kind."""
    if not left:
        return f"cannot be told: no {kind} image to test on"
    which = f"the one {kind} image is" if left == 1 else f"all {left:,} {kind} images are"
    return f"cannot be told: {which} for a person to decide on"


def _part(part: int, whole: int, kind: str, called: str) -> str:
    """Return ``0 of 6 good images called anomalous; with 95 % confidence at most 39 %``."""
    images = count_of(whole, f"{kind} image")
    return f"{part} of {images} {called}; with 95 % confidence {_between(part, whole)}"


def _between(part: int, whole: int) -> str:
    """Return between which shares that of all images to come lies, ``at most 39 %``."""
    share = wilson(part, whole)
    low, high = round(100 * (share.low or 0)), round(100 * (share.high or 0))
    if not part:
        return f"at most {high} %"
    return f"at least {low} %" if part == whole else f"{low} % to {high} %"


def threshold(run: RunRecord) -> Statement | None:
    """Return that the threshold is a guess, where the model learnt from normal images alone."""
    train = run.data.get("train", {})
    why = why_guessed(
        train.get("anomaly", 0), single=not run.data.get("test"), built_in=_is_built_in(run)
    )
    if not train or not why:
        return None
    return Statement(THRESHOLD, f"a guess from good images alone: {why}", is_known=False)


def why_guessed(labelled: int, *, single: bool, built_in: bool) -> str:
    """Return why a threshold is a guess; "" where it is none.

    Args:
        labelled: How many defects are there to train on.
        single: Whether the service takes those out of them that it tests on, which it does by
            itself; only of ours it is known how.
        built_in: Whether it is our own detector that learns.
    """
    learnt = labelled - single_test_size(labelled, anomalous=True) if single else labelled
    if learnt >= LEAST_ANOMALIES_LEARNT or (learnt and not built_in):
        return ""
    if not learnt:
        return "no defective one to learn from"
    return f"{learnt} defective are too few to learn from, {LEAST_ANOMALIES_LEARNT} are needed"


def _is_built_in(run: RunRecord) -> bool:
    config = run.config
    place = config.get("service.endpoint", "embedded"), config.get("service.detector", "default")
    return place == ("embedded", "default")


def judged_sets(run: RunRecord) -> list[str]:
    """Return the sets of images that have labels to hold verdicts against, the test set first."""
    known = (name for name in ("test", "evaluation") if name in run.scores)
    return [name for name in known if run.scores[name].confusion.total]


def all_judged(run: RunRecord) -> Confusion:
    """Return the counts of all labelled images that were judged, whatever set they are in."""
    counts = [run.scores[name].confusion for name in judged_sets(run)]
    return Confusion(
        true_positive=sum(each.true_positive for each in counts),
        false_positive=sum(each.false_positive for each in counts),
        false_negative=sum(each.false_negative for each in counts),
        true_negative=sum(each.true_negative for each in counts),
    )


def all_left(run: RunRecord) -> ForPerson:
    """Return how many of all images that were judged are for a person, whatever set they are in."""
    return for_person(verdict for rows in run.verdicts.values() for verdict in rows)


def why_no_figure(left: ForPerson) -> str:
    """Return why no labelled image tells how good a model is, as a sentence without its end."""
    if not left.labelled:
        return "No labelled image was judged"
    images = "The one labelled image that was judged is"
    if left.labelled > 1:
        images = f"All {left.labelled:,} labelled images that were judged are"
    return f"{images} for a person to decide on"


def bounds(counts: Confusion, left: ForPerson) -> str:
    """Return how many mistakes of each kind are to be expected, as a sentence without its end.

    For images of both kinds, of which some may be left to a person.
    """
    missed = _between(counts.false_negative, counts.positive)
    rejected = _between(counts.false_positive, counts.negative)
    decided = " that the model decides on" if left.labelled else ""
    return (
        f"With 95 % confidence {missed} of all anomalies{decided} are missed, and {rejected} of all"
        " normal images wrongly rejected"
    )


def mistakes(counts: Confusion) -> str:
    """Return ``1 of 12 anomalies missed, none of 20 normal images wrongly rejected``."""
    missed = _of(counts.false_negative, counts.positive, "anomaly", "anomalies")
    rejected = _of(counts.false_positive, counts.negative, "normal image", "normal images")
    return f"{missed} missed, {rejected} wrongly rejected"


def _of(part: int, whole: int, thing: str, things: str) -> str:
    if not whole:
        return f"no {things} to be"
    return f"{part or 'none'} of {whole} {thing if whole == 1 else things}"


def unknowns(run: RunRecord) -> Iterator[Statement]:
    """Yield what to know of a run as a whole: of all that was judged, and of the threshold."""
    yield from statements(all_judged(run), all_left(run))
    if (guess := threshold(run)) is not None:
        yield guess
