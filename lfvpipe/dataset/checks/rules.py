"""What the check finds in an index: broken rules of the service, and traps for the user."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from lfvpipe.dataset.checks.cameras import camera_findings, geometry_findings
from lfvpipe.dataset.checks.counts import count_findings, type_findings, unknown_findings
from lfvpipe.dataset.checks.depths import depth_findings, guessed_depth
from lfvpipe.dataset.checks.findings import Finding, error, warning
from lfvpipe.dataset.checks.likeness import likeness_findings
from lfvpipe.dataset.sources import archive_stem
from lfvpipe.engine.phrases import doing
from lfvpipe.images import Geometry
from lfvpipe.lookout import rules

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from lfvpipe.config.spec import Images, Pipeline
    from lfvpipe.dataset.index import Image, Note
    from lfvpipe.dataset.selection import LabelCounts

_WHOLE = Geometry()
_MOST_MARKED = 0.5  # of an image, beyond which a mask may be one of the good part
_LISTED = 20  # kinds of problem
_NAMED = 20  # images of a kind
_CHANGES = {
    "rotated": ("were", "turned as the EXIF orientation says"),
    "depth": ("are", "grey of more than 8 bits a sample, reduced to 8"),
    "profile": ("have", "a colour profile that shows: converted to sRGB"),
    "flattened": ("are", "transparent where the background now shows (images.background)"),
    "cmyk": ("were", "converted from CMYK to RGB"),
    "format": ("were", "converted to PNG from BMP, TIFF, WebP or HEIC"),
    "first-page": ("have", "several pages, of which the first is used"),
    "recompressed": ("were", "written as JPEG again, to stay under 8 MB"),
}
_NORMAL = re.compile(r"(?<![a-z])(normal|good|ok|defect[-_]?free|healthy)(?![a-z])", re.IGNORECASE)
_ANOMALY = re.compile(
    r"(?<![a-z])(anomal\w*|abnormal|bad|nok|ng|def|defects?|defective|broken|damaged)(?![a-z])",
    re.IGNORECASE,
)


def find_problems(
    pipeline: Pipeline,
    images: Sequence[Image],
    notes: Mapping[str, Note],
    counts: Mapping[str, LabelCounts],
    geometry: Geometry = _WHOLE,
) -> list[Finding]:
    """Return all findings, errors first.

    Args:
        pipeline: What the user wants.
        images: The index's images.
        notes: What extract noted of each image, by its id.
        counts: Of the selection, by label.
        geometry: Which part of each photograph counts.
    """
    leave_out = pipeline.images.damaged == "leave-out"
    unfit = _unfit_images(notes.values())
    found = [
        *_unreadable_images(notes.values(), leave_out=leave_out),
        *unfit,
        # Where sound images are not counted as nothing fits, the numbers say nothing.
        *([] if unfit else count_findings(pipeline, images, counts)),
        *_size_findings(images),
        *_mask_findings(images, notes, leave_out=leave_out),
        *type_findings(pipeline, images),
        *likeness_findings(images, notes),
        *camera_findings(pipeline.images, images, notes),
        *geometry_findings(pipeline.images, geometry, _different_sizes(notes.values())),
        *depth_findings(pipeline.images, images, notes),
        *_changes(pipeline.images, notes.values()),
        *_swapped_labels(pipeline),
        *unknown_findings(pipeline, images, counts),
    ]
    return sorted(found, key=lambda finding: finding.level)


def _different_sizes(notes: Iterable[Note]) -> set[tuple[int, int]]:
    return {note.whole for note in notes if note.whole}


def _unreadable_images(notes: Iterable[Note], *, leave_out: bool) -> list[Finding]:
    bad = [note for note in notes if note.problem and not note.is_unfit]
    if not bad:
        return []
    lines, count = _problem_lines(bad), len(bad)
    what = "1 image cannot be read" if count == 1 else f"{count} images cannot be read"
    if leave_out:
        said = f"{what}, and {'was' if count == 1 else 'were'} left out:{lines}"
        return [warning("left-out-images", said, (each.id for each in bad))]
    them = "it" if count == 1 else "them"
    advice = (
        f"repair or remove {them}, name {them} under `exclude`, or set images.damaged: leave-out to"
        f" go on without {them}"
    )
    return [error("unreadable-images", f"{what}: {advice}.{lines}")]


def _unfit_images(notes: Iterable[Note]) -> list[Finding]:
    """Return an error where sound images have not the part that is to count.

    They are never left out as damaged ones are: it may be all of them, and the pipeline's fault.
    """
    unfit = [note for note in notes if note.is_unfit]
    if not unfit:
        return []
    text = (
        f"{doing(len(unfit), 'sound image', 'do')} not fit images.region or images.ignore: change"
        f" these keys, or name the odd ones out under `exclude`.{_problem_lines(unfit)}"
    )
    return [error("unfit-images", text)]


def _problem_lines(notes: Sequence[Note]) -> str:
    """Return a line of each problem, the most frequent first, with the images that have it."""
    by_problem: dict[str, list[str]] = defaultdict(list)
    for note in notes:
        by_problem[note.problem].append(note.id)
    kinds = sorted(by_problem.items(), key=lambda item: -len(item[1]))
    lines = ""
    for problem, ids in kinds[:_LISTED]:
        more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
        lines += f"\n    {', '.join(ids[:_NAMED])}{more}: {problem}"
    if unsaid := sum(len(ids) for _, ids in kinds[_LISTED:]):
        lines += f"\n    and {unsaid} more"
    return lines


def _size_findings(images: Sequence[Image]) -> list[Finding]:
    small = [each.id for each in images if min(each.width, each.height) < rules.MIN_SIDE]
    large = [each.id for each in images if max(each.width, each.height) > rules.MAX_SIDE]
    heavy = [each.id for each in images if each.size > rules.MAX_IMAGE_BYTES]
    found = []
    if small:
        text = f"a side under {rules.MIN_SIDE} pixels: set images.resize or leave them out"
        found.append(error("too-small", f"{doing(len(small), 'image', 'have')} {text}", small))
    if large:
        text = f"a side over {rules.MAX_SIDE} pixels: set images.resize"
        found.append(error("too-large", f"{doing(len(large), 'image', 'have')} {text}", large))
    by_size: dict[tuple[int, int], list[str]] = defaultdict(list)
    for each in images:
        by_size[each.width, each.height].append(each.id)
    if len(by_size) > 1:
        ordered = sorted(by_size.items(), key=lambda item: -len(item[1]))
        sizes = ", ".join(f"{len(ids):,} of {w}x{h}" for (w, h), ids in ordered[:5])
        (width, height), _ = ordered[0]
        text = (
            f"The images have {len(by_size)} sizes ({sizes}), and the service needs one: set"
            f" images.resize, for instance to {width}x{height}, or leave the odd ones out"
        )
        odd = [name for _, ids in ordered[1:] for name in ids]
        found.append(error("mixed-sizes", text, odd))
    if heavy:
        text = "more than 8 MB: set images.resize, or export as JPEG"
        found.append(error("too-many-bytes", f"{doing(len(heavy), 'image', 'have')} {text}", heavy))
    return found


def _mask_findings(
    images: Sequence[Image], notes: Mapping[str, Note], *, leave_out: bool
) -> list[Finding]:
    masks = {image.id: mask for image in images if (mask := notes[image.id].mask)}
    if not masks:
        return []
    sizes = {image.id: (image.width, image.height) for image in images}
    bad = [f"{name}: {mask.problem}" for name, mask in masks.items() if mask.problem]
    left_out = bad if leave_out else []
    fine = {name: mask for name, mask in masks.items() if not mask.problem}
    odd = [name for name, mask in fine.items() if (mask.width, mask.height) != sizes[name]]
    empty = [name for name, mask in fine.items() if not mask.colours]
    strange = [name for name, mask in fine.items() if mask.strangers]
    full = [name for name, mask in fine.items() if (mask.share or 0) > _MOST_MARKED]
    swapped = "more than half of the image: is the background painted as a defect?"
    most = rules.MAX_ANOMALY_LABELS_PER_IMAGE
    many = [name for name, mask in fine.items() if len(mask.colours) > most]
    bare = [
        image.id
        for image in images
        if image.label == "anomaly" and image.split in ("train", "test") and image.id not in masks
    ]
    rows = [
        (error, "bad-masks", "cannot", "be read: repair what is named", [] if leave_out else bad),
        (warning, "left-out-masks", "were", "left out, as unreadable", left_out),
        (error, "mask-size", "differ", "in size from the image: export anew", odd),
        (error, "mask-types", "show", f"more than {most} anomaly types: merge some", many),
        (warning, "empty-masks", "mark", "nothing: is the label right?", empty),
        (warning, "mostly-marked", "mark", swapped, full),
        (warning, "mask-colours", "have", "colours that the manifest does not name", strange),
    ]
    found = [
        make(code, f"{doing(len(names), 'mask', verb)} {text}", names)
        for make, code, verb, text, names in rows
        if names
    ]
    if bare:
        text = "no mask, so the place of the defect is not learnt"
        found.append(
            warning("no-mask", f"{doing(len(bare), 'anomaly image', 'have')} {text}", bare)
        )
    return found


def _changes(spec: Images, notes: Collection[Note]) -> list[Finding]:
    by_change: dict[str, list[str]] = defaultdict(list)
    for note in notes:
        for change in note.changes:
            by_change[change].append(note.id)
    more = {"depth": guessed_depth(spec, notes)}
    return [
        warning(
            f"changed-{change}",
            f"{doing(len(by_change[change]), 'image', verb)} {text}{more.get(change, '')}",
            by_change[change],
        )
        for change, (verb, text) in _CHANGES.items()
        if by_change[change]
    ]


def _swapped_labels(pipeline: Pipeline) -> list[Finding]:
    """Return a warning where both archives are named like the other label."""
    labels: Mapping[str, str] = {
        label: archive_stem(source.archive) for label, source in pipeline.sources.by_label.items()
    }
    normal, anomaly = labels.get("normal", ""), labels.get("anomaly", "")
    if not (_ANOMALY.search(normal) and _NORMAL.search(anomaly)):
        return []
    return [
        warning(
            "labels-swapped",
            f"The normal images come from {normal!r} and the anomaly images from {anomaly!r}: are"
            " the two swapped?",
        )
    ]
