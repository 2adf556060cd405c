"""One dataset brought in line with its manifest, by the least that does it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lfvpipe.lookout.rules import MAX_CHANGES_BYTES
from lfvpipe.lookout.statuses import DATASET_USABLE
from lfvpipe.manifest import read_line
from lfvpipe.steps import ownership
from lfvpipe.steps.datasets import calls
from lfvpipe.steps.datasets.entries import lacking_lines
from lfvpipe.steps.datasets.outcome import (
    DatasetFacts,
    DatasetsOutcome,
    DatasetsSaved,
    DatasetState,
)

if TYPE_CHECKING:
    from lfvpipe.engine.outcome import Word
    from lfvpipe.engine.step import Work
    from lfvpipe.lookout.api import DatasetType
    from lfvpipe.lookout.descriptions import Description
    from lfvpipe.steps.context import Context
    from lfvpipe.steps.manifests import Manifest


def align(
    context: Context,
    work: Work,
    project: Description,
    split: DatasetType,
    manifest: Manifest | None,
) -> tuple[Word, DatasetFacts | None]:
    """Bring a dataset in line with its manifest, and wait until it is.

    Args:
        context: The pipeline, and its service.
        work: The attempt.
        project: What the service says of the project.
        split: Which dataset.
        manifest: What it is to hold; None where there is to be no such dataset.

    Returns:
        What was done, and the dataset as it is now.

    Raises:
        LookoutError: A call failed, or the service could not do what it was asked to.
        DatasetNotOurs: It would have to be changed, and another one made it.
    """
    live = calls.at_rest(context, work, split)
    before = DatasetsOutcome.from_json(work.previous.facts) if work.previous else None
    then = before.dataset(split) if before else None
    # Ours is what an earlier run created and nobody replaced since, and what an attempt that was
    # killed created: it said so before.
    is_ours = DatasetsSaved.of(work).creating(split) is not None or (
        then is not None and then.created_by_us and then.created == DatasetState.of(live).created
    )

    if manifest is None:
        if live is None:
            return "unchanged", None
        _take(context, work, project, split, live, is_ours)
        _warn_if_foreign(context, work, split, live)
        calls.delete(context, context.pipeline.project, split, work)
        return "replaced", None

    if live is not None:
        is_as_left = then is not None and then.state == DatasetState.of(live)
        lines = _lacking(context, split, manifest, live)
        if lines == []:
            is_unchanged = then is not None and is_as_left and then.digest == manifest.sha256
            return "unchanged" if is_unchanged else "adopted", _facts(live, manifest, is_ours)
        _take(context, work, project, split, live, is_ours)
        changes = b"\n".join(lines or ())
        if changes and len(changes) <= MAX_CHANGES_BYTES:
            # One call, which the service carries out whole or not at all. A kill meanwhile needs
            # no note: the next attempt finds the dataset updated, or updates it.
            if is_ours:
                _note_creation(work, split, manifest)
            updated = calls.update(context, work, split, changes)
            return "updated", _facts(updated, manifest, is_ours)
        _warn_if_foreign(context, work, split, live)

    # CreateDataset is called without a client token. A project has one dataset of a type, so a
    # second call cannot make a second one; and a token that repeats would do harm, as the answer
    # that the service remembers could hide that another configuration's dataset has taken the
    # place meanwhile.
    _take(context, work, project, split, live, is_ours)
    _note_creation(work, split, manifest)
    if live is not None:
        calls.delete(context, context.pipeline.project, split, work)
    created = calls.create(context, work, split, manifest.key)
    return "replaced" if live else "created", _facts(created, manifest, True)


def _lacking(
    context: Context, split: DatasetType, manifest: Manifest, live: Description
) -> list[bytes] | None:
    """Return the manifest's lines that the dataset lacks; None where they would not be enough."""
    if live["Status"] not in DATASET_USABLE:
        return None
    if live.get("ImageStats", {}).get("Total", 0) > manifest.lines:
        return None  # no update takes an entry away
    return lacking_lines(context, split, context.bucket.get(manifest.key))


def _note_creation(work: Work, split: DatasetType, manifest: Manifest) -> None:
    """Save, before it is done, that what will be there is ours."""
    DatasetsSaved.of(work).with_creating(split, manifest.sha256).save(work)


def _take(
    context: Context,
    work: Work,
    project: Description,
    split: DatasetType,
    live: Description | None,
    is_ours: bool,
) -> None:
    """Mark the project as this pipeline's before one of its datasets is changed.

    Raises:
        DatasetNotOurs: The dataset that is there is not known as ours, neither by the ledger nor by
            the project's mark, and the user did not say to take it over.
    """
    if live is not None and not (is_ours or context.adopt):
        owner = ownership.owner_of(context, project)
        if owner is None or owner.lineage != work.lineage:
            raise ownership.DatasetNotOurs(
                project["ProjectName"], split, _images(context, split), _created(live)
            )
    claim(context, work, project)


def claim(context: Context, work: Work, project: Description) -> ownership.Mark:
    """Mark the project as this pipeline's; save before that there will be a mark to take away."""
    mark = ownership.mark_of(context, project, work.lineage)
    saved = DatasetsSaved.of(work)
    if saved.mark != mark:
        replace(saved, mark=mark).save(work)
    ownership.claim(context, work, project)
    return mark


def _images(context: Context, split: DatasetType) -> str:
    """Say where the images of a dataset lie, by its first entry."""
    entry = calls.first_entry(context, context.pipeline.project, split)
    address = read_line(entry).image if entry is not None else None
    return f"images in {address.rpartition('/')[0]}/" if address else "without images"


def _created(live: Description) -> str:
    created = live.get("CreationTimestamp")
    return f"{created.astimezone():%Y-%m-%d %H:%M}" if created else "earlier"  # local time


def _warn_if_foreign(context: Context, work: Work, split: DatasetType, live: Description) -> None:
    """Say so when a dataset goes whose images lie elsewhere: it may be somebody else's."""
    project, bucket = context.pipeline.project, context.bucket.name
    entry = calls.first_entry(context, project, split)
    if entry is None or (read_line(entry).image or "").startswith(f"s3://{bucket}/"):
        return
    work.warn(
        f"Project {project} held a {split} dataset of images outside s3://{bucket}"
        f" (created {_created(live)}); it is deleted."
    )


def _facts(live: Description, manifest: Manifest, ours: bool) -> DatasetFacts:
    state = DatasetState.of(live)
    return DatasetFacts(
        status=live["Status"],
        message=live.get("StatusMessage", ""),
        stats={name.lower(): int(n) for name, n in sorted(live.get("ImageStats", {}).items())},
        manifest=manifest.key,
        digest=manifest.sha256,
        created=state.created,
        updated=state.updated,
        created_by_us=ours,
    )
