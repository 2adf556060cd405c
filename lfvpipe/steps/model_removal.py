"""Takes a model version away again, stopped first, with what training left in the bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.lookout.failures import LookoutError, explained
from lfvpipe.steps import described

if TYPE_CHECKING:
    from lfvpipe.steps.context import Context
    from lfvpipe.steps.described import Description


def removed(context: Context, project: str, version: str) -> list[str]:
    """Delete a model version and its evaluation files; return what was deleted.

    Raises:
        LookoutError: The service refuses, as it does while the version is in training.
    """
    found = described.model(context, project, version)
    if found is None:
        return []
    return [*_without_evaluation(context, found), *_deleted(context, project, version)]


def _without_evaluation(context: Context, found: Description) -> list[str]:
    """Delete the evaluation files that training left in the bucket, and name them."""
    files = [found[name] for name in ("EvaluationManifest", "EvaluationResult") if name in found]
    keys = [file["Key"] for file in files if file["Bucket"] == context.bucket.name]
    context.bucket.delete(keys)
    return keys


def _deleted(context: Context, project: str, version: str) -> list[str]:
    """Stop and delete a model version, wait until it is gone, and say what was deleted."""
    from lfvpipe.steps.hosting import stop
    from lfvpipe.steps.patience import pauses

    name = f"model {version} of project {project}"
    stop(context, project, version)
    try:
        with explained(f"deleting {name}"):
            context.lookout.delete_model(ProjectName=project, ModelVersion=version)
    except LookoutError as error:
        if error.code == described.ABSENT:
            return []
        raise
    for pause in pauses():
        if described.model(context, project, version) is None:
            break
        pause(None)
    return [name]
