"""The model: one version for each fingerprint, found again or trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.config.spec import Model, Service
from lfvpipe.engine.inputs import settings
from lfvpipe.engine.phrases import listing, score
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Leftover, Step, Work
from lfvpipe.lookout.descriptions import describe_model, timestamp
from lfvpipe.lookout.statuses import MODEL_TRAINED, ModelStatus
from lfvpipe.steps.context import Context
from lfvpipe.steps.intact import losses
from lfvpipe.steps.model.outcome import ModelOutcome, ModelSaved
from lfvpipe.steps.project import lost_project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.engine.inputs import Input
    from lfvpipe.engine.outcome import Facts, Outcome


class ModelStep(Step[Context]):
    """Trains a model version on the project's datasets, unless one of this fingerprint exists.

    The evaluation files go to ``bucket.prefix`` + ``model.output_prefix``, plainly joined, so
    that everything of a pipeline lies under its prefix. The description is no input: a new one
    goes to the next version and is no reason to train again.
    """

    name = "model"
    needs = ("datasets",)

    def inputs(self, context: Context) -> Sequence[Input]:
        """Return what decides how the model comes out and where its evaluation lies."""
        pipeline = context.pipeline
        # Keys that came later are named only where they say something: a model of an earlier
        # version stays the model of its fingerprint.
        effort = pipeline.model.effort
        asked: Facts = {"model.effort": effort} if effort != Model.effort else {}
        detector = pipeline.service.detector
        images = pipeline.images
        # What was prepared is an input already; this is how the model sees what is not.
        background: Facts = (
            {"images.background": images.background}
            if images.background != type(images).background
            else {}
        )
        other: Facts = {"service.detector": detector} if detector != Service.detector else {}
        return settings(
            {
                "bucket.prefix": pipeline.bucket.prefix,
                "model.output_prefix": pipeline.model.output_prefix,
                # Nothing that a model is made of; once it was, and this is how models are known.
                "evaluate.costs.false_accept": None,
                "evaluate.costs.false_reject": None,
                **asked,
                **background,
                **other,
            }
        )

    def act(self, context: Context, work: Work) -> Outcome:
        """Find this fingerprint's version or create one, and wait until it is trained."""
        from lfvpipe.steps.model.training import train

        return train(context, work)

    def describe(self, outcome: Outcome) -> str:
        """Return the model's version and its scores."""
        model = ModelOutcome.from_json(outcome.facts)
        return listing(
            f"version {model.version}",
            f"weights of version {model.weights_of}" if model.weights_of else "",
            score("F1", model.f1),
            score("precision", model.precision),
            score("recall", model.recall),
        )

    def missing(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a version that the embedded service's state has lost, or whose file is damaged."""
        if context.pipeline.service.endpoint != "embedded":
            return ()
        import sqlite3

        from lfvpipe.service import looks

        facts = ModelOutcome.from_json(outcome.facts)
        if lost := lost_project(context, facts.project):
            return lost
        where = context.service_dir, context.pipeline.region
        try:
            found = looks.find_model(*where, facts.project, facts.version)
        except (looks.StateDamaged, sqlite3.Error):
            return ()
        if found is None:
            return [Reason("output-missing", f"model version {facts.version}")]
        if found.detector != Service.detector:  # its files are its own matter
            return ()
        return losses(context, "model", {str(found.file): looks.is_whole_model})

    def observe(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a version that is gone or no longer usable."""
        facts = ModelOutcome.from_json(outcome.facts)
        found = describe_model(context.lookout, facts.project, facts.version)
        status = found["Status"] if found else None
        if status in MODEL_TRAINED:
            return []
        return [Reason("drift", f"model version {facts.version}", ModelStatus.TRAINED, status)]

    def stays(self, outcome: Outcome) -> str | None:
        """See `Step.stays`: what this pipeline did not create."""
        is_ours = ModelOutcome.from_json(outcome.facts).created_by_us
        return None if is_ours else self.describe(outcome)

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str | Leftover]:
        """Delete the version that this pipeline created, stopped first, with what it left.

        So are the versions of the same fingerprint whose training failed before it.
        """
        from lfvpipe.steps.model.removal import remove

        facts = ModelOutcome.from_json(outcome.facts)
        found = describe_model(context.lookout, facts.project, facts.version)
        is_ours = (
            facts.created_by_us
            and found is not None
            and (found["ModelArn"], timestamp(found.get("CreationTimestamp")))
            == (facts.arn, facts.created)
        )
        versions = [*([facts.version] if is_ours else []), *facts.failed_versions]
        return remove(
            context,
            facts.project,
            versions,
            facts.fingerprint,
            facts.bucket_endpoint,
            facts.lineage,
        )

    def ongoing(self, context: Context, saved: Facts) -> str:
        """Return that the version which an unfinished attempt created trains on, or has trained.

        The embedded service's own file tells; another service cannot be asked without a network.
        """
        found = ModelSaved.from_json(saved)
        if found.version is None:
            return ""
        status: str | None = ModelStatus.TRAINING
        was_killed = False
        if context.pipeline.service.endpoint == "embedded":
            from lfvpipe.service.embedded import model_status, stands_still

            project = found.project or context.pipeline.project
            where = (context.service_dir, context.pipeline.region, project, found.version)
            status, was_killed = model_status(*where), stands_still(*where)
        if status in MODEL_TRAINED:
            return f"version {found.version} is trained by now, and `lfvpipe run` takes it up"
        if status == ModelStatus.TRAINING and was_killed:
            version = f"the training of version {found.version}"
            return f"{version} was interrupted, and `lfvpipe run` goes on with it"
        if status == ModelStatus.TRAINING:
            return f"training goes on as version {found.version}, and `lfvpipe run` takes it up"
        return ""

    def abandon(self, context: Context, saved: Facts) -> Sequence[str | Leftover]:
        """Delete the versions that unfinished attempts created; fails while one is in training."""
        from lfvpipe.steps.model.removal import remove
        from lfvpipe.steps.model.training import unanswered_version

        found = ModelSaved.from_json(saved)
        project = found.project or context.pipeline.project
        newest = found.version or unanswered_version(context, project, found)
        versions = [*([newest] if newest else []), *found.failed_versions]
        return remove(
            context, project, versions, found.fingerprint, found.bucket_endpoint, found.lineage
        )
