"""What people decided about images, and where two runs take the same image for something else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.engine.phrases import count_of, listing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfvpipe.report.records import CorrectedLabel, RunRecord

UNKNOWN, LEFT_OUT, NOT_THERE = "unknown", "left out", "not there"


@dataclass(frozen=True)
class Relabelled:
    """An image that two runs take for different things.

    Attributes:
        id: The image's, in the index.
        name: What a person calls it.
        before: What the earlier run took it for: ``normal, train`` or ``left out``.
        after: Likewise the later one.
    """

    id: str
    name: str
    before: str
    after: str


def relabelled(before: RunRecord, after: RunRecord) -> list[Relabelled]:
    """Return the images that two runs take for something else, sorted by id.

    That is by what people decided, where both runs noted it, and by the labels of the judged images
    where the runs come with their verdicts.
    """
    found = {each.id: each for each in _judged_otherwise(before, after)}
    found |= {each.id: each for each in _decided_otherwise(before, after)}
    return [found[key] for key in sorted(found)]


def _decided_otherwise(before: RunRecord, after: RunRecord) -> Iterator[Relabelled]:
    if before.corrected is None or after.corrected is None:
        return
    earlier = {each.id: each for each in before.corrected}
    later = {each.id: each for each in after.corrected}
    for key in earlier.keys() | later.keys():
        known = earlier.get(key) or later[key]
        # A run that nobody decided for has it as its source says.
        old = _as_decided(earlier[key]) if key in earlier else _as_found(known)
        new = _as_decided(later[key]) if key in later else _as_found(known)
        if old != new:
            yield Relabelled(key, known.name, old, new)


def _as_decided(image: CorrectedLabel) -> str:
    if not image.split:
        return LEFT_OUT
    label = image.label or UNKNOWN
    kind = f"{label} ({image.type})" if image.type else label
    return listing(kind, image.split, f"mask {image.mask}" if image.mask else "")


def _as_found(image: CorrectedLabel) -> str:
    if not image.split_before:
        return f"{image.label_before}, unused" if image.label_before else NOT_THERE
    return listing(image.label_before or UNKNOWN, image.split_before)


def _judged_otherwise(before: RunRecord, after: RunRecord) -> Iterator[Relabelled]:
    for name, split in (("test", "test"), ("evaluation", "evaluate")):
        earlier = {verdict.id: verdict for verdict in before.verdicts.get(name, ())}
        for verdict in after.verdicts.get(name, ()):
            known = earlier.get(verdict.id)
            if known is not None and known.label != verdict.label:
                labels = [f"{each.label or UNKNOWN}, {split}" for each in (known, verdict)]
                yield Relabelled(verdict.id, verdict.name, *labels)


def corrected_text(corrected: Sequence[CorrectedLabel]) -> str:
    """Return how much people decided otherwise than the sources say: ``3, 1 left out``."""
    left_out = sum(not each.split for each in corrected)
    decided = len(corrected) - left_out
    return listing(f"{decided:,}", f"{left_out:,} left out" if left_out else "")


def relabelled_text(found: Sequence[Relabelled]) -> str:
    """Return ``label of good/2.png: normal, train → anomaly, train``, or of how many images."""
    if len(found) == 1:
        (one,) = found
        return f"label of {one.name}: {one.before} → {one.after}"
    return f"labels of {count_of(len(found), 'image')}" if found else ""
