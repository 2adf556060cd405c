"""Takes model versions away again, stopped first, with what training left in the bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.engine.step import Leftover
from lfvpipe.lookout import tags
from lfvpipe.lookout.descriptions import describe_model, describe_tags
from lfvpipe.lookout.failures import ABSENT, LookoutError, explained
from lfvpipe.lookout.training_verdicts import key_beside
from lfvpipe.lookout.waiters import wait_for_model_deletion
from lfvpipe.steps.bucket import BucketPlace
from lfvpipe.steps.hosting import stop

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lfvpipe.lookout.descriptions import Description
    from lfvpipe.steps.context import Context


def remove(
    context: Context,
    project: str,
    versions: Iterable[str],
    fingerprint: str | None,
    bucket_endpoint: str | None,
    lineage: str | None,
) -> list[str | Leftover]:
    """Delete model versions and their evaluation files; return what was deleted.

    Args:
        context: The pipeline, which may name another bucket by now.
        project: The versions' project.
        versions: Those that are gone already are passed over.
        fingerprint: What they must be tagged with, so that somebody else's version under the same
            number stays; None where that is not known.
        bucket_endpoint: Where the evaluation files are; None: where the pipeline's bucket is.
        lineage: The pipeline's: what another one made stays, whatever it was made of.

    Raises:
        LookoutError: The service refuses, as it does while a version is in training.
    """
    removed: list[str | Leftover] = []
    for version in versions:
        found = describe_model(context.lookout, project, version)
        if found is None:
            continue
        said = describe_tags(context.lookout, found)
        if said.get(tags.LINEAGE) not in (None, lineage):
            why = f"it belongs to pipeline {said.get(tags.PIPELINE, 'without a name')}"
            removed.append(Leftover(f"model {version} of project {project}", why))
        elif fingerprint is None or said.get(tags.FINGERPRINT) == fingerprint:
            removed += _delete_evaluation(context, found, bucket_endpoint)
            removed += _delete_version(context, project, version)
    return removed


def _delete_evaluation(
    context: Context, found: Description, bucket_endpoint: str | None
) -> list[str]:
    """Delete the evaluation files that training left in a bucket, and name them."""
    endpoint = bucket_endpoint or context.pipeline.bucket.endpoint
    deleted = []
    for name in ("EvaluationManifest", "EvaluationResult"):
        if name not in found:
            continue
        place = BucketPlace(found[name]["Bucket"], endpoint, context.pipeline.region)
        bucket = place.bucket(context)
        if not bucket.exists():
            continue
        keys = [found[name]["Key"]]
        beside = key_beside(keys[0])
        if name == "EvaluationManifest" and bucket.head(beside) is not None:
            keys.append(beside)
        bucket.delete(keys)
        deleted += keys
    return deleted


def _delete_version(context: Context, project: str, version: str) -> list[str]:
    """Stop and delete a model version, wait until it is gone, and say what was deleted."""
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
