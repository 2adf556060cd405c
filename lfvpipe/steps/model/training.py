"""A model version for a fingerprint: found again or created, and waited for.

The durable hand-over between CreateModel and the ledger. A training takes up to hours, so at
whatever moment the process dies, the next attempt must find the version that was created, and must
not create a second one:

1. `after` is saved: from here on, a version of this fingerprint with a larger number is the one
   that this attempt created.
2. CreateModel is called. The version carries the fingerprint as a tag, and the call a client token
   that the attempt keeps when it is killed.
3. The version is saved.

Killed before 2, the next attempt finds no such version, and calls. Killed between 2 and 3, or
without an answer, it finds the version by its tag; and if the service does not list it yet, the
call with the same token is answered with the same version. Killed after 3, it waits for it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lfvpipe.config.spec import Model
from lfvpipe.engine.outcome import Outcome
from lfvpipe.engine.step import Cancelled, Detached
from lfvpipe.errors import UserError
from lfvpipe.lookout import rules, tags
from lfvpipe.lookout.descriptions import (
    describe_model,
    describe_project,
    describe_tags,
    timestamp,
)
from lfvpipe.lookout.failures import ABSENT, LookoutError, explained
from lfvpipe.lookout.progress import TrainingProgress, Weights
from lfvpipe.lookout.statuses import MODEL_TRAINED, ModelStatus
from lfvpipe.lookout.waiters import wait_for_model
from lfvpipe.steps.attempts import attempt_token
from lfvpipe.steps.datasets.meant import insist_on_datasets
from lfvpipe.steps.extract.outcome import ExtractOutcome
from lfvpipe.steps.model.evaluation_files import digests
from lfvpipe.steps.model.outcome import ModelIdentity, ModelOutcome, ModelSaved, ObjectLocation
from lfvpipe.steps.upload.transfer import mend

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfvpipe.engine.outcome import Word
    from lfvpipe.engine.step import Work
    from lfvpipe.lookout.api import Tag
    from lfvpipe.lookout.descriptions import Description
    from lfvpipe.steps.context import Context

_UNFIT = frozenset({ModelStatus.TRAINING_FAILED, ModelStatus.DELETING})


def train(context: Context, work: Work) -> Outcome:
    """Find this fingerprint's version or create one, and wait until it is trained.

    Raises:
        LookoutError: A call failed, or the training did.
        Cancelled: The user asked to stop; the training goes on.
    """
    version, word = _find_or_create(context, work)
    trained = _wait(context, work, version)
    previous = ModelOutcome.from_json(work.previous.facts) if work.previous else None
    was_ours = previous is not None and previous.version == version and previous.created_by_us
    identity = ModelIdentity(context.pipeline.project, trained["ModelVersion"], trained["ModelArn"])
    performance: Mapping[str, Any] = trained.get("Performance", {})
    weights = Weights.from_message(trained.get("StatusMessage", ""))
    began, ended = trained.get("CreationTimestamp"), trained.get("EvaluationEndTimestamp")
    facts = ModelOutcome(
        **vars(identity),
        f1=performance.get("F1Score"),
        precision=performance.get("Precision"),
        recall=performance.get("Recall"),
        evaluation_manifest=ObjectLocation.of(trained.get("EvaluationManifest")),
        evaluation_result=ObjectLocation.of(trained.get("EvaluationResult")),
        training_seconds=round((ended - began).total_seconds(), 1) if began and ended else None,
        created=timestamp(began),
        created_by_us=word == "created" or was_ours,
        fingerprint=work.fingerprint,
        bucket_endpoint=context.pipeline.bucket.endpoint,
        failed_versions=ModelSaved.of(work).failed_versions,
        lineage=work.lineage,
        weights_of=weights.version if weights else None,
    )
    # Of a version that is known already: its files may have been damaged since.
    known = previous.evaluation_sha256 if previous and previous.arn == facts.arn else None
    facts = replace(facts, evaluation_sha256=known or digests(context, facts))
    return Outcome(word, facts.as_json(), identity.as_json())


def _find_or_create(context: Context, work: Work) -> tuple[str, Word]:
    """Return the version to wait for, and whether this attempt or one before it created it."""
    pipeline, saved = context.pipeline, ModelSaved.of(work)
    if saved.version and describe_model(context.lookout, pipeline.project, saved.version):
        return saved.version, "created"
    was_called = saved.after is not None
    after = _version_to_surpass(context, work) if saved.after is None else saved.after
    ours = work.lineage if was_called else None
    found = _find(context, pipeline.project, work.fingerprint, after, ours)
    if found is not None and not was_called:
        return found, "adopted"
    calling = replace(
        saved,
        after=after,
        project=pipeline.project,
        fingerprint=work.fingerprint,
        lineage=work.lineage,
        bucket_endpoint=pipeline.bucket.endpoint,
    )
    if found is None:
        mend(context, work)
        insist_on_datasets(context, work)
    calling.save(work)
    # Where a version is good already, the user insists on another one: it has to learn anew.
    version = found or _create(context, work, is_to_learn=after > 0)
    replace(calling, version=version).save(work)
    return version, "created"


def _version_to_surpass(context: Context, work: Work) -> int:
    """Return the version that is good, but after which the user insists on another one; else 0.

    The step would not run again at the very fingerprint of its last outcome if that were all
    right, so the model is gone, or the user forces the step.
    """
    previous = ModelOutcome.from_json(work.previous.facts) if work.previous else None
    if previous is None or previous.fingerprint != work.fingerprint:
        return 0
    found = describe_model(context.lookout, context.pipeline.project, previous.version)
    return int(previous.version) if found and found["Status"] in MODEL_TRAINED else 0


def _find(
    context: Context, project: str, fingerprint: str, after: int, lineage: str | None = None
) -> str | None:
    """Return the newest version over `after` that is trained or in training for `fingerprint`.

    With a `lineage` none that its tag says another pipeline made.
    """
    with explained(f"listing the models of project {project}"):
        pages = context.lookout.get_paginator("list_models").paginate(ProjectName=project)
        models = {int(model["ModelVersion"]): model for page in pages for model in page["Models"]}
    for number, model in sorted(models.items(), reverse=True):
        is_fit = number > after and model["Status"] not in _UNFIT
        if not is_fit:
            continue
        said = describe_tags(context.lookout, model)
        is_ours = lineage is None or said.get(tags.LINEAGE) in (None, lineage)
        if said.get(tags.FINGERPRINT) == fingerprint and is_ours:
            return str(number)
    return None


def unanswered_version(context: Context, project: str, saved: ModelSaved) -> str | None:
    """Return the version that a call of CreateModel made whose answer never came, if it did."""
    if saved.after is None or saved.fingerprint is None:
        return None
    if describe_project(context.lookout, project) is None:
        return None
    return _find(context, project, saved.fingerprint, saved.after, saved.lineage)


def _create(context: Context, work: Work, *, is_to_learn: bool) -> str:
    pipeline = context.pipeline
    prefix = pipeline.bucket.prefix + pipeline.model.output_prefix
    optional = {"Description": pipeline.model.description} if pipeline.model.description else {}
    given = {
        tags.FINGERPRINT: work.fingerprint,
        tags.PIPELINE: pipeline.name,
        tags.LINEAGE: work.lineage,
    }
    if pipeline.model.effort != Model.effort:
        given[tags.EFFORT] = pipeline.model.effort
    extracted = ExtractOutcome.of(work.upstream)
    if is_to_learn:
        given[tags.LEARN] = tags.ANEW
    if pixels := pipeline.images.rules(extracted.white).as_text():
        given[tags.PIXELS] = pixels
    given |= tags.split_value(tags.GEOMETRY, extracted.geometry or "")
    if len(given) > rules.MAX_TAGS:
        raise UserError(
            "The mask of what is ignored is too detailed to go with the model.",
            hint="Draw it with fewer edges, or name polygons, as `images.ignore`.",
        )
    as_listed: list[Tag] = [{"Key": key, "Value": value} for key, value in given.items()]
    with explained(f"creating a model of project {pipeline.project}"):
        made = context.lookout.create_model(
            ProjectName=pipeline.project,
            OutputConfig={"S3Location": {"Bucket": pipeline.bucket.name, "Prefix": prefix}},
            ClientToken=attempt_token(work, "create"),
            Tags=as_listed,
            **optional,
        )
    return str(made["ModelMetadata"]["ModelVersion"])


def _wait(context: Context, work: Work, version: str) -> Description:
    """Wait until `version` is trained, showing what the service says of it meanwhile.

    One whose training failed is noted: the next attempt makes another, and both are `destroy`'s.
    """

    def show(status: str, message: str) -> None:
        said = TrainingProgress.from_message(message)
        if said is None:
            detail = message.rstrip(". ") or status.lower()
            work.progress(0, None, "", f"version {version}: {detail}")
        else:
            whole = None if said.percent is None else 100
            work.progress(said.percent or 0, whole, "", said.phrase)

    if context.detach:
        found = describe_model(context.lookout, context.pipeline.project, version)
        if found and found["Status"] == ModelStatus.TRAINING:
            raise Detached(f"Training goes on as version {version}; run again to take it up.")
    try:
        return wait_for_model(
            context.lookout,
            project=context.pipeline.project,
            version=version,
            on_status=show,
            cancelled=work.cancelled,
        )
    except Cancelled as error:
        message = f"Training goes on as version {version}; run again to resume."
        raise Cancelled(message) from error
    except LookoutError as error:
        if error.code in {ABSENT, ModelStatus.DELETING}:
            message = f"The training of version {version} was cancelled; run again to resume."
            raise Cancelled(message) from error
        if error.code in _UNFIT:
            saved = ModelSaved.of(work)
            failed = (*saved.failed_versions, version)
            replace(saved, version=None, failed_versions=failed).save(work)
        raise
