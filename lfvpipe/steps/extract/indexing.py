"""What the index and its notes say of the extracted images."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from lfvpipe.dataset.index import UNNAMED_TYPE, Image, Mask, MaskNote, Note
from lfvpipe.dataset.selection import FILES
from lfvpipe.engine.phrases import count_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lfvpipe.dataset.selection import SelectedImage
    from lfvpipe.engine.step import Work
    from lfvpipe.steps.extract.preparation import Job, Result


_LONGEST = 200  # characters of a part of a key, without the digest and the ending


@dataclass(frozen=True, slots=True)
class ImageJobs:
    """A selected image with the jobs that it and its mask need; equal files share a job."""

    image: SelectedImage
    job: Job
    mask_job: Job | None


def drop_outdated_reviews(
    wanted: Sequence[ImageJobs], results: Mapping[str, Result], work: Work
) -> list[ImageJobs]:
    """Take back the labels that people gave to other bytes than those that are there now."""
    kept, changed = [], []
    for each in wanted:
        reviewed = each.image.reviewed
        origin = results[each.job.key].origin if reviewed else ""
        if not (reviewed and reviewed.sha256 and origin) or reviewed.sha256 == origin:
            kept.append(each)
            continue
        changed.append(each.image.member)
        if reviewed.split is not None:
            image = replace(
                each.image, label=reviewed.label, split=reviewed.split, mask=None, reviewed=None
            )
            kept.append(ImageJobs(image, each.job, None))
    if changed:
        work.warn(
            f"sources.labels: {count_of(len(changed), 'image')}, such as {changed[0]}, changed"
            " after the review; what was decided there does not count"
        )
    return kept


class ImageResults(NamedTuple):
    """A selected image with what came of it and of its mask, where it has one."""

    image: SelectedImage
    result: Result
    mask: Result | None


def index_images(images: Iterable[ImageResults], names: Mapping[str, str]) -> Iterator[Image]:
    """Yield the index of images that can be used.

    Args:
        images: With what came of them.
        names: Of the colours of masks that came without names.
    """
    for each in images:
        yield _image(each.image, each.result, each.mask, names)


def note_images(
    wanted: Iterable[ImageJobs], results: Mapping[str, Result], whites: Mapping[str, float]
) -> Iterator[Note]:
    """Yield a note of each image.

    Args:
        wanted: The images with the jobs that were done.
        results: By the jobs' keys.
        whites: The white level of each deep image by its own samples, by the images' ids.
    """
    for each in wanted:
        white = whites.get(each.image.id)
        yield _note(each.image, results[each.job.key], mask_of(each, results), white)


def mask_of(image: ImageJobs, results: Mapping[str, Result]) -> Result | None:
    """Return what came of an image's mask; None where it has none."""
    return results[image.mask_job.key] if image.mask_job else None


def class_names(wanted: Iterable[ImageJobs], results: Mapping[str, Result]) -> dict[str, str]:
    """Name the colours of masks that came without names: anomaly, or anomaly1 and so on."""
    jobs = (each.mask_job for each in wanted if each.mask_job)
    unnamed = (results[job.key].colours for job in jobs if job.classes is None)
    colours = sorted({*chain.from_iterable(unnamed)})
    if len(colours) == 1:
        return {colours[0]: UNNAMED_TYPE}
    return {colour: f"{UNNAMED_TYPE}{number}" for number, colour in enumerate(colours, start=1)}


def _image(
    image: SelectedImage, result: Result, mask: Result | None, names: Mapping[str, str]
) -> Image:
    extracted = None
    if image.mask and mask and not mask.problem:
        # A colour map says what may be in a mask, as exports list all types in each; what is there,
        # and is counted and learnt, the mask itself says.
        declared = image.mask.classes or {names[colour]: colour for colour in mask.colours}
        classes = {name: colour for name, colour in declared.items() if colour in mask.colours}
        key = _object_key("masks", image.mask.member, mask)
        extracted = Mask(f"images/{mask.path}", key, mask.size, mask.sha256, classes)
    # The label before any review: a review uploads no image again under another key.
    label = image.reviewed.label if image.reviewed else image.label
    is_added = image.reviewed is not None and image.reviewed.split is None
    folder = label or ("reviewed" if is_added and image.source == FILES else "evaluate")
    return Image(
        id=image.id,
        label=image.label,
        split=image.split,
        member=image.member,
        source=image.source,
        path=f"images/{result.path}",
        key=_object_key(folder, image.member, result),
        size=result.size,
        sha256=result.sha256,
        width=result.width,
        height=result.height,
        mask=extracted,
        type=image.type,
    )


def _object_key(folder: str, member: str, result: Result) -> str:
    """Return a key that people recognise, S3 recommends, and no other content has."""
    name = re.sub(r"^[a-z0-9]+://[^/]*/", "", member)
    safe = re.sub(r"[^A-Za-z0-9!_.*'()/-]+", "-", str(PurePosixPath(name).with_suffix("")))
    suffix = PurePosixPath(result.path).suffix
    # Each part is a file's name in a bucket that is a folder, and no name has over 255 bytes.
    parts = [part[-_LONGEST:] for part in safe[-300:].split("/") if part not in ("", ".", "..")]
    return f"{folder}/{'/'.join(parts)}-{result.sha256[:12]}{suffix}"


def _note(image: SelectedImage, result: Result, mask: Result | None, white: float | None) -> Note:
    of_mask = None
    if mask is not None:
        of_mask = MaskNote(
            width=mask.width,
            height=mask.height,
            colours=mask.colours,
            strangers=mask.strangers,
            problem=mask.problem,
            share=mask.share,
        )
    return Note(
        id=image.id,
        origin=result.origin,
        mode=result.mode,
        changes=result.changes,
        pixels=result.pixels,
        likeness=result.likeness,
        problem=result.problem,
        levels=result.levels,
        mask=of_mask,
        whole=(result.whole[0], result.whole[1]) if result.whole else None,
        source=result.source,
        camera=result.camera,
        white=white,
        is_unfit=result.is_unfit,
    )
