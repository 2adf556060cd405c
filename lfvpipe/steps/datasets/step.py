"""The project's datasets: kept where they hold the manifests' content, replaced where not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lfvpipe.engine.inputs import settings
from lfvpipe.engine.outcome import Facts, Json, Outcome, Word
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Step, Work
from lfvpipe.lookout.descriptions import describe_dataset, timestamp
from lfvpipe.steps.context import Context
from lfvpipe.steps.datasets import calls
from lfvpipe.steps.datasets.calls import SPLITS
from lfvpipe.steps.datasets.entries import changes, manifest_content, same_entries

if TYPE_CHECKING:
    from lfvpipe.engine.inputs import Input
    from lfvpipe.lookout.api import DatasetType
    from lfvpipe.lookout.descriptions import Description

USABLE = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_FAILED_ROLLBACK_COMPLETE"})


@dataclass(frozen=True)
class Manifest:
    """A manifest as the manifests step left it: an object's key and the digest of its bytes."""

    key: str
    digest: str


class DatasetsStep(Step[Context]):
    """Brings the project's train and test dataset in line with the manifests.

    A project has one of each, so this step is exclusive: another variant's datasets displace it.
    """

    name = "datasets"
    needs = ("manifests", "project")
    exclusive = True

    def inputs(self, context: Context) -> Sequence[Input]:
        """Return the bucket that the service is sent to; the rest comes from the needs."""
        pipeline = context.pipeline
        return settings({"bucket.name": pipeline.bucket.name, "project": pipeline.project})

    def act(self, context: Context, work: Work) -> Outcome:
        """Keep, create, update, replace or delete each of the two datasets, and wait for them."""
        manifests = wanted(work.upstream["manifests"])
        settled = [_settle(context, work, split, manifests.get(split)) for split in SPLITS]
        facts: dict[str, Json] = {
            split: facts for split, (_, facts) in zip(SPLITS, settled, strict=True)
        }
        project = work.upstream["project"].facts
        identity: dict[str, Json] = {"project": project["name"], "arn": project["arn"]}
        identity["endpoint"] = project["endpoint"]  # a project's ARN is the same everywhere
        identity |= {split: manifest.digest for split, manifest in manifests.items()}
        return Outcome(_strongest([word for word, _ in settled]), facts, identity)

    def observe(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report datasets that are gone, unusable, or not the ones that were left here."""
        project = str(outcome.identity["project"]) if outcome.identity else ""
        return [
            Reason("drift", f"{split} dataset", _state(before), now)
            for split in SPLITS
            if (before := _record(outcome, split))
            and (now := _seen(describe_dataset(context.lookout, project, split))) != _state(before)
        ]

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str]:
        """Delete the datasets that this pipeline created and that are still the same ones."""
        project = str(outcome.identity["project"]) if outcome.identity else ""
        removed = []
        for split in SPLITS:
            record = _record(outcome, split)
            live = describe_dataset(context.lookout, project, split)
            if live and record.get("created_by_us") and _created(live) == record.get("created"):
                removed.append(_removed(context, project, split))
        return removed

    def abandon(self, context: Context, saved: Facts) -> Sequence[str]:
        """Delete the datasets that an unfinished attempt created."""
        project = context.pipeline.project
        return [
            _removed(context, project, split)
            for split in SPLITS
            if saved.get(f"creating_{split}") and describe_dataset(context.lookout, project, split)
        ]


def wanted(manifests: Outcome) -> dict[DatasetType, Manifest]:
    """Return the manifest of each split that the manifests step made one for."""
    found = {split: manifests.facts.get(split) for split in SPLITS}
    return {
        split: Manifest(str(facts["key"]), str(facts["sha256"]))
        for split, facts in found.items()
        if isinstance(facts, Mapping)
    }


def _settle(
    context: Context, work: Work, split: DatasetType, manifest: Manifest | None
) -> tuple[Word, Json]:
    """Bring one dataset in line and return what was done and its facts (None: there is none)."""
    live = calls.at_rest(context, work, split)
    if manifest is None:
        return _without(context, work, split, live), None
    known = _recorded(work, split, manifest, live)
    if live and (known or _equal(context, split, manifest, live)):
        ours = known.get("created_by_us") or _creating(work, split)
        return "unchanged" if known else "adopted", _facts(live, manifest, bool(ours))
    updated = _update(context, work, split, manifest, live) if live else None
    if updated:
        return "updated", _facts(updated, manifest, _is_ours(work, split, updated))
    if live:
        _warn_if_foreign(context, work, split, live)
    created = _create(context, work, split, manifest, replace=live is not None)
    return "replaced" if live else "created", _facts(created, manifest, True)


def _recorded(
    work: Work, split: DatasetType, manifest: Manifest, live: Description | None
) -> Mapping[str, Json]:
    """Return this step's earlier facts of `live` if it was left there from the same manifest."""
    record = _record(work.previous, split) if work.previous else {}
    same = live is not None and _state(record) == _seen(live)
    return record if same and record.get("digest") == manifest.digest else {}


def _equal(context: Context, split: DatasetType, manifest: Manifest, live: Description) -> bool:
    """Compare what the service holds with the manifest: first the counts, then every entry."""
    if live["Status"] not in USABLE:
        return False
    entries = manifest_content(context.bucket.get(manifest.key))
    if live.get("ImageStats", {}).get("Total") != len(entries):
        return False
    return same_entries(context, context.pipeline.project, split, entries)


def _update(
    context: Context, work: Work, split: DatasetType, manifest: Manifest, live: Description
) -> Description | None:
    """Add and replace entries where that is enough, as after a review; None where it is not.

    One call, which the service carries out whole or not at all; more changes than it takes are
    better made by a new dataset. A kill in between needs no note: the next attempt finds the
    dataset updated, or updates it.
    """
    from lfvpipe.lookout.rules import MAX_CHANGES_BYTES

    if live["Status"] not in USABLE:
        return None
    data = context.bucket.get(manifest.key)
    if live.get("ImageStats", {}).get("Total", 0) > data.count(b"\n"):
        return None
    project = context.pipeline.project
    lines = changes(context, project, split, data)
    sent = b"\n".join(lines or ())
    if not sent or len(sent) > MAX_CHANGES_BYTES:
        return None
    if _is_ours(work, split, live):
        work.save(**{f"creating_{split}": manifest.digest})
    return calls.update(context, work, split, sent)


def _is_ours(work: Work, split: DatasetType, live: Description) -> bool:
    """Tell whether this pipeline created the dataset that is there."""
    record = _record(work.previous, split) if work.previous else {}
    known = record.get("created_by_us") and record.get("created") == _created(live)
    return bool(known or _creating(work, split))


def _create(
    context: Context, work: Work, split: DatasetType, manifest: Manifest, *, replace: bool
) -> Description:
    """Create the dataset, after deleting the one in its place, and wait until it is complete.

    No client token is needed, and one that repeats would do harm: a project has one dataset of a
    type, so a second call cannot make a second one, but a remembered answer could hide that
    another variant's dataset has taken its place.
    """
    work.save(**{f"creating_{split}": manifest.digest})
    if replace:
        calls.delete(context, context.pipeline.project, split, work)
    return calls.create(context, work, split, manifest.key)


def _without(context: Context, work: Work, split: DatasetType, live: Description | None) -> Word:
    if live is None:
        return "unchanged"
    _warn_if_foreign(context, work, split, live)
    calls.delete(context, context.pipeline.project, split, work)
    return "replaced"


def _removed(context: Context, project: str, split: DatasetType) -> str:
    calls.delete(context, project, split)
    return f"{split} dataset of project {project}"


def _warn_if_foreign(context: Context, work: Work, split: DatasetType, live: Description) -> None:
    """Say so when a dataset goes whose images lie elsewhere: it may be somebody else's."""
    project = context.pipeline.project
    entry = calls.first_entry(context, project, split)
    if entry and f"s3://{context.bucket.name}/" not in entry:
        work.warn(
            f"project {project} held a {split} dataset of images outside s3://{context.bucket.name}"
            f" (created {_when(live)}); it is deleted"
        )


def _creating(work: Work, split: DatasetType) -> bool:
    return work.saved.get(f"creating_{split}") is not None


def _record(outcome: Outcome, split: str) -> Mapping[str, Json]:
    facts = outcome.facts.get(split)
    return facts if isinstance(facts, Mapping) else {}


def _facts(live: Description, manifest: Manifest, ours: bool) -> dict[str, Json]:
    stats: Mapping[str, Any] = live.get("ImageStats", {})
    return {
        "status": live["Status"],
        "message": live.get("StatusMessage", ""),
        "stats": {name.lower(): int(count) for name, count in sorted(stats.items())},
        "manifest": manifest.key,
        "digest": manifest.digest,
        "created": _created(live),
        "updated": timestamp(live.get("LastUpdatedTimestamp")),
        "created_by_us": ours,
    }


def _created(live: Description) -> str | None:
    return timestamp(live.get("CreationTimestamp"))


def _when(live: Description) -> str:
    """Return when it was created, for a person: local time."""
    created = live.get("CreationTimestamp")
    return f"{created.astimezone():%Y-%m-%d %H:%M}" if created else "earlier"


def _seen(live: Description | None) -> list[Json]:
    """Return what tells one state of a dataset from another: status, creation and last update."""
    if live is None:
        return []
    updated = timestamp(live.get("LastUpdatedTimestamp"))
    return [live["Status"], _created(live), updated]


def _state(record: Mapping[str, Json]) -> list[Json]:
    return [record.get("status"), record.get("created"), record.get("updated")]


def _strongest(words: Sequence[Word]) -> Word:
    order: tuple[Word, ...] = ("replaced", "created", "updated", "adopted", "unchanged")
    return next(word for word in order if word in words)
