"""Takes a model version away again, stopped first, with what training left in the bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.lookout.descriptions import describe_model
from lfvpipe.lookout.failures import ABSENT, LookoutError, explained
from lfvpipe.steps.bucket import bucket_of

if TYPE_CHECKING:
    from lfvpipe.engine.outcome import Facts
    from lfvpipe.lookout.descriptions import Description
    from lfvpipe.steps.context import Context


def removed(context: Context, project: str, version: str, facts: Facts) -> list[str]:
    """Delete a model version and its evaluation files; return what was deleted.

    Args:
        context: The pipeline, which may name another bucket by now.
        project: The version's project.
        version: The version.
        facts: With the ``bucket_endpoint`` that the version was made with.

    Raises:
        LookoutError: The service refuses, as it does while the version is in training.
    """
    found = describe_model(context.lookout, project, version)
    if found is None:
        return []
    return [*_without_evaluation(context, found, facts), *_deleted(context, project, version)]


def _without_evaluation(context: Context, found: Description, facts: Facts) -> list[str]:
    """Delete the evaluation files that training left in a bucket, and name them."""
    files = [found[name] for name in ("EvaluationManifest", "EvaluationResult") if name in found]
    deleted = []
    for file in files:
        bucket = bucket_of(context, _place(context, file["Bucket"], facts))
        if bucket.exists():
            bucket.delete([file["Key"]])
            deleted.append(file["Key"])
    return deleted


def _place(context: Context, name: str, facts: Facts) -> Facts:
    """Return where the bucket is; a ledger from before endpoints were kept knows only one."""
    endpoint = facts.get("bucket_endpoint", context.pipeline.bucket.endpoint)
    return {"name": name, "endpoint": endpoint, "region": context.pipeline.region}


def _deleted(context: Context, project: str, version: str) -> list[str]:
    """Stop and delete a model version, wait until it is gone, and say what was deleted."""
    from lfvpipe.lookout.waiters import wait_for_model_deletion
    from lfvpipe.steps.evaluate.hosting import stop

    name = f"model {version} of project {project}"
    stop(context, project, version)
    try:
        with explained(f"deleting {name}"):
            context.lookout.delete_model(ProjectName=project, ModelVersion=version)
    except LookoutError as error:
        if error.code == ABSENT:
            return []
        raise
    wait_for_model_deletion(context.lookout, project=project, version=version)
    return [name]
