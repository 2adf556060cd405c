"""The bucket: adopted where it exists, created where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lfvpipe.engine.inputs import settings
from lfvpipe.engine.outcome import Facts, Json, Outcome, Word
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Leftover, Step, Work
from lfvpipe.steps.context import Context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.engine.inputs import Input
    from lfvpipe.storage import Bucket


@dataclass(frozen=True)
class BucketStep(Step[Context]):
    """Creates or adopts the bucket that images and manifests go to."""

    name: str = "bucket"
    needs: tuple[str, ...] = ("check",)

    def inputs(self, context: Context) -> Sequence[Input]:
        """Return where the bucket is and what it is called."""
        return settings(_identity(context))

    def act(self, context: Context, work: Work) -> Outcome:
        """Look for the bucket and create it if it is not there."""
        name = context.pipeline.bucket.name
        created_before = _created(context, work.previous)
        if not context.bucket.exists():
            # Killed from here on, the next attempt and `destroy` know it as ours.
            work.save(creating=name, **_place(context))
            _create(context, work)
            return self._outcome("created", context, ours=True)
        if work.saved.get("creating") == name:
            _create(context, work)  # the kill may have come before the bucket was guarded
            return self._outcome("created", context, ours=True)
        known = work.previous is not None and work.previous.identity == _identity(context)
        word: Word = "unchanged" if known else "adopted"
        return self._outcome(word, context, ours=created_before, work=work)

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a local bucket whose folder is gone."""
        if outcome.facts["endpoint"] != "local":
            return ()
        folder = context.buckets_dir / str(outcome.facts["name"])
        return () if folder.is_dir() else (Reason("output-missing", str(folder)),)

    def observe(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a bucket that is gone."""
        bucket = bucket_of(context, outcome.facts)
        return () if bucket.exists() else (Reason("drift", "bucket", bucket.name, None),)

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str | Leftover]:
        """Delete the bucket if this pipeline created it and nothing is left in it."""
        ours = outcome.facts["created_by_us"]
        return _removed(bucket_of(context, outcome.facts)) if ours else ()

    def abandon(self, context: Context, saved: Facts) -> Sequence[str | Leftover]:
        """See `Step.abandon`: delete a bucket that an unfinished attempt may have created."""
        if not saved.get("creating"):
            return ()
        return _removed(bucket_of(context, {**_place(context), **saved, "name": saved["creating"]}))

    def _outcome(
        self, word: Word, context: Context, *, ours: bool, work: Work | None = None
    ) -> Outcome:
        guard = context.bucket.protection()
        if work is not None and guard.public_access_blocked is False:
            work.warn(f"The bucket {context.bucket.name} does not block public access.")
        identity = _identity(context)
        facts: dict[str, Json] = {
            "name": context.bucket.name,
            **_place(context),
            "region": context.bucket.location(),
            "created_by_us": ours,
            "public_access_blocked": guard.public_access_blocked,
            "encryption": guard.encryption,
        }
        return Outcome(word, facts, identity)


def bucket_of(context: Context, facts: Facts) -> Bucket:
    """Return the bucket that the facts of `BucketStep` or `UploadStep` tell of.

    The pipeline may have come to name another one since.
    """
    from lfvpipe.storage import connect

    name, endpoint = str(facts["name"]), str(facts["endpoint"])
    if endpoint == context.pipeline.bucket.endpoint:
        return context.buckets.bucket(name)
    region = str(facts["region"])
    return connect(endpoint, region=region, root=context.buckets_dir).bucket(name)


def _removed(bucket: Bucket) -> Sequence[str | Leftover]:
    if not bucket.exists():
        return ()
    thing = f"bucket {bucket.name}"
    return (thing,) if bucket.delete_if_empty() else (Leftover(thing, "it is not empty"),)


def _place(context: Context) -> dict[str, str]:
    return {"endpoint": context.pipeline.bucket.endpoint, "region": context.pipeline.region}


def _identity(context: Context) -> dict[str, str]:
    spec = context.pipeline.bucket
    return {
        "bucket.name": spec.name,
        "bucket.endpoint": spec.endpoint,
        "region": context.pipeline.region,
    }


def _create(context: Context, work: Work) -> None:
    from lfvpipe.storage import AccessDenied, BucketNameTaken

    try:
        context.bucket.create()
    except BucketNameTaken:
        work.save(creating=None)
        raise
    except AccessDenied:  # somebody who may will create it, unless only its guards were refused
        if not context.bucket.exists():
            work.save(creating=None)
        raise


def _created(context: Context, previous: Outcome | None) -> bool:
    if previous is None or previous.identity != _identity(context):
        return False
    return bool(previous.facts["created_by_us"])
