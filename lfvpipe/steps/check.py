"""Holds the images against the service's rules, and against the user's traps, before any cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfvpipe.dataset.sources import archive_stem
from lfvpipe.engine.inputs import settings
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.step import Step
from lfvpipe.steps.context import Context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.engine.inputs import Input
    from lfvpipe.engine.step import Work


class CheckStep(Step[Context]):
    """Reads the index alone; contacts and creates nothing."""

    name = "check"
    needs = ("extract",)

    def inputs(self, context: Context) -> Sequence[Input]:
        """See `Step.inputs`."""
        pipeline = context.pipeline
        sources = pipeline.sources
        separate = sources.manifest.test if sources.manifest else pipeline.split.test
        archives = {label: archive_stem(source.archive) for label, source in sources.labels.items()}
        return settings(
            {"split.test": separate is not None}
            | {f"sources.{label}.archive": name for label, name in archives.items()}
        )

    def act(self, context: Context, work: Work) -> Outcome:
        """See `Step.act`.

        Raises:
            CheckFailed: A rule of the service is broken.
        """
        from lfvpipe.dataset.checks.findings import CheckFailed
        from lfvpipe.dataset.checks.rules import findings_of
        from lfvpipe.dataset.index import read_index, read_lines

        facts = work.upstream["extract"].facts
        images = list(read_index(context.state_dir / str(facts["index"])))
        notes = {str(n["id"]): n for n in read_lines(context.state_dir / str(facts["notes"]))}
        counts: Any = work.upstream["select"].facts["counts"]
        found = findings_of(context.pipeline, images, notes, counts)
        if any(finding.level == "error" for finding in found):
            raise CheckFailed(found)
        for finding in found:
            work.warn(finding.message)
        work.progress(len(images), len(images), "images")
        return Outcome(
            "created",
            {"findings": [finding.facts() for finding in found], "counts": facts["counts"]},
            {"findings": len(found), "index": facts["digest"]},
        )
