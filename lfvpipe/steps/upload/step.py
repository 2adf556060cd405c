"""The bucket's images, brought in line with the index: one listing, then what differs."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from lfvpipe.engine.inputs import settings
from lfvpipe.engine.outcome import Facts, Json, Outcome, Word
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Step, Work
from lfvpipe.steps.bucket import bucket_of
from lfvpipe.steps.context import Context
from lfvpipe.steps.extract.outcome import ExtractOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lfvpipe.engine.inputs import Input
    from lfvpipe.storage import Bucket


class UploadStep(Step[Context]):
    """Uploads the images and masks of the datasets; keys tell the content, so size is enough."""

    name = "upload"
    needs = ("extract", "bucket")

    def inputs(self, context: Context) -> Sequence[Input]:
        """Return the prefix; images and bucket come from the steps before."""
        return settings({"bucket.prefix": context.pipeline.bucket.prefix})

    def act(self, context: Context, work: Work) -> Outcome:
        """List what is there, and upload what is not."""
        from lfvpipe.steps.upload.transfer import Transfer, Wanted

        facts = _facts(context, work)
        work.save(**facts)  # killed from here on, `destroy` knows where objects may be
        wanted = Wanted(context, facts)
        total = sum(1 for _ in wanted)
        transfer = Transfer(work, total, _listing(context.bucket, str(facts["prefix"])))
        with _journal(context, facts).open("a", encoding="utf-8", newline="\n") as journal:
            journal.write("\n")  # ends a line that a crash may have torn
            context.bucket.put_many(transfer.lacking(wanted, journal), on_done=transfer.done)
        counts: dict[str, Json] = {
            "objects": wanted.objects,
            "bytes": wanted.bytes,
            "uploaded": transfer.uploaded,
            "uploaded_bytes": transfer.uploaded_bytes,
            "example": wanted.example,
        }
        identity = {name: facts[name] for name in ("endpoint", "name", "prefix", "digest")}
        return Outcome(_word(work, transfer.uploaded), facts | counts, identity)

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a local bucket that lost its images; one of them stands for all."""
        example = outcome.facts["example"]
        if outcome.facts["endpoint"] != "local" or not example:
            return ()
        file = context.buckets_dir / str(outcome.facts["name"]) / str(example)
        return () if file.is_file() else (Reason("output-missing", str(file)),)

    def observe(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report how many of the images are no longer in the bucket."""
        from lfvpipe.steps.upload.transfer import Wanted

        bucket = bucket_of(context, outcome.facts)
        if not bucket.exists():
            return (Reason("drift", "bucket", bucket.name, None),)
        there = _listing(bucket, str(outcome.facts["prefix"]))
        wanted = Wanted(context, outcome.facts)
        absent = sum(there.get(item.key) != item.size for item in wanted)
        if not absent:
            return ()
        return (Reason("drift", "images in the bucket", wanted.objects, wanted.objects - absent),)

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str]:
        """Delete the index's objects that this pipeline uploaded, not those it found there."""
        return _removed(context, outcome.facts)

    def abandon(self, context: Context, saved: Facts) -> Sequence[str]:
        """See `Step.abandon`: delete what an unfinished attempt uploaded."""
        return _removed(context, saved)


def _removed(context: Context, facts: Facts) -> Sequence[str]:
    from lfvpipe.atomic import write_text
    from lfvpipe.steps.upload.transfer import Wanted

    bucket, journal = bucket_of(context, facts), _journal(context, facts)
    keys = ours = _noted(journal)
    if (context.state_dir / str(facts["index"])).exists():
        keys = ours & {item.key for item in Wanted(context, facts)}
    if not keys or not bucket.exists():
        return ()
    bucket.delete(sorted(keys))
    write_text(journal, "".join(f"{key}\n" for key in sorted(ours - keys)))
    return (f"{len(keys)} objects in bucket {bucket.name}",)


def _facts(context: Context, work: Work) -> dict[str, Json]:
    extract = ExtractOutcome.of(work.upstream)
    spec = context.pipeline.bucket
    return {
        "endpoint": spec.endpoint,
        "region": context.pipeline.region,
        "name": spec.name,
        "prefix": spec.prefix,
        "index": extract.index,
        "digest": extract.digest,
    }


def _listing(bucket: Bucket, prefix: str) -> dict[str, int]:
    return {found.key: found.size for found in bucket.list(prefix)}


def _journal(context: Context, facts: Facts) -> Path:
    """Return the file with the keys that this pipeline has uploaded (or was about to)."""
    place = json.dumps([facts["endpoint"], facts["name"]]).encode()
    folder = context.state_dir / "upload"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{hashlib.sha256(place).hexdigest()[:16]}.keys"


def _noted(journal: Path) -> set[str]:
    if not journal.exists():
        return set()
    with journal.open(encoding="utf-8", newline="\n") as lines:
        return {line[:-1] for line in lines if line.endswith("\n")} - {""}


def _word(work: Work, uploaded: int) -> Word:
    if work.previous is None:
        return "created" if uploaded else "adopted"
    return "updated" if uploaded else "unchanged"
