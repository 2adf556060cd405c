"""Holds the images against the service's rules, and against the user's traps, before any cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lfvpipe.config.spec import Images
from lfvpipe.dataset.checks.findings import CheckFailed, Finding, write_names
from lfvpipe.dataset.sources import archive_stem
from lfvpipe.engine.facts import StepOutcome
from lfvpipe.engine.inputs import settings
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.phrases import count_of
from lfvpipe.engine.step import Step
from lfvpipe.steps.context import Context
from lfvpipe.steps.extract.outcome import ExtractOutcome
from lfvpipe.steps.select.outcome import SelectOutcome
from lfvpipe.steps.state_files import remove_files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.engine.inputs import Input
    from lfvpipe.engine.outcome import Facts
    from lfvpipe.engine.step import Work


@dataclass(frozen=True)
class CheckOutcome(StepOutcome):
    """What was found, none of it an error; the counts are those of extract."""

    step: ClassVar[str] = "check"

    findings: tuple[Finding, ...]
    counts: Mapping[str, Mapping[str, int]]


class CheckStep(Step[Context]):
    """Reads the index alone; contacts and creates nothing."""

    name = "check"
    needs = ("extract",)

    def inputs(self, context: Context) -> Sequence[Input]:
        """See `Step.inputs`."""
        pipeline = context.pipeline
        sources = pipeline.sources
        separate = sources.manifest.test if sources.manifest else pipeline.split.test
        archives = {
            label: archive_stem(source.archive) for label, source in sources.by_label.items()
        }
        service = pipeline.service
        # Left out at its default: an outcome from before there was the key stays good.
        unusual: Facts = {} if service.has_usual_limits else {"service.limits": service.limits}
        damaged = pipeline.images.damaged
        leave_out: Facts = {"images.damaged": damaged} if damaged != Images.damaged else {}
        return settings(
            {
                "split.test": separate is not None,
                **{f"sources.{label}.archive": name for label, name in archives.items()},
                **unusual,
                **leave_out,
            }
        )

    def act(self, context: Context, work: Work) -> Outcome:
        """See `Step.act`.

        Raises:
            CheckFailed: A rule of the service is broken.
        """
        from lfvpipe.dataset.checks.rules import find_problems
        from lfvpipe.dataset.index import read_index, read_notes
        from lfvpipe.images import Geometry

        extract = ExtractOutcome.of(work.upstream)
        images = list(read_index(context.state_dir / extract.index))
        notes = {note.id: note for note in read_notes(context.state_dir / extract.notes)}
        selected = SelectOutcome.of(work.upstream)
        geometry = Geometry.from_text(extract.geometry or "")
        found = find_problems(context.pipeline, images, notes, selected.counts, geometry)
        place = write_names(context.state_dir / "check", found)
        if any(finding.level == "error" for finding in found):
            raise CheckFailed(found, place)
        for finding in found:
            work.warn(finding.told(place))
        found = [finding.shortened() for finding in found]
        found += selected.findings or ()  # which select has said already
        work.progress(len(images), len(images), "images")
        return Outcome(
            "created",
            CheckOutcome(tuple(found), extract.counts).as_json(),
            {"findings": len(found), "index": extract.digest},
        )

    def describe(self, outcome: Outcome) -> str:
        """Return how many findings there are."""
        findings = CheckOutcome.from_json(outcome.facts).findings
        return count_of(len(findings), "finding") if findings else ""

    def destroy(self, context: Context, _outcome: Outcome) -> Sequence[str]:
        """Remove the lists of images that findings name."""
        return remove_files(context, "check")
