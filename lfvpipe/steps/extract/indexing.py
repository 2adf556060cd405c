"""What the index and its notes say of an extracted image."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.dataset.index import Image, Mask, Selected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lfvpipe.config.spec import Label
    from lfvpipe.engine.step import Work
    from lfvpipe.steps.extract.preparation import Job, Result


@dataclass(frozen=True, slots=True)
class Planned:
    """A selected image with the jobs that it and its mask need."""

    image: Selected
    job: Job
    mask_job: Job | None


def as_reviewed(
    planned: Sequence[Planned], results: Mapping[str, Result], work: Work
) -> list[Planned]:
    """Take back the labels that people gave to other bytes than those that are there now."""
    kept, changed = [], []
    for plan in planned:
        reviewed, origin = plan.image.reviewed, results[plan.job.key].origin
        if not (reviewed and reviewed.sha256 and origin) or reviewed.sha256 == origin:
            kept.append(plan)
            continue
        changed.append(plan.image.member)
        if reviewed.split is not None:
            image = replace(
                plan.image, label=reviewed.label, split=reviewed.split, mask=None, reviewed=None
            )
            kept.append(Planned(image, plan.job, None))
    if changed:
        work.warn(
            f"sources.labels: {len(changed)} images, such as {changed[0]}, changed after they were"
            " reviewed; what was decided about them does not count"
        )
    return kept


def class_names(planned: Iterable[Planned], results: Mapping[str, Result]) -> dict[str, str]:
    """Name the colours of masks that came without names: anomaly, or anomaly1 and so on."""
    jobs = [plan.mask_job for plan in planned if plan.mask_job]
    unnamed = [results[job.key] for job in jobs if job.classes is None]
    colours = sorted({colour for result in unnamed for colour in result.colours})
    if len(colours) == 1:
        return {colours[0]: "anomaly"}
    return {colour: f"anomaly{number}" for number, colour in enumerate(colours, start=1)}


def indexed_image(
    image: Selected, result: Result, mask: Result | None, names: Mapping[str, str]
) -> Image:
    """Return the line of the index; `names` are anomaly types by colour for masks without."""
    indexed = None
    if image.mask and mask and not mask.problem:
        classes = dict(image.mask.classes or {names[colour]: colour for colour in mask.colours})
        key = _object_key("masks", image.mask.member, mask)
        indexed = Mask(f"images/{mask.path}", key, mask.size, mask.sha256, classes)
    return Image(
        id=image.id,
        label=image.label,
        split=image.split,
        member=image.member,
        source=image.source,
        path=f"images/{result.path}",
        key=_object_key(_first_label(image) or "evaluate", image.member, result),
        size=result.size,
        sha256=result.sha256,
        width=result.width,
        height=result.height,
        mask=indexed,
    )


def _first_label(image: Selected) -> Label | None:
    """Return the label before any review: a review uploads no image again under another key."""
    return image.reviewed.label if image.reviewed else image.label


def _object_key(folder: str, member: str, result: Result) -> str:
    name = re.sub(r"^[a-z0-9]+://[^/]*/", "", member)
    safe = re.sub(r"[^A-Za-z0-9!_.*'()/-]+", "-", str(PurePosixPath(name).with_suffix("")))
    suffix = PurePosixPath(result.path).suffix
    parts = [part for part in safe[-300:].split("/") if part not in ("", ".", "..")]
    return f"{folder}/{'/'.join(parts)}-{result.sha256[:12]}{suffix}"


def note(image: Selected, result: Result, mask: Result | None) -> dict[str, object]:
    """Return what check has to know beyond the index."""
    return {
        "id": image.id,
        "origin": result.origin,
        "mode": result.mode,
        "changes": result.changes,
        "pixels": result.pixels,
        "likeness": result.likeness,
        "problem": result.problem,
        "mask": None if mask is None else _mask_note(mask),
    }


def _mask_note(mask: Result) -> dict[str, object]:
    return {
        "width": mask.width,
        "height": mask.height,
        "colours": mask.colours,
        "strangers": mask.strangers,
        "problem": mask.problem,
    }
