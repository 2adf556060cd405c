"""Decides which members of the archives are train, test, evaluation or unused images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.dataset.local_files import pattern_digests
from lfvpipe.dataset.sources import archive_stem
from lfvpipe.engine.inputs import InputFile, settings
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Step
from lfvpipe.steps.context import Context
from lfvpipe.steps.select.outcome import SelectOutcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lfvpipe.config.spec import Label, Pipeline, Share
    from lfvpipe.engine.inputs import Input
    from lfvpipe.engine.outcome import Json, Outcome
    from lfvpipe.engine.step import Work


class SelectStep(Step[Context]):
    """Reads the archives' directories, not their bytes, and writes the selection.

    Args:
        fetches: The names of the fetch steps.
    """

    name = "select"

    def __init__(self, fetches: Iterable[str]) -> None:
        self.needs = tuple(fetches)

    def inputs(self, context: Context) -> Sequence[Input]:
        """See `Step.inputs`."""
        pipeline = context.pipeline
        found: dict[str, Json] = {}
        if pipeline.sources.manifest is None:
            found |= _source_inputs(pipeline)
            found |= _share_inputs("sample", pipeline.sample.shares)
            found |= _share_inputs("split.train", pipeline.split.train)
            found |= _share_inputs("split.test", pipeline.split.test or {})
            found["sample.seed"] = pipeline.sample.seed
            found["evaluate.unused.per_label"] = pipeline.evaluate.unused_per_label
        found["evaluate.images"] = list(pipeline.evaluate.images)
        for number, archive in enumerate(pipeline.evaluate.archives):
            found[f"evaluate.archives.{number}.include"] = list(archive.include)
            found[f"evaluate.archives.{number}.label"] = archive.label
        inputs: list[Input] = [*settings(found), *_local_files(context)]
        if pipeline.sources.reviewed is not None:
            from lfvpipe.steps.select.corrections import effective

            inputs += effective(pipeline)
        return inputs

    def act(self, context: Context, work: Work) -> Outcome:
        """See `Step.act`; raises SelectionError, LabelsError and ArchiveError."""
        from lfvpipe.steps.select.selection import selected

        return selected(context, work)

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """See `Step.missing`."""
        file = context.state_dir / SelectOutcome.from_json(outcome.facts).selection
        return () if file.is_file() else (Reason("output-missing", file.name),)


def _source_inputs(pipeline: Pipeline) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for label, source in pipeline.sources.labels.items():
        found[f"sources.{label}.include"] = list(source.include)
        found[f"sources.{label}.masks"] = source.masks is not None
        # An archive's name can be the first part of an evaluation image's.
        found[f"sources.{label}.archive"] = archive_stem(source.archive)
    return found


def _local_files(context: Context) -> list[InputFile]:
    """Return what `evaluate.images` names beside the pipeline; one input a pattern.

    One, not one a file: the ledger holds no list that grows with the images.
    """
    index = context.state_dir / "select" / "files.json"
    digests = pattern_digests(context.pipeline, index)
    return [InputFile(pattern, digest) for pattern, digest in digests.items()]


def _share_inputs(key: str, shares: Mapping[Label, Share]) -> dict[str, Json]:
    """Return the shares under the key a user would have written: one for both labels if equal."""
    if len(set(shares.values())) == 1:
        shares_by_key = {key: next(iter(shares.values()))}
    else:
        shares_by_key = {f"{key}.{label}": share for label, share in shares.items()}
    return {
        f"{name}.{unit}": value
        for name, share in shares_by_key.items()
        for unit, value in (("percent", share.percent), ("count", share.count))
        if value is not None
    }
