"""What the check finds of photographs of more than 8 bits a sample."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from lfvpipe.config.spec import LABELS
from lfvpipe.dataset.checks.findings import error, warning
from lfvpipe.engine.phrases import count_of, doing
from lfvpipe.images import FEW_LEVELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lfvpipe.config.spec import Images, Label
    from lfvpipe.dataset.checks.findings import Finding
    from lfvpipe.dataset.index import Image, Note

# Of a label's deep images: fewer may be photographs of nothing, or taken without light.
_TOO_MANY: Final = 0.1


def depth_findings(
    spec: Images, images: Sequence[Image], notes: Mapping[str, Note]
) -> Iterator[Finding]:
    """Yield where reducing samples to 8 bits leaves too little of them, or does what is not said.

    Args:
        spec: How images are prepared.
        images: The index's images.
        notes: What extract noted of each image, by its id.
    """
    deep = [(image.label, note) for image in images if (note := notes[image.id]).levels is not None]
    few = [(label, note) for label, note in deep if (note.levels or 0) < FEW_LEVELS]
    if few and len(few) == len(deep):
        yield _all_few(spec, [note for _, note in deep])
    elif few:
        yield _some_few(deep, few)
    cut = [note.id for _, note in deep if "depth" not in note.changes]
    if cut:
        text = (
            f"{doing(len(cut), 'image', 'have')} 16 bits a sample in colour or beside transparency,"
            " of which the high byte is used; images.depth is for grey alone. Should they look"
            " dark, export them with 8 bits a sample, or grey ones without transparency"
        )
        yield warning("high-byte", text, cut)


def guessed_depth(spec: Images, notes: Iterable[Note]) -> str:
    """Return as how many bits deep grey was taken where nobody said it, to end a sentence."""
    white = max((note.white for note in notes if note.white is not None), default=None)
    if white is None or spec.depth is not None:
        return ""
    bits = round(math.log2(white + 1))
    taken = f" as {bits} bits" if white > 1 and 2.0**bits - 1 == white else ""
    return f"{taken} (white {white:.10g}); if the camera fills more, set images.depth"


def bits_of(note: Note) -> str:
    """Return ``12 bits``, as many as a deep photograph's own samples fill; "" where unknown."""
    if note.levels is None:
        return "8 bits"
    return next((_range([bits]) for bits in _bits([note])), "")


def _bits(notes: Iterable[Note]) -> list[int]:
    """Return how many bits the samples of each deep photograph fill, where that is known."""
    whites = (note.white for note in notes if note.white is not None)
    return sorted(max(8, math.ceil(math.log2(white + 1))) for white in whites)


def _range(bits: Sequence[int]) -> str:
    return f"{bits[0]} bits" if bits[0] == bits[-1] else f"{bits[0]} to {bits[-1]} bits"


def _levels(most: int) -> str:
    return "1 level" if most == 1 else f"{most} levels or fewer"


def _all_few(spec: Images, deep: Sequence[Note]) -> Finding:
    most = max(note.levels or 0 for note in deep)
    text = (
        f"{doing(len(deep), 'image', 'have')} 16 bits a sample and, reduced to 8 bits,"
        f" {_levels(most)}, too few to see a defect by:"
    )
    if not any("depth" in note.changes for note in deep):
        advice = (
            "of 16 bits in colour, or beside transparency, the high byte is used; export them with"
            " 8 bits a sample, or grey ones without transparency, for which images.depth is"
        )
    elif spec.depth:
        advice = f"images.depth is {spec.depth}; set it to auto, or to fewer bits"
    else:
        advice = "set images.depth to the bits that the camera fills, such as 12, or raise exposure"
    return error("few-levels", f"{text} {advice}", (note.id for note in deep))


def _some_few(
    deep: Sequence[tuple[Label | None, Note]], few: Sequence[tuple[Label | None, Note]]
) -> Finding:
    """Return what is wrong where some files fill fewer bits than the others of the product.

    All share one white level, that of the deepest: what fills few bits of it is nearly black, and
    where that goes with the label, the label can be read off.
    """
    counts = {
        label: (sum(of == label for of, _ in few), sum(of == label for of, _ in deep))
        for label in LABELS
    }
    told = ", ".join(f"{dark:,} of {all_:,} {label}" for label, (dark, all_) in counts.items())
    others = _bits(note for _, note in deep if (note.levels or 0) >= FEW_LEVELS)
    dark = [bits for bits in _bits(note for _, note in few) if bits < min(others, default=0)]
    look, advice = "", "raise the exposure or the contrast, or leave them out"
    if dark:
        who = ("they", "these") if len(dark) == len(few) else (f"{len(dark)} of them", "those")
        look = (
            f", and {who[0]} look dark beside the others: {who[1]} fill {_range(dark)} and the"
            f" others fill {_range(others)}"
        )
        advice = (
            "export all with one depth, or, should these alone be right, leave the others out and"
            " set images.depth to the bits that the camera fills"
        )
    text = (
        f"{count_of(len(few), 'image')} of {len(deep):,} of more than 8 bits a sample ({told}),"
        f" reduced to 8 bits, {'keep' if len(few) > 1 else 'keeps'}"
        f" {_levels(max(note.levels or 0 for _, note in few))}, too few to see a defect by{look}."
        f" All have one white level: {advice}"
    )
    ids = (note.id for _, note in few)
    if any(dark >= _TOO_MANY * all_ > 0 for dark, all_ in counts.values()):
        return error("few-levels", text, ids)
    return warning("few-levels", text, ids)
