"""What differs between photographs and is no defect: size, shape, camera, format, colour."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from lfvpipe.config.spec import LABELS
from lfvpipe.dataset.checks.depths import bits_of
from lfvpipe.dataset.checks.findings import Finding, error, warning
from lfvpipe.engine.phrases import doing
from lfvpipe.images import Shapes
from lfvpipe.lookout import rules

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from lfvpipe.config.spec import Images, Label
    from lfvpipe.dataset.index import Image, Note
    from lfvpipe.images import Geometry

# How often the label may be guessed right by a trait alone, both labels weighing the same, before
# that is told: of three defects that share the look of a tenth of the good images by chance, one
# set in a thousand reaches it.
_TELLING: Final = 0.9
_SHOWN: Final = 3  # values of a trait
_UNNAMED: Final = "not named"
# Of what a model sees at first, 256 x 256 pixels in 256 places, these are five, and a quarter.
_TOO_LITTLE_LEFT: Final = 0.02
_LITTLE_LEFT: Final = 0.25
_SIZES: Final = 20  # on which ignored areas are drawn

Counts = dict["Label", Counter[str]]


def camera_findings(
    spec: Images, images: Sequence[Image], notes: Mapping[str, Note]
) -> list[Finding]:
    """Return where photographs differ by more than what they show.

    Args:
        spec: How images are prepared.
        images: The index's images.
        notes: What extract noted of each image, by its id.
    """
    labelled = [
        (label, notes[image.id])
        for image in images
        if (label := image.label) and image.split in ("train", "test")
    ]
    counted = {name: _count(labelled, value_of) for name, value_of in _TRAITS.items()}
    telling = {name: counts for name, counts in counted.items() if _tells_labels(counts)}
    if "size" in telling:  # which says it, too
        telling.pop("shape", None)
    return [
        *_label_tellers(telling),
        *_mixtures(spec, {name: each for name, each in counted.items() if name not in telling}),
        *_unseen_shapes(images, notes),
    ]


def _size(note: Note) -> str:
    return f"{note.whole[0]}x{note.whole[1]}" if note.whole else ""


def _shape(note: Note) -> str:
    return f"{note.whole[0] / note.whole[1]:.2f} to 1" if note.whole else ""


def _colour(note: Note) -> str:
    return "grey" if note.mode in ("L", "LA", "1") else "colour"


_TRAITS: Final[dict[str, Callable[[Note], str]]] = {
    "size": _size,
    "shape": _shape,
    "camera": lambda note: note.camera,
    "format": lambda note: note.source,
    "colour": _colour,
    "depth": bits_of,
}


def _count(labelled: Sequence[tuple[Label, Note]], value_of: Callable[[Note], str]) -> Counts:
    """Return how many images of each label have which value of a trait."""
    counts: Counts = {label: Counter() for label in LABELS}
    for label, note in labelled:
        counts[label][value_of(note) or _UNNAMED] += 1
    return counts


def _tells_labels(counts: Counts) -> bool:
    """Tell whether the label of an image can be guessed by a trait of the others.

    By the others, as a value of its own, such as the size of a photograph cut by hand, tells
    nothing of the next one.
    """
    right = []
    for label, other in (LABELS, LABELS[::-1]):
        ours, theirs = counts[label].total(), counts[other].total()
        if ours < 2 or not theirs:
            return False
        guessed = 0.0
        for value, count in counts[label].items():
            here, there = (count - 1) / (ours - 1), counts[other][value] / theirs
            guessed += count * (0.5 if here == there else float(here > there))
        right.append(guessed / ours)
    return sum(right) / 2 >= _TELLING


def _label_tellers(telling: Mapping[str, Counts]) -> Iterator[Finding]:
    if not telling:
        return
    told = ", ".join(
        f"{name} ({'; '.join(f'{label}: {_listed(name, counts[label])}' for label in LABELS)})"
        for name, counts in telling.items()
    )
    text = (
        f"The labels can be told apart without looking for a defect, by {told}. A model may learn"
        " that in place of the defects, and its metrics flatter it"
    )
    remedy = "Photograph both labels with one camera, in one way, and store them alike"
    if "colour" in telling:
        remedy += "; images.convert makes all grey or all colour"
    yield warning("labels-told-by-camera", f"{text}. {remedy}.")


def _listed(trait: str, counts: Counter[str]) -> str:
    of = " of" if trait in ("size", "shape", "camera", "depth") else ""
    shown = ", ".join(
        f"{count:,}{of if value != _UNNAMED else ''} {value}"
        for value, count in counts.most_common(_SHOWN)
    )
    more = len(counts) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _mixtures(spec: Images, counted: Mapping[str, Counts]) -> Iterator[Finding]:
    """Yield what is mixed in both labels alike, which costs accuracy and deceives nobody."""
    together: dict[str, Counter[str]] = {
        name: sum(counts.values(), Counter()) for name, counts in counted.items()
    }
    kinds = together.get("colour", Counter())
    if len(kinds) > 1:
        text = (
            f"{kinds['grey']} images are grey and {kinds['colour']} in colour, which a model may"
            " mistake for the difference between normal and anomaly: set images.convert"
        )
        yield warning("mixed-modes", text)
    sizes = together.get("size", Counter())
    if len(sizes) > 1 and spec.resize is not None:
        width, height = spec.resize
        text = f"The photographs have {len(sizes)} sizes ({_listed('size', sizes)}), brought to"
        brought = f"{width}x{height}"
        if len(together.get("shape", ())) > 1 and spec.fit in (None, "stretch"):
            better = f"images.resize: {{size: {brought}, fit: contain}} keeps their shapes"
            brought += f", each distorted in its way: {better}"
        yield warning("mixed-photographs", f"{text} {brought}")
    cameras = together.get("camera", Counter())
    if len(cameras) > 1:
        text = f"The photographs are of {len(cameras)} cameras ({_listed('camera', cameras)})"
        advice = "one camera for all, new photographs included, makes a better model"
        yield warning("mixed-cameras", f"{text}: {advice}")


def _unseen_shapes(images: Sequence[Image], notes: Mapping[str, Note]) -> Iterator[Finding]:
    """Yield which images are judged although none of such a size or shape was learnt from."""
    wholes = {image.id: whole for image in images if (whole := notes[image.id].whole)}
    learnt = Shapes.of(wholes[i.id] for i in images if i.split == "train" and i.id in wholes)
    if learnt is None:
        return
    unlike = {
        image.id: how
        for image in images
        if image.split != "train"
        and image.id in wholes
        and (how := learnt.tell_apart(wholes[image.id]))
    }
    if unlike:
        name, how = next(iter(unlike.items()))
        what = "1 image that is" if len(unlike) == 1 else f"{len(unlike)} images that are"
        text = f"{what} to be judged had a size or shape that nothing was learnt from: {name} {how}"
        yield warning("unseen-shape", f"{text}. What is said of such is a guess.", unlike)


def geometry_findings(
    spec: Images, geometry: Geometry, sizes: Collection[tuple[int, int]]
) -> list[Finding]:
    """Return where too little of the photographs is left to judge by.

    Args:
        spec: How images are prepared.
        geometry: What came of that.
        sizes: (width, height) that photographs had, each once.
    """
    found = []
    if geometry.ignore or geometry.mask:
        some = sorted(sizes)[:_SIZES]
        left = min((geometry.left_by_ignoring(size) for size in some), default=1.0)
        covers = f"images.ignore covers {int(1000 * (1 - left)) / 10:g} % of what a model sees"
        advice = "cut out the part that counts with images.region instead"
        most = max((geometry.left_by_ignoring(size) for size in some), default=0.0)
        if most == 1:
            text = (
                "images.ignore covers nothing of the photographs: its polygons lie outside, or its"
                " mask is black or transparent throughout. Polygons are points (right, down) in"
                " pixels, and a mask covers what is painted in it, in any colour but black"
            )
            found.append(warning("ignored-nothing", text))
        found += _polygons_of_nothing(geometry, some) if most < 1 else []
        if left < _TOO_LITTLE_LEFT:
            text = f"{covers}, and too little is left to judge by: ignore less, or {advice}"
            found.append(error("ignored-most", text))
        elif left < _LITTLE_LEFT:
            text = f"{covers}, so that the rest is seen small: {advice}, and it is seen large"
            found.append(warning("ignored-much", text))
    if spec.region and min(spec.region[2:]) < rules.MIN_SIDE:
        _, _, width, height = spec.region
        text = (
            f"images.region has {width}x{height} pixels, and the smallest image that the service"
            f" takes has {rules.MIN_SIDE} a side: enlarged, it shows no more than there is"
        )
        found.append(warning("small-region", text))
    return found


def _polygons_of_nothing(geometry: Geometry, sizes: Sequence[tuple[int, int]]) -> list[Finding]:
    """Return a warning where some of the polygons cover nothing, though others do."""
    outside = [
        number
        for number, polygon in enumerate(geometry.ignore, start=1)
        if all(
            replace(geometry, ignore=(polygon,), mask=None).left_by_ignoring(size) == 1
            for size in sizes
        )
    ]
    if not outside:
        return []
    numbers = ", ".join(map(str, outside))
    text = (
        f"images.ignore: {doing(len(outside), 'polygon', 'cover')} nothing of the photographs, of"
        f" {len(geometry.ignore)} the one at place {numbers}: points are (right, down) in pixels"
    )
    return [warning("ignored-nothing", text)]
