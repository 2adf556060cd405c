"""A step of your own: it counts the objects in the pipeline's bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.engine.inputs import Setting
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.step import Step, Work
from lfvpipe.steps.context import Context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.engine.inputs import Input


class CountStep(Step[Context]):
    """Counts the objects in the pipeline's bucket."""

    name = "count"
    needs = ("upload",)

    def inputs(self, context: Context) -> Sequence[Input]:
        """Return what decides whether it runs again, beside the outcomes of what it needs."""
        return [Setting("bucket.prefix", context.pipeline.bucket.prefix)]

    def act(self, context: Context, work: Work) -> Outcome:
        """Count; return facts that the ledger keeps."""
        count = sum(1 for _ in context.bucket.list(context.pipeline.bucket.prefix))
        work.progress(count, count, "objects")
        return Outcome("created", {"objects": count})

    def describe(self, outcome: Outcome) -> str:
        """Return what of the facts is worth showing behind the step's line."""
        return f"{outcome.facts['objects']} objects"
