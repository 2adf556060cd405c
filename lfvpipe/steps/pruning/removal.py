"""Removes a group of what nothing needs, safe to kill anywhere: things first, then what knew them.

Killed in between, an outcome of the ledger is without its files, which the step's `missing` finds
should somebody go back to it; and the next survey finds the rest.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from lfvpipe import atomic
from lfvpipe.dataset.kept import Bounds, store_of
from lfvpipe.engine.step import Leftover
from lfvpipe.errors import UserError
from lfvpipe.steps import ownership
from lfvpipe.steps.model.step import ModelStep
from lfvpipe.steps.upload.outcome import Destination
from lfvpipe.steps.upload.transfer import journal_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfvpipe.engine.ledger import Ledger
    from lfvpipe.engine.outcome import Outcome
    from lfvpipe.steps.context import Context
    from lfvpipe.steps.pruning.survey import Group, Wish


def remove(context: Context, ledger: Ledger, group: Group, wish: Wish) -> list[Leftover]:
    """Remove what is in a group; return what could not be.

    Args:
        context: The pipeline.
        ledger: Its, whose lock the caller holds; what is gone is forgotten.
        group: As `survey` has found it under the same lock.
        wish: What stays.

    Raises:
        OSError: A file cannot be removed.
        StorageError: The bucket cannot be used.
        LedgerError: The ledger cannot be written.
    """
    left: list[Leftover] = []
    if group.kind == "models":
        return list(_remove_models(context, ledger, group))
    if group.kind == "objects":
        left += _remove_objects(context, ledger, group)
    elif group.kind == "verdicts" and wish.verdicts is not None:
        region, project = context.pipeline.region, context.pipeline.project
        store_of(context.state_root, region, project, Bounds(verdicts=wish.verdicts)).trim()
    else:
        for file in group.files:
            file.unlink(missing_ok=True)
        for folder in {file.parent for file in group.files}:
            with suppress(OSError):  # it is not empty
                if folder.parent.name in ("images", "cache", "cancelled"):
                    folder.rmdir()
    for step, digests in group.outcomes.items():
        ledger.forget_outcomes(step, digests)
    return left


def _remove_models(context: Context, ledger: Ledger, group: Group) -> Iterator[Leftover]:
    """Delete model versions with their evaluation files, each forgotten as soon as it is gone."""
    step = ModelStep()
    wanted: dict[str, Outcome] = {
        outcome.digest: outcome
        for record in ledger.records(step.name)
        for outcome in record.outcomes
        if outcome.digest in group.outcomes[step.name]
    }
    for digest, outcome in wanted.items():
        try:
            stayed = [x for x in step.destroy(context, outcome) if isinstance(x, Leftover)]
        except UserError as error:  # it is being packaged, or in use since
            stayed = [Leftover(f"model {outcome.facts.get('version')}", error.message)]
        yield from stayed
        if not stayed:
            ledger.forget_outcomes(step.name, {digest})


def _remove_objects(context: Context, ledger: Ledger, group: Group) -> list[Leftover]:
    spec, bucket = context.pipeline.bucket, context.bucket
    free, left = ownership.free_of_others(bucket, spec.prefix, ledger.lineage, group.keys)
    # First what is said of them to other pipelines, which do not touch what they cannot read; last
    # the journal, by which they are found again after a kill.
    ownership.keep_manifests(bucket, spec.prefix, ledger.lineage, without=free)
    bucket.delete(sorted(free))
    to = Destination("local", context.pipeline.region, spec.name, "", "", "")
    journal = journal_of(context, to)
    if journal.is_file():
        lines = journal.read_text("utf-8", errors="replace").split("\n")[:-1]
        folder = context.buckets_dir / spec.name
        kept = [key for key in dict.fromkeys(lines) if key and (folder / key).is_file()]
        atomic.write_text(journal, "".join(f"{key}\n" for key in kept))
    return left
