"""What the check finds in an index: broken rules of the service, and traps for the user."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from lfvpipe.dataset.checks.counts import count_findings, type_findings
from lfvpipe.dataset.checks.findings import Finding, error, warning
from lfvpipe.dataset.checks.likeness import likeness_findings
from lfvpipe.dataset.sources import archive_stem
from lfvpipe.lookout import rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lfvpipe.config.spec import Pipeline
    from lfvpipe.dataset.index import Image, LabelCounts

Notes = dict[str, dict[str, Any]]

_LISTED = 20  # kinds of problem
_NAMED = 3  # images of a kind
_CHANGES = {
    "rotated": "were turned as their EXIF orientation says",
    "16-bit": "have 16 bits a sample and were reduced to 8 (their high byte)",
    "12-bit": "have 16 bits a sample but use only the low 12, so they came out dark: export them"
    " with 8 bits",
    "cmyk": "were converted from CMYK to RGB",
    "recompressed": "were written as JPEG again, to stay under 8 MB",
}
_NORMAL = re.compile(r"(?<![a-z])(normal|good|ok|defect[-_]?free|healthy)(?![a-z])", re.IGNORECASE)
_ANOMALY = re.compile(
    r"(?<![a-z])(anomal\w*|abnormal|bad|nok|ng|def|defects?|defective|broken|damaged)(?![a-z])",
    re.IGNORECASE,
)


def findings_of(
    pipeline: Pipeline, images: Sequence[Image], notes: Notes, counts: Mapping[str, LabelCounts]
) -> list[Finding]:
    """Return all findings, errors first.

    Args:
        pipeline: What the user wants.
        images: The index's images.
        notes: What extract noted of each image, by its id.
        counts: Of the selection, by label and split.
    """
    found = [
        *_unreadable(notes),
        *count_findings(pipeline, images, counts),
        *_sides(images),
        *_sizes(images),
        *_heavy(images),
        *_mask_findings(images, notes),
        *type_findings(pipeline, images),
        *likeness_findings(images, notes),
        *_modes(images, notes),
        *_changed(notes),
        *_swapped(pipeline),
    ]
    return sorted(found, key=lambda finding: finding.level)


def _unreadable(notes: Notes) -> list[Finding]:
    bad = [name for name, note in notes.items() if note["problem"]]
    if not bad:
        return []
    by_problem: dict[str, list[str]] = defaultdict(list)
    for name in bad:
        by_problem[notes[name]["problem"]].append(name)
    kinds = sorted(by_problem.items(), key=lambda item: -len(item[1]))
    lines = "".join(f"\n    {_some(names)}: {problem}" for problem, names in kinds[:_LISTED])
    unsaid = sum(len(names) for _, names in kinds[_LISTED:])
    more = f"\n    and {unsaid} more" if unsaid else ""
    what = "1 image cannot be read: repair or remove it, or leave it out"
    if len(bad) > 1:
        what = f"{len(bad)} images cannot be read: repair or remove them, or leave them out"
    return [
        error(
            "unreadable-images",
            f"{what} with sources.<label>.include.{lines}{more}",
        )
    ]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _sides(images: Sequence[Image]) -> list[Finding]:
    small = [i.id for i in images if min(i.width, i.height) < rules.MIN_SIDE]
    large = [i.id for i in images if max(i.width, i.height) > rules.MAX_SIDE]
    under = f"a side under {rules.MIN_SIDE} pixels: set images.resize or leave them out"
    over = f"a side over {rules.MAX_SIDE} pixels: set images.resize"
    rows = [("too-small", small, under), ("too-large", large, over)]
    return [error(code, f"{len(ids)} images have {text}", ids) for code, ids, text in rows if ids]


def _sizes(images: Iterable[Image]) -> list[Finding]:
    by_size: dict[tuple[int, int], list[str]] = defaultdict(list)
    for image in images:
        by_size[image.width, image.height].append(image.id)
    if len(by_size) <= 1:
        return []
    ordered = sorted(by_size.items(), key=lambda item: -len(item[1]))
    sizes = ", ".join(f"{len(ids):,} of {w}x{h}" for (w, h), ids in ordered[:5])
    (width, height), _ = ordered[0]
    odd = [name for _, ids in ordered[1:] for name in ids]
    return [
        error(
            "mixed-sizes",
            f"The images have {len(by_size)} sizes ({sizes}), and the service needs one: set"
            f" images.resize, for instance to {width}x{height}, or leave the odd ones out",
            odd,
        )
    ]


def _heavy(images: Iterable[Image]) -> list[Finding]:
    heavy = [image.id for image in images if image.size > rules.MAX_IMAGE_BYTES]
    if not heavy:
        return []
    return [
        error(
            "too-many-bytes",
            f"{len(heavy)} images have more than 8 MB: set images.resize, or export them as JPEG",
            heavy,
        )
    ]


def _mask_findings(images: Sequence[Image], notes: Notes) -> list[Finding]:
    masks = {image.id: notes[image.id]["mask"] for image in images if notes[image.id]["mask"]}
    if not masks:
        return []
    sizes = {image.id: (image.width, image.height) for image in images}
    bad = [f"{name}: {mask['problem']}" for name, mask in masks.items() if mask["problem"]]
    fine = {name: mask for name, mask in masks.items() if not mask["problem"]}
    odd = [name for name, m in fine.items() if (m["width"], m["height"]) != sizes[name]]
    empty = [name for name, mask in fine.items() if not mask["colours"]]
    strange = [name for name, mask in fine.items() if mask["strangers"]]
    many = [n for n, m in fine.items() if len(m["colours"]) > rules.MAX_ANOMALY_LABELS_PER_IMAGE]
    bare = [
        image.id
        for image in images
        if image.label == "anomaly" and image.split in ("train", "test") and image.id not in masks
    ]
    rows = [
        (error, "bad-masks", "masks cannot be read: repair them", bad),
        (error, "mask-size", "masks differ in size from their image: export them anew", odd),
        (error, "mask-types", "masks show more than 20 anomaly types: merge some", many),
        (warning, "empty-masks", "masks mark nothing: is the label right?", empty),
        (warning, "mask-colours", "masks have colours that the manifest does not name", strange),
        (warning, "no-mask", "anomaly images have no mask, so where they are is not learnt", bare),
    ]
    return [make(code, f"{len(names)} {text}", names) for make, code, text, names in rows if names]


def _modes(images: Iterable[Image], notes: Notes) -> list[Finding]:
    kinds = Counter(_kind(notes[image.id]["mode"]) for image in images)
    if not (kinds["grey"] and kinds["colour"]):
        return []
    return [
        warning(
            "mixed-modes",
            f"{kinds['grey']} images are grey and {kinds['colour']} in colour, which a model may"
            " mistake for the difference between normal and anomaly: set images.convert",
        )
    ]


def _kind(mode: str) -> str:
    return {"L": "grey", "LA": "grey", "1": "grey", "P": "palette"}.get(mode, "colour")


def _changed(notes: Notes) -> list[Finding]:
    by_change: dict[str, list[str]] = defaultdict(list)
    for name, note in notes.items():
        for change in note["changes"]:
            by_change[change].append(name)
    return [
        warning(f"changed-{change}", f"{len(by_change[change])} images {text}", by_change[change])
        for change, text in _CHANGES.items()
        if by_change[change]
    ]


def _swapped(pipeline: Pipeline) -> list[Finding]:
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
