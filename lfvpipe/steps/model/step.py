"""The model: one version for each fingerprint, found again or trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lfvpipe.engine.inputs import settings
from lfvpipe.engine.outcome import Facts, Json, Outcome, Word
from lfvpipe.engine.reasons import Reason
from lfvpipe.engine.step import Cancelled, Step, Work
from lfvpipe.lookout.descriptions import describe_model, describe_project, timestamp
from lfvpipe.lookout.failures import LookoutError, explained
from lfvpipe.steps.attempts import attempt_token
from lfvpipe.steps.context import Context
from lfvpipe.steps.model.removal import removed
from lfvpipe.steps.model.training import TRAINED, brief, counted, ongoing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lfvpipe.engine.inputs import Input
    from lfvpipe.lookout.api import Tag
    from lfvpipe.lookout.descriptions import Description

FINGERPRINT_TAG = "lfvpipe:fingerprint"
PIPELINE_TAG = "lfvpipe:pipeline"
COSTS_TAG = "lfvpipe:costs"
THOROUGH_TAG = "lfvpipe:thorough"
UNFIT = frozenset({"TRAINING_FAILED", "DELETING"})


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
        costs = pipeline.evaluate.costs
        thorough: Facts = {"model.thorough": True} if pipeline.model.thorough else {}
        return settings(
            {
                "bucket.prefix": pipeline.bucket.prefix,
                "model.output_prefix": pipeline.model.output_prefix,
                "evaluate.costs.false_accept": costs.false_accept if costs else None,
                "evaluate.costs.false_reject": costs.false_reject if costs else None,
                **thorough,
            }
        )

    def act(self, context: Context, work: Work) -> Outcome:
        """Find this fingerprint's version or create one, and wait until it is trained."""
        version, word = _version(context, work)
        trained = _wait(context, work, version)
        ours = word == "created" or _was_ours(work, version)
        return Outcome(word, _facts(context, work, trained, ours), _identity(context, trained))

    def observe(self, context: Context, outcome: Outcome) -> Sequence[Reason]:
        """Report a version that is gone or no longer usable."""
        version = str(outcome.facts["version"])
        found = describe_model(context.lookout, str(outcome.facts["project"]), version)
        status = found["Status"] if found else None
        if status in TRAINED:
            return []
        return [Reason("drift", f"model version {version}", "TRAINED", status)]

    def destroy(self, context: Context, outcome: Outcome) -> Sequence[str]:
        """Delete the version that this pipeline created, stopped first, with what it left.

        So are the versions of the same fingerprint whose training failed before it.
        """
        project, version = str(outcome.facts["project"]), str(outcome.facts["version"])
        found = describe_model(context.lookout, project, version)
        ours = outcome.facts["created_by_us"] and found is not None and _same(found, outcome)
        versions = [*([version] if ours else []), *_texts(outcome.facts.get("failed_versions"))]
        return _remove(context, project, versions, outcome.facts)

    def ongoing(self, context: Context, saved: Facts) -> str:
        """Return that the version which an unfinished attempt created trains on, or has trained."""
        return ongoing(context, saved)

    def abandon(self, context: Context, saved: Facts) -> Sequence[str]:
        """Delete the versions that unfinished attempts created; fails while one is in training."""
        project = str(saved.get("project", context.pipeline.project))
        answered = [str(saved["version"])] if saved.get("version") else []
        versions = [*answered, *_unanswered(context, project, saved)]
        versions += _texts(saved.get("failed_versions"))
        return _remove(context, project, versions, saved)


def _version(context: Context, work: Work) -> tuple[str, Word]:
    """Return the version to wait for, and whether it was there before this attempt.

    ``after`` is saved before CreateModel is called: who finds it was killed or failed around that
    call, and a version of this fingerprint that is newer is the one that the call made.
    """
    saved = work.saved.get("version")
    if isinstance(saved, str) and describe_model(context.lookout, context.pipeline.project, saved):
        return saved, "created"
    called = "after" in work.saved
    after = int(str(work.saved["after"])) if called else _insisted(context, work)
    project = context.pipeline.project
    found = _of_fingerprint(context, work.fingerprint, after, project)
    if found is not None and not called:
        return found, "adopted"
    endpoint = context.pipeline.bucket.endpoint
    work.save(after=after, project=project, fingerprint=work.fingerprint, bucket_endpoint=endpoint)
    version = found or _create(context, work)
    work.save(version=version)
    return version, "created"


def _insisted(context: Context, work: Work) -> int:
    """Return the version that is good, but after which the user insists on another one; else 0."""
    previous = work.previous
    if previous is None or previous.facts.get("fingerprint") != work.fingerprint:
        return 0
    version = str(previous.facts["version"])
    found = describe_model(context.lookout, context.pipeline.project, version)
    return int(version) if found and found["Status"] in TRAINED else 0


def _of_fingerprint(context: Context, fingerprint: str, after: int, project: str) -> str | None:
    """Return the newest version over `after` that is trained or in training for `fingerprint`."""
    with explained(f"listing the models of project {project}"):
        pages = context.lookout.get_paginator("list_models").paginate(ProjectName=project)
        models = [model for page in pages for model in page["Models"]]
    newest_first = sorted(models, key=_number, reverse=True)
    fitting = (
        str(_number(model))
        for model in newest_first
        if _number(model) > after
        and model["Status"] not in UNFIT
        and _tags(context, model).get(FINGERPRINT_TAG) == fingerprint
    )
    return next(fitting, None)


