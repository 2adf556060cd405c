"""Writes the train and test manifests and brings them into the bucket."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from lfvpipe import manifest
from lfvpipe.engine.inputs import settings
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Step
from lfvpipe.errors import UserError
from lfvpipe.lookout import rules
from lfvpipe.steps.context import Context
from lfvpipe.steps.extract.outcome import ExtractOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from lfvpipe.dataset.index import Image
    from lfvpipe.engine.inputs import Input
    from lfvpipe.engine.outcome import Facts, Json
    from lfvpipe.engine.step import Work
    from lfvpipe.manifest import Line
    from lfvpipe.storage import Bucket

SPLITS = ("train", "test")
# The documentation wants a date; one that does not change keeps the manifest's bytes, and with
# them its key and the dataset, the same for the same images.
_CREATED = "2020-11-20T00:00:00.000"


class ManifestError(UserError):
    """A manifest would break the service's limits."""


class ManifestsStep(Step[Context]):
    """Content-addressed keys: an unchanged selection finds its manifest in the bucket."""

    name = "manifests"
    needs = ("upload",)

    def inputs(self, context: Context) -> Sequence[Input]:
        """See `Step.inputs`."""
        bucket = context.pipeline.bucket
        return settings(
            {
                "bucket.name": bucket.name,
                "bucket.prefix": bucket.prefix,
                "bucket.endpoint": bucket.endpoint,
            }
        )

    def act(self, context: Context, work: Work) -> Outcome:
        """See `Step.act`; raises StorageError and ManifestError."""
        from lfvpipe.dataset.index import read_index

        index = context.state_dir / ExtractOutcome.of(work.upstream).index
        segmentation = any(image.mask and image.split == "train" for image in read_index(index))
        written: dict[str, Json] = {}
        uploaded = []
        for split in SPLITS:
            manifest, is_new = _written(context, work, index, split, segmentation)
            written[split] = manifest
            uploaded += [split] if is_new else []
        facts: Facts = {
            **written,
            "segmentation": segmentation,
            "bucket": context.pipeline.bucket.name,
            "uploaded": uploaded,
            "ours": _ours(context, work, written),
        }
        identity = {key: facts[key] for key in ("train", "test", "bucket")}
        identity["endpoint"] = context.pipeline.bucket.endpoint
        return Outcome("created" if uploaded else "adopted", facts, identity)

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report manifests that a local bucket lost; see `Step.missing`."""
        if outcome.identity is None or outcome.identity["endpoint"] != "local":
            return ()
        folder = context.buckets_dir / str(outcome.facts["bucket"])
        files = [folder / str(manifest["key"]) for manifest in _manifests(outcome)]
        return [Reason("output-missing", str(file)) for file in files if not file.is_file()]

    def observe(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """See `Step.observe`."""
        bucket = _bucket_of(context, outcome)
        keys = [str(manifest["key"]) for manifest in _manifests(outcome)]
        return [Reason("drift", key, "there", "gone") for key in keys if not _is_in(bucket, key)]

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str]:
        """See `Step.destroy`."""
        bucket = _bucket_of(context, outcome)
        return _deleted(bucket, _keys(outcome.facts, "ours"))

    def abandon(self, context: Context, saved: Facts) -> Sequence[str]:
        """See `Step.abandon`: delete what an unfinished attempt uploaded."""
        spec = context.pipeline.bucket  # a ledger from before places were kept knows only this one
        name, endpoint = saved.get("bucket", spec.name), saved.get("endpoint", spec.endpoint)
        return _deleted(_bucket(context, name, endpoint), _keys(saved, "creating"))


def _manifests(outcome: Outcome) -> Iterator[Mapping[str, Json]]:
    for split in SPLITS:
        manifest = outcome.facts[split]
        if isinstance(manifest, dict):
            yield manifest


def _keys(facts: Facts, name: str) -> list[str]:
    keys = facts.get(name)
    return [str(key) for key in keys] if isinstance(keys, (list, tuple)) else []


def _ours(context: Context, work: Work, written: Mapping[str, Json]) -> list[str]:
    """Return the keys of the manifests that this pipeline uploaded, not found, now or before."""
    ours = {*_keys(work.saved, "creating")}
    identity = (work.previous and work.previous.identity) or {}
    spec = context.pipeline.bucket
    if work.previous and (identity["bucket"], identity["endpoint"]) == (spec.name, spec.endpoint):
        ours.update(_keys(work.previous.facts, "ours"))
    keys = [str(manifest["key"]) for manifest in written.values() if isinstance(manifest, dict)]
    return [key for key in keys if key in ours]


def _deleted(bucket: Bucket, keys: Sequence[str]) -> list[str]:
    there = [key for key in keys if _is_in(bucket, key)]
    if there:
        bucket.delete(there)
    return [f"s3://{bucket.name}/{key}" for key in there]


def _bucket_of(context: Context, outcome: Outcome) -> Bucket:
    identity = outcome.identity or {}
    return _bucket(context, outcome.facts["bucket"], identity["endpoint"])


def _bucket(context: Context, name: Json, endpoint: Json) -> Bucket:
    """Return the bucket that manifests are in; the pipeline may name another one by now."""
    from lfvpipe.steps.bucket import bucket_of

    region = context.pipeline.region
    return bucket_of(context, {"name": name, "endpoint": endpoint, "region": region})


def _is_in(bucket: Bucket, key: str) -> bool:
    from lfvpipe.storage import NoSuchBucket

    try:
        return bucket.head(key) is not None
    except NoSuchBucket:
        return False


def _written(
    context: Context, work: Work, index: Path, split: str, segmentation: bool
) -> tuple[Json, bool]:
    """Write one manifest beside the index, upload it unless it is there; None without images."""
    from lfvpipe.atomic import replacing

    file = context.state_dir / "manifests" / f"{split}.manifest"
    hashed = hashlib.sha256()
    lines = size = 0
    with replacing(file) as stream:
        for line in _lines(context, index, split, segmentation):
            stream.write(line)
            hashed.update(line)
            lines += 1
            size += len(line)
    work.progress(lines, lines, "lines", split)
    if not lines:
        return None, False
    if size > rules.MAX_MANIFEST_BYTES:
        raise ManifestError(f"The {split} manifest has {size:,} bytes; the service takes 1 GB.")
    digest = hashed.hexdigest()
    key = f"{context.pipeline.bucket.prefix}manifests/{split}-{digest[:12]}.manifest"
    there = context.bucket.head(key)
    is_new = there is None or there.size != size
    if is_new:
        if there is None:  # written down first: killed from here on, the next attempt knows it
            place = context.pipeline.bucket
            creating = [*_keys(work.saved, "creating"), key]
            work.save(creating=creating, bucket=place.name, endpoint=place.endpoint)
        context.bucket.put(key, file)
    return {"key": key, "sha256": digest, "lines": lines}, is_new


def _lines(context: Context, index: Path, split: str, segmentation: bool) -> Iterator[bytes]:
    from lfvpipe.dataset.index import read_index

    bucket = context.pipeline.bucket
    root = f"s3://{bucket.name}/{bucket.prefix}"
    for image in read_index(index):
        if image.split == split and image.label is not None:
            text = manifest.write_line(line_of(image, root, segmentation=segmentation))
            if len(text) > rules.MAX_MANIFEST_LINE:
                raise ManifestError(
                    f"{image.id}: its manifest line has {len(text):,} characters; the service"
                    f" takes {rules.MAX_MANIFEST_LINE:,}.",
                    hint="Shorten the names of the archive's folders or of the anomaly types.",
                )
            yield text.encode() + b"\n"


def line_of(image: Image, root: str, *, segmentation: bool, created: str = _CREATED) -> Line:
    """Return the manifest line of a labelled image.

    Args:
        image: A line of the index.
        root: What object keys are appended to: ``s3://bucket/prefix``.
        segmentation: Whether masks are written.
        created: When the label was given; see `manifest.creation_date`.
    """
    if image.label is None:
        raise ValueError(f"{image.id} has no label")
    references: tuple[manifest.Reference, ...] = ()
    if segmentation and image.mask and image.mask.classes and image.label == "anomaly":
        address = f"{root}{image.mask.key}"
        references = (manifest.mask_reference(address, image.mask.classes, created),)
    label = manifest.Classification(image.label, created=created)
    return manifest.Line(f"{root}{image.key}", (label,), references)
