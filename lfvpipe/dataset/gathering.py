"""Brings whatever the pipeline names to one form: candidates, whichever way they are declared."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lfvpipe.config.spec import AnnotationSource
from lfvpipe.dataset.candidates import SelectionError, label_candidates
from lfvpipe.dataset.inventory import Inventory
from lfvpipe.dataset.listed import annotated_images, listed_candidates
from lfvpipe.dataset.sources import (
    IMAGES,
    archive_stem,
    archives_of,
    masks_inside,
    public_address,
    sources_of,
)
from lfvpipe.engine.phrases import count_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from lfvpipe.config.spec import Pipeline
    from lfvpipe.dataset.annotations import AnnotatedImage
    from lfvpipe.dataset.candidates import Candidate
    from lfvpipe.dataset.checks.findings import Finding

    Locate = Callable[[str], Path]  # of a fetch step's member, where it lies


def gather(
    pipeline: Pipeline, locate: Locate, inventory: Inventory, found: list[Finding]
) -> list[Candidate]:
    """Return the images of all sources but manifests; those of `include` and others.

    Args:
        pipeline: Names the sources.
        locate: Where each of them lies.
        inventory: Every archive that is looked into is entered.
        found: What a person should know is added to it.

    Raises:
        ArchiveError: An archive cannot be used.
        UserError: What lists the images cannot be used, or nothing is there that is wanted.
    """
    listed = pipeline.sources.listed
    if listed is not None:
        holding = inventory.open(
            IMAGES, public_address(listed.archive), locate(IMAGES), listed.encoding
        )
        return listed_candidates(listed, holding, _listing_files(pipeline, locate), found)
    candidates: list[Candidate] = []
    for label, source in pipeline.sources.by_label.items():
        archives = [
            inventory.open(
                each.member,
                public_address(each.address),
                locate(each.member),
                each.encoding,
                each.prefix,
            )
            for each in archives_of(label, source)
        ]
        masks = None
        own = source.masks in (source.archive, *source.further) or masks_inside(source)
        if source.masks and not own:
            address, member = public_address(source.masks), f"{label}-masks"
            masks = inventory.open(member, address, locate(member), source.encoding)
        candidates += label_candidates(label, source, archives, masks, found)
    _insist_on_one_label(candidates, inventory)
    return candidates


def stems(pipeline: Pipeline) -> dict[str, str]:
    """Return what people call the archive of each source that images are in."""
    return {
        source.member: archive_stem(source.address)
        for source in sources_of(pipeline)
        if source.archive and source.key.startswith("sources.")
    }


def judged_candidates(candidates: Sequence[Candidate], inventory: Inventory) -> list[Candidate]:
    """Return what `evaluate.images` can name: each file once, labelled only if included as such.

    Both labels may lie in one archive; a file of it is then an image of the label whose `include`
    it matches, and one that no label includes is an image of which nobody said what it is.
    """
    places = inventory.places()
    included = {(places[each.source], each.member) for each in candidates if each.included}
    found: list[Candidate] = []
    unlabelled = set()
    for each in candidates:
        place = places[each.source], each.member
        if each.included:
            found.append(each)
        elif place not in included and place not in unlabelled:
            unlabelled.add(place)
            found.append(replace(each, label=None, mask=None, type=""))
    return found


def marked_images(pipeline: Pipeline, locate: Locate) -> dict[str, AnnotatedImage]:
    """Return what is marked in each image of the source of annotations, by its member.

    Raises:
        AnnotationError: A file of annotations cannot be used.
    """
    source = pipeline.sources.listed
    assert isinstance(source, AnnotationSource)
    holding = Inventory().open(
        IMAGES, public_address(source.archive), locate(IMAGES), source.encoding
    )
    return annotated_images(source, holding, _listing_files(pipeline, locate))


def _listing_files(pipeline: Pipeline, locate: Locate) -> list[Path]:
    return [
        locate(source.member)
        for source in sources_of(pipeline)
        if source.member == "table" or source.member.startswith("annotations-")
    ]


def _insist_on_one_label(candidates: Iterable[Candidate], inventory: Inventory) -> None:
    places = inventory.places()
    first: dict[tuple[object, str], Candidate] = {}
    twice = []
    for each in candidates:
        if each.included:
            twin = first.setdefault((places[each.source], each.member), each)
            if twin is not each:
                twice.append(each)
    if twice:
        both = " and ".join(
            sorted(
                {str(first[places[each.source], each.member].label) for each in twice}
                | {str(each.label) for each in twice}
            )
        )
        number = f"{count_of(len(twice), 'image')}, such as {twice[0].member},"
        if " and " not in both:
            raise SelectionError(
                f"sources.{both}: {number} lie there twice.",
                hint="An archive in a folder counts as one of its name; move one of them away.",
            )
        raise SelectionError(
            f"sources: {number} are included as {both}.",
            hint="Write `include` or `exclude` of the two so that each image has one label.",
        )