def _number(model: Description) -> int:
    return int(model["ModelVersion"])


def _tags(context: Context, model: Description) -> Mapping[str, str]:
    arn = model["ModelArn"]
    with explained(f"reading the tags of {arn}"):
        tags = context.lookout.list_tags_for_resource(ResourceArn=arn).get("Tags", ())
    return {tag["Key"]: tag["Value"] for tag in tags}


def _create(context: Context, work: Work) -> str:
    pipeline = context.pipeline
    prefix = pipeline.bucket.prefix + pipeline.model.output_prefix
    optional = {"Description": pipeline.model.description} if pipeline.model.description else {}
    with explained(f"creating a model of project {pipeline.project}"):
        made = context.lookout.create_model(
            ProjectName=pipeline.project,
            OutputConfig={"S3Location": {"Bucket": pipeline.bucket.name, "Prefix": prefix}},
            ClientToken=attempt_token(work, "create"),
            Tags=_new_tags(context, work),
            **optional,
        )
    return str(made["ModelMetadata"]["ModelVersion"])


def _new_tags(context: Context, work: Work) -> list[Tag]:
    tags = {FINGERPRINT_TAG: work.fingerprint, PIPELINE_TAG: context.pipeline.name}
    if costs := context.pipeline.evaluate.costs:
        tags[COSTS_TAG] = f"{costs.false_accept:g}:{costs.false_reject:g}"
    if context.pipeline.model.thorough:
        tags[THOROUGH_TAG] = "true"
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _wait(context: Context, work: Work, version: str) -> Description:
    """Wait until `version` is trained, showing what the service says of it meanwhile.

    One whose training failed is noted: the next attempt makes another, and both are `destroy`'s.
    """
    from lfvpipe.lookout.waiters import wait_for_model

    try:
        return wait_for_model(
            context.lookout,
            project=context.pipeline.project,
            version=version,
            on_status=lambda status, message: work.progress(
                *counted(message), "", f"version {version}: {brief(message) or status.lower()}"
            ),
            cancelled=work.cancelled,
        )
    except Cancelled as error:
        message = f"training goes on as version {version}; run again to resume"
        raise Cancelled(message) from error
    except LookoutError as error:
        if error.code in UNFIT:
            failed = [*_texts(work.saved.get("failed_versions")), version]
            work.save(version=None, failed_versions=failed)
        raise


def _was_ours(work: Work, version: str) -> bool:
    """Tell whether the adopted `version` was created by this ledger's earlier attempts."""
    facts: Facts = work.previous.facts if work.previous else {}
    return facts.get("version") == version and facts.get("created_by_us") is True


def _identity(context: Context, trained: Description) -> dict[str, Json]:
    return {
        "project": context.pipeline.project,
        "version": trained["ModelVersion"],
        "arn": trained["ModelArn"],
    }


def _facts(context: Context, work: Work, trained: Description, ours: bool) -> dict[str, Json]:
    performance: Mapping[str, Any] = trained.get("Performance", {})
    manifest, result = trained.get("EvaluationManifest"), trained.get("EvaluationResult")
    return _identity(context, trained) | {
        "f1": performance.get("F1Score"),
        "precision": performance.get("Precision"),
        "recall": performance.get("Recall"),
        "evaluation_manifest": _location(manifest),
        "evaluation_result": _location(result),
        "training_seconds": _seconds(trained),
        "created": timestamp(trained.get("CreationTimestamp")),
        "created_by_us": ours,
        "fingerprint": work.fingerprint,
        "bucket_endpoint": context.pipeline.bucket.endpoint,
        "failed_versions": _texts(work.saved.get("failed_versions")),
    }


def _location(found: Mapping[str, str] | None) -> Json:
    return {"bucket": found["Bucket"], "key": found["Key"]} if found else None


def _seconds(trained: Description) -> float | None:
    """Return how long training and evaluation took, as the service's own timestamps tell."""
    begin, end = trained.get("CreationTimestamp"), trained.get("EvaluationEndTimestamp")
    return round((end - begin).total_seconds(), 1) if begin and end else None


def _same(found: Description, outcome: Outcome) -> bool:
    created = timestamp(found.get("CreationTimestamp"))
    return found["ModelArn"] == outcome.facts["arn"] and created == outcome.facts["created"]


def _remove(context: Context, project: str, versions: Iterable[str], facts: Facts) -> list[str]:
    """Delete those of `versions` that are of the fingerprint, not others' under the same number."""
    print_ = facts.get("fingerprint")
    return [
        thing
        for version in versions
        if _is_of(context, project, version, print_)
        for thing in removed(context, project, version, facts)
    ]


def _unanswered(context: Context, project: str, saved: Facts) -> list[str]:
    """Return the version that a call made whose answer never came, if it made one."""
    if "version" in saved or not {"after", "fingerprint"} <= saved.keys():
        return []
    if describe_project(context.lookout, project) is None:
        return []
    after, fingerprint = int(str(saved["after"])), str(saved["fingerprint"])
    found = _of_fingerprint(context, fingerprint, after, project)
    return [found] if found else []


def _is_of(context: Context, project: str, version: str, fingerprint: Json) -> bool:
    """Tell whether `version` is there and not another one's under the same number."""
    found = describe_model(context.lookout, project, version)
    if found is None:
        return False
    return fingerprint is None or _tags(context, found).get(FINGERPRINT_TAG) == fingerprint


def _texts(value: Json) -> list[str]:
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else []
