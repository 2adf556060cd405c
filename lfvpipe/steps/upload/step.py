"""The bucket's images, brought in line with the index: one listing, then what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.engine.inputs import settings
from lfvpipe.engine.outcome import Facts, Outcome, Word
from lfvpipe.engine.phrases import count, listing, size
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Leftover, Step, Work
from lfvpipe.steps import ownership
from lfvpipe.steps.context import Context
from lfvpipe.steps.extract.outcome import ExtractOutcome
from lfvpipe.steps.upload.outcome import Destination, UploadIdentity, UploadOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.engine.inputs import Input
    from lfvpipe.engine.reasons import Code


class UploadStep(Step[Context]):
    """Uploads the images and masks of the datasets that are not in the bucket, or not right."""

    name = "upload"
    needs = ("extract", "bucket")

    def inputs(self, context: Context) -> Sequence[Input]:
        """Return the prefix; images and bucket come from the steps before."""
        return settings({"bucket.prefix": context.pipeline.bucket.prefix})

    def act(self, context: Context, work: Work) -> Outcome:
        """List what is there, and upload what is not."""
        from lfvpipe.steps.upload.transfer import (
            Remote,
            Transfer,
            Wanted,
            journal_of,
            local_objects,
        )

        extract, spec = ExtractOutcome.of(work.upstream), context.pipeline.bucket
        to = Destination(
            endpoint=spec.endpoint,
            region=context.pipeline.region,
            name=spec.name,
            prefix=spec.prefix,
            index=extract.index,
            digest=extract.digest,
            lineage=work.lineage,
        )
        work.save(**to.as_json())  # killed from here on, `destroy` knows where objects may be
        ownership.announce(context, work)
        wanted = Wanted(context, to)
        total = sum(1 for _ in wanted)
        remote = Remote(context, to) if to.endpoint != "local" else None
        is_there = remote.has if remote else local_objects(context, to)
        transfer = Transfer(work, total, is_there)
        with journal_of(context, to).open("a", encoding="utf-8", newline="\n") as journal:
            journal.write("\n")  # ends a line that a crash may have torn
            context.bucket.put_many(
                transfer.lacking(wanted, journal), on_done=transfer.count, may_share=True
            )
        if remote:
            remote.note(wanted, anew=bool(transfer.uploaded))
        facts = UploadOutcome(
            **vars(to),
            objects=wanted.objects,
            bytes=wanted.bytes,
            uploaded=transfer.uploaded,
            uploaded_bytes=transfer.uploaded_bytes,
            example=wanted.example,
        )
        if work.previous is None:
            word: Word = "created" if transfer.uploaded else "found"
        else:
            word = "updated" if transfer.uploaded else "unchanged"
        identity = UploadIdentity(to.endpoint, to.name, to.prefix, to.digest)
        return Outcome(word, facts.as_json(), identity.as_json())

    def describe(self, outcome: Outcome) -> str:
        """Return how many objects there are, and what of them was uploaded."""
        upload = UploadOutcome.from_json(outcome.facts)
        return listing(
            count("objects", upload.objects),
            count("new", upload.uploaded),
            size(upload.uploaded_bytes),
        )

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report images that a local bucket lost, or that are damaged in it."""
        from lfvpipe.dataset.lines import DamagedLine
        from lfvpipe.steps.upload.transfer import damaged_keys

        facts = UploadOutcome.from_json(outcome.facts)
        if facts.endpoint != "local" or not (context.state_dir / facts.index).is_file():
            return ()  # without the index, `extract` runs first
        try:
            bad = damaged_keys(context, facts)
        except DamagedLine:
            return ()
        if not bad:
            return ()
        file = context.buckets_dir / facts.name / bad[0]
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        code: Code = "output-damaged" if file.is_file() else "output-missing"
        return (Reason(code, f"{file}{more}"),)

    def observe(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report how many of the images are no longer in the bucket, or no longer right."""
        from lfvpipe.steps.upload.transfer import Remote, Wanted, local_objects

        facts = UploadOutcome.from_json(outcome.facts)
        bucket = facts.place.bucket(context)
        if not bucket.exists():
            return (Reason("drift", "bucket", bucket.name, None),)
        is_local = facts.endpoint == "local"
        is_there = local_objects(context, facts) if is_local else Remote(context, facts).has
        wanted = Wanted(context, facts)
        absent = sum(not is_there(item) for item in wanted)
        if not absent:
            return ()
        return (Reason("drift", "images in the bucket", wanted.objects, wanted.objects - absent),)

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str | Leftover]:
        """Delete the index's objects that this pipeline uploaded and no other one uses."""
        from lfvpipe.steps.upload.transfer import remove

        return remove(context, UploadOutcome.from_json(outcome.facts))

    def abandon(self, context: Context, saved: Facts) -> Sequence[str | Leftover]:
        """See `Step.abandon`: delete what an unfinished attempt uploaded."""
        from lfvpipe.steps.upload.transfer import remove

        return remove(context, Destination.from_json(saved))
