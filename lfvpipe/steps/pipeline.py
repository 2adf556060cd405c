"""The steps of a pipeline, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.steps.bucket import BucketStep
from lfvpipe.steps.check import CheckStep
from lfvpipe.steps.datasets.step import DatasetsStep
from lfvpipe.steps.evaluate.step import EvaluateStep
from lfvpipe.steps.extract.step import ExtractStep
from lfvpipe.steps.fetch import fetch_steps
from lfvpipe.steps.manifests import ManifestsStep
from lfvpipe.steps.mlflow import MlflowStep
from lfvpipe.steps.model.step import ModelStep
from lfvpipe.steps.plugins import plugin_families, with_plugins
from lfvpipe.steps.project import ProjectStep
from lfvpipe.steps.report import ReportStep
from lfvpipe.steps.select.step import SelectStep
from lfvpipe.steps.upload.step import UploadStep

if TYPE_CHECKING:
    from lfvpipe.config.spec import Pipeline
    from lfvpipe.engine.step import Step
    from lfvpipe.steps.context import Context


def steps_of(pipeline: Pipeline) -> tuple[Step[Context], ...]:
    """Return the steps of `pipeline`: its fetches, those of every one, what follows a run.

    The tuple is the order in which they are shown and run; what runs with what is said by their
    `needs`. Steps that other distributions bring stand after the last one that each of them needs.

    Raises:
        UserError: A distribution brings a step that cannot be used.
    """
    fetches = tuple(fetch_steps(pipeline))
    following = (MlflowStep(),) if pipeline.mlflow else ()
    ours = (*fetches, *_of_every_one(tuple(step.name for step in fetches)), *following)
    return with_plugins(ours, pipeline)


def families() -> tuple[str, ...]:
    """Return the families of the steps that a pipeline can have, in order."""
    ours = (step.family for step in _of_every_one(()))
    return ("fetch", *ours, MlflowStep.name, *plugin_families())


def _of_every_one(fetches: tuple[str, ...]) -> tuple[Step[Context], ...]:
    return (
        SelectStep(fetches),
        ExtractStep(),
        CheckStep(),
        BucketStep(),
        UploadStep(),
        ManifestsStep(),
        ProjectStep(),
        DatasetsStep(),
        ModelStep(),
        EvaluateStep(),
        ReportStep(),
    )
