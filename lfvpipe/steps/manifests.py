"""Writes the train and test manifests and brings them into the bucket."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar

from lfvpipe import manifest
from lfvpipe.engine.facts import ABSENT_IF_NONE, StepFacts, StepOutcome
from lfvpipe.engine.inputs import settings
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.phrases import count, listing
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Leftover, Step
from lfvpipe.errors import UserError
from lfvpipe.lookout import rules
from lfvpipe.lookout.api import DATASET_TYPES
from lfvpipe.steps import ownership
from lfvpipe.steps.attempts import SavedFacts
from lfvpipe.steps.bucket import BucketPlace
from lfvpipe.steps.context import Context
from lfvpipe.steps.extract.outcome import ExtractOutcome
from lfvpipe.steps.intact import has_digest, losses

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lfvpipe.dataset.index import Image
    from lfvpipe.engine.inputs import Input
    from lfvpipe.engine.outcome import Facts
    from lfvpipe.engine.step import Work
    from lfvpipe.lookout.api import DatasetType
    from lfvpipe.storage import Bucket

# The documentation wants a date; one that does not change keeps the manifest's bytes, and with
# them its key and the dataset, the same for the same images.
_CREATED = "2020-11-20T00:00:00.000"


class ManifestError(UserError):
    """A manifest would break the service's limits."""


@dataclass(frozen=True)
class Manifest(StepFacts):
    """A manifest in the bucket.

    Attributes:
        key: The object's, with the bucket's prefix.
        sha256: Of its bytes.
        lines: How many images it has.
    """

    key: str
    sha256: str
    lines: int


@dataclass(frozen=True)
class ManifestsOutcome(StepOutcome):
    """The manifests.

    Attributes:
        train: The training images; None where there are none.
        test: The test images; None where the project has a single dataset.
        segmentation: Whether masks are in them.
        bucket: The name of the bucket.
        uploaded: The splits whose manifests were not there before.
        ours: The keys of those that this pipeline uploaded, now or before, and did not find there.
        prefix: Of the bucket's keys. None where an earlier version wrote them.
        lineage: The ledger's; likewise.
    """

    step: ClassVar[str] = "manifests"

    train: Manifest | None
    test: Manifest | None
    segmentation: bool
    bucket: str
    uploaded: tuple[str, ...]
    ours: tuple[str, ...] = ()
    prefix: str | None = field(default=None, metadata=ABSENT_IF_NONE)
    lineage: str | None = field(default=None, metadata=ABSENT_IF_NONE)

    @property
    def by_split(self) -> dict[DatasetType, Manifest]:
        """The manifests that there are."""
        both: dict[DatasetType, Manifest | None] = {"train": self.train, "test": self.test}
        return {split: made for split, made in both.items() if made is not None}


@dataclass(frozen=True)
class ManifestsIdentity(StepFacts):
    """What later steps depend on: which manifests lie where."""

    train: Manifest | None
    test: Manifest | None
    bucket: str
    endpoint: str


@dataclass(frozen=True)
class ManifestsSaved(SavedFacts):
    """The keys of the manifests that an attempt was about to upload, and where to."""

    creating: tuple[str, ...] = ()
    bucket: str | None = None
    endpoint: str | None = None
    prefix: str | None = None
    lineage: str | None = None


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
        made: dict[DatasetType, Manifest | None] = {}
        uploaded = []
        for split in DATASET_TYPES:
            file = context.state_dir / "manifests" / f"{split}.manifest"
            made[split] = _write(context, work, index, split, file, segmentation)
            if (new := made[split]) and _upload(context, work, new, file):
                uploaded.append(split)
            file.unlink(missing_ok=True)  # the bucket's is the one that counts, and is looked at
        ownership.announce(context, work, [each.key for each in made.values() if each])
        spec = context.pipeline.bucket
        identity = ManifestsIdentity(made["train"], made["test"], spec.name, spec.endpoint)
        ours = _our_keys(work, identity)
        facts = ManifestsOutcome(
            train=identity.train,
            test=identity.test,
            segmentation=segmentation,
            bucket=spec.name,
            uploaded=tuple(uploaded),
            ours=tuple(each.key for each in made.values() if each and each.key in ours),
            prefix=spec.prefix,
            lineage=work.lineage,
        )
        return Outcome("created" if uploaded else "found", facts.as_json(), identity.as_json())

    def describe(self, outcome: Outcome) -> str:
        """Return how many images each manifest lists."""
        manifests = ManifestsOutcome.from_json(outcome.facts)
        return listing(
            *(count(split, each.lines) for split, each in manifests.by_split.items()),
            "segmentation" if manifests.segmentation else "",
        )

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report manifests that a local bucket lost, or that are damaged; see `Step.missing`."""
        if _identity_of(outcome).endpoint != "local":
            return ()
        facts = ManifestsOutcome.from_json(outcome.facts)
        folder = context.buckets_dir / facts.bucket
        made = facts.by_split.values()
        tests = {str(folder / each.key): has_digest(each.sha256) for each in made}
        return losses(context, "manifests", tests)

    def observe(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """See `Step.observe`."""
        facts = ManifestsOutcome.from_json(outcome.facts)
        bucket = _bucket_at(context, facts.bucket, _identity_of(outcome).endpoint)
        keys = [each.key for each in facts.by_split.values()]
        return [Reason("drift", key, "there", "gone") for key in keys if not _is_in(bucket, key)]

    def stays(self, outcome: Outcome) -> str | None:
        """See `Step.stays`: where somebody else uploaded them."""
        is_ours = bool(ManifestsOutcome.from_json(outcome.facts).ours)
        return None if is_ours else self.describe(outcome)

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str | Leftover]:
        """See `Step.destroy`."""
        facts = ManifestsOutcome.from_json(outcome.facts)
        bucket = _bucket_at(context, facts.bucket, _identity_of(outcome).endpoint)
        return _delete(context, bucket, facts.ours, facts.prefix, facts.lineage)

    def abandon(self, context: Context, saved: Facts) -> Sequence[str | Leftover]:
        """See `Step.abandon`: delete what an unfinished attempt uploaded."""
        found, spec = ManifestsSaved.from_json(saved), context.pipeline.bucket
        # A ledger from before places were kept knows only today's.
        bucket = _bucket_at(context, found.bucket or spec.name, found.endpoint or spec.endpoint)
        return _delete(context, bucket, found.creating, found.prefix, found.lineage)


def _identity_of(outcome: Outcome) -> ManifestsIdentity:
    return ManifestsIdentity.from_json(outcome.identity or {})


def _our_keys(work: Work, today: ManifestsIdentity) -> set[str]:
    """Return the keys that this pipeline uploaded to today's bucket, now or before."""
    ours = set(ManifestsSaved.of(work).creating)
    if work.previous is not None:
        then = _identity_of(work.previous)
        if (then.bucket, then.endpoint) == (today.bucket, today.endpoint):
            ours.update(ManifestsOutcome.from_json(work.previous.facts).ours)
    return ours


