"""The bucket: found where it exists, created where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, ClassVar

from lfvpipe.engine.facts import StepFacts, StepOutcome
from lfvpipe.engine.inputs import settings
from lfvpipe.engine.outcome import Facts, Outcome, Word
from lfvpipe.engine.phrases import listing
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Leftover, Step, Work
from lfvpipe.steps.attempts import SavedFacts
from lfvpipe.steps.context import Context
from lfvpipe.visible import visible_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.engine.inputs import Input
    from lfvpipe.engine.outcome import Json
    from lfvpipe.storage import Bucket

_NAMED = 3  # objects that keep a bucket from going, in what is said of it


@dataclass(frozen=True)
class BucketPlace(StepFacts):
    """Where a bucket is, whatever the pipeline says by now.

    Attributes:
        name: The bucket's.
        endpoint: As ``bucket.endpoint`` named it.
        region: As far as the endpoint has regions.
    """

    name: str
    endpoint: str
    region: str

    @classmethod
    def today(cls, context: Context) -> BucketPlace:
        """Return where the pipeline has its bucket."""
        spec = context.pipeline.bucket
        return BucketPlace(spec.name, spec.endpoint, context.pipeline.region)

    def bucket(self, context: Context) -> Bucket:
        """Return the bucket, which may not exist."""
        from lfvpipe.storage import connect

        if self.endpoint == context.pipeline.bucket.endpoint:
            return context.buckets.bucket(self.name)
        buckets = connect(self.endpoint, region=self.region, root=context.buckets_dir)
        return buckets.bucket(self.name)


@dataclass(frozen=True)
class BucketOutcome(BucketPlace, StepOutcome):
    """The bucket.

    Attributes:
        region: Where the store says that the bucket is.
        created_by_us: Whether this pipeline created it, so that `destroy` may delete it.
        public_access_blocked: None where the store does not tell.
        encryption: The kind; None where the store does not tell, or has none.
    """

    step: ClassVar[str] = "bucket"

    created_by_us: bool
    public_access_blocked: bool | None
    encryption: str | None


@dataclass(frozen=True)
class BucketSaved(SavedFacts):
    """The bucket that an attempt was about to create, and where."""

    creating: str | None = None
    endpoint: str | None = None
    region: str | None = None


@dataclass(frozen=True)
class BucketStep(Step[Context]):
    """Creates or adopts the bucket that images and manifests go to."""

    name: str = "bucket"
    needs: tuple[str, ...] = ("check",)

    def inputs(self, context: Context) -> Sequence[Input]:
        """Return where the bucket is and what it is called."""
        asked = context.pipeline.bucket.encryption
        # Named only where it says something: buckets of an earlier version stay as they stand.
        given = {"sse": asked.sse, "key": asked.key} if asked else {}
        encryption = {f"bucket.encryption.{name}": value for name, value in given.items()}
        return settings({**_identity(context), **encryption})

    def act(self, context: Context, work: Work) -> Outcome:
        """Look for the bucket and create it if it is not there."""
        name = context.pipeline.bucket.name
        is_same = work.previous is not None and work.previous.identity == _identity(context)
        if not context.bucket.exists():
            # Killed from here on, the next attempt and `destroy` know it as ours.
            place = BucketPlace.today(context)
            BucketSaved(name, place.endpoint, place.region).save(work)
            _create(context, work)
            return _outcome("created", context, ours=True)
        if BucketSaved.of(work).creating == name:
            _create(context, work)  # the kill may have come before the bucket was guarded
            return _outcome("created", context, ours=True)
        if work.previous is not None and is_same:
            ours = BucketOutcome.from_json(work.previous.facts).created_by_us
            if ours and context.pipeline.bucket.encryption:
                _create(context, work)  # it may have been created with another one
            return _outcome("unchanged", context, ours=ours, work=work)
        return _outcome("found", context, ours=False, work=work)

    def describe(self, outcome: Outcome) -> str:
        """Return which bucket it is."""
        bucket = BucketOutcome.from_json(outcome.facts)
        return listing(bucket.name, bucket.endpoint)

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a local bucket whose folder is gone."""
        facts = BucketOutcome.from_json(outcome.facts)
        if facts.endpoint != "local":
            return ()
        folder = context.buckets_dir / facts.name
        return () if folder.is_dir() else (Reason("output-missing", str(folder)),)

    def observe(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a bucket that is gone."""
        bucket = BucketOutcome.from_json(outcome.facts).bucket(context)
        return () if bucket.exists() else (Reason("drift", "bucket", bucket.name, None),)

    def stays(self, outcome: Outcome) -> str | None:
        """See `Step.stays`: what this pipeline did not create."""
        is_ours = BucketOutcome.from_json(outcome.facts).created_by_us
        return None if is_ours else self.describe(outcome)

    def thing(self, outcome: Outcome) -> Json:
        """See `Step.thing`."""
        facts = BucketOutcome.from_json(outcome.facts)
        return [facts.endpoint, facts.name]

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str | Leftover]:
        """Delete the bucket if this pipeline created it and nothing is left in it."""
        facts = BucketOutcome.from_json(outcome.facts)
        return _delete_if_empty(facts.bucket(context)) if facts.created_by_us else ()

    def abandon(self, context: Context, saved: Facts) -> Sequence[str | Leftover]:
        """See `Step.abandon`: delete a bucket that an unfinished attempt may have created."""
        found = BucketSaved.from_json(saved)
        if not found.creating:
            return ()
        today = BucketPlace.today(context)
        place = BucketPlace(
            found.creating, found.endpoint or today.endpoint, found.region or today.region
        )
        return _delete_if_empty(place.bucket(context))


def _outcome(word: Word, context: Context, *, ours: bool, work: Work | None = None) -> Outcome:
    """Return what the bucket is now; `work` is told where one that was found is open to all."""
    guard = context.bucket.protection()
    if work is not None and guard.public_access_blocked is False:
        work.warn(f"The bucket {context.bucket.name} does not block public access.")
    facts = BucketOutcome(
        name=context.bucket.name,
        endpoint=context.pipeline.bucket.endpoint,
        region=context.bucket.location(),
        created_by_us=ours,
        public_access_blocked=guard.public_access_blocked,
        encryption=guard.encryption,
    )
    return Outcome(word, facts.as_json(), _identity(context))


def _delete_if_empty(bucket: Bucket) -> Sequence[str | Leftover]:
    if not bucket.exists():
        return ()
    thing = f"bucket {bucket.name}"
    return (thing,) if bucket.delete_if_empty() else (Leftover(thing, _why_kept(bucket)),)


def _why_kept(bucket: Bucket) -> str:
    """Return that a bucket is not empty, and what is in it, since its owner may want that gone."""
    keys = [each.key for each in islice(bucket.list(), _NAMED + 1)]
    if not keys:  # versions that were deleted, or what has come and gone
        return "it is not empty"
    more = " and more" if len(keys) > _NAMED else ""
    return f"it is not empty: it holds {', '.join(map(visible_name, keys[:_NAMED]))}{more}"


def _identity(context: Context) -> dict[str, str]:
    spec = context.pipeline.bucket
    return {
        "bucket.name": spec.name,
        "bucket.endpoint": spec.endpoint,
        "region": context.pipeline.region,
    }


def _create(context: Context, work: Work) -> None:
    """Create and guard the bucket; where nothing of ours came of it, the ledger is told so."""
    from lfvpipe.storage import AccessDenied, BucketNameTaken

    try:
        for refused in context.bucket.create():
            work.warn(refused)
    except BucketNameTaken:
        BucketSaved().save(work)
        raise
    except AccessDenied:  # somebody who may will create it, unless only its guards were refused
        if not context.bucket.exists():
            BucketSaved().save(work)
        raise