def _bucket_at(context: Context, name: str, endpoint: str) -> Bucket:
    """Return the bucket that manifests are in; the pipeline may name another one by now."""
    return BucketPlace(name, endpoint, context.pipeline.region).bucket(context)


def _is_in(bucket: Bucket, key: str) -> bool:
    from lfvpipe.storage import NoSuchBucket

    try:
        return bucket.head(key) is not None
    except NoSuchBucket:
        return False


def _delete(
    context: Context,
    bucket: Bucket,
    keys: Sequence[str],
    prefix: str | None,
    lineage: str | None,
) -> list[str | Leftover]:
    """Delete manifests, but for those that other pipelines use."""
    if lineage is not None and bucket.exists():
        # Images that an earlier version uploaded do not know that they are under this mark.
        ownership.retract(bucket, prefix or "", lineage)
    there = [key for key in keys if _is_in(bucket, key)]
    if not there:
        return []
    known = context.pipeline.bucket.prefix if prefix is None else prefix
    free, left = ownership.free_of_others(bucket, known, lineage, there)
    bucket.delete(sorted(free))
    return [*(f"s3://{bucket.name}/{key}" for key in there if key in free), *left]


def _write(
    context: Context, work: Work, index: Path, split: DatasetType, file: Path, segmentation: bool
) -> Manifest | None:
    """Write the manifest of a split to `file`; None without images."""
    from lfvpipe.atomic import replacing

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
        return None
    if size > rules.MAX_MANIFEST_BYTES:
        raise ManifestError(f"The {split} manifest has {size:,} bytes; the service takes 1 GB.")
    digest = hashed.hexdigest()
    key = f"{context.pipeline.bucket.prefix}manifests/{split}-{digest[:12]}.manifest"
    return Manifest(key, digest, lines)


def _upload(context: Context, work: Work, made: Manifest, file: Path) -> bool:
    """Bring `file` into the bucket; return False where the same is there already."""
    there = context.bucket.head(made.key)
    if there is not None and there.size == file.stat().st_size:
        found = hashlib.sha256(context.bucket.get(made.key, limit=there.size)).hexdigest()
        if found == made.sha256:
            return False
    if there is None:
        # Written down first: killed from here on, the next attempt knows it as ours.
        place, saved = context.pipeline.bucket, ManifestsSaved.of(work)
        creating = (*saved.creating, made.key)
        replace(
            saved,
            creating=creating,
            prefix=place.prefix,
            lineage=work.lineage,
            bucket=place.name,
            endpoint=place.endpoint,
        ).save(work)
    context.bucket.put(made.key, file)
    return True


def _lines(
    context: Context, index: Path, split: DatasetType, segmentation: bool
) -> Iterator[bytes]:
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


def line_of(
    image: Image, root: str, *, segmentation: bool, created: str = _CREATED
) -> manifest.Line:
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
    defect = image.type if image.label == "anomaly" else ""
    label = manifest.Classification(image.label, created=created, defect=defect)
    return manifest.Line(f"{root}{image.key}", (label,), references)
