"""Whether the datasets of a project are the ones that this pipeline means to train on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from lfvpipe.errors import UserError
from lfvpipe.lookout.api import DATASET_TYPES
from lfvpipe.lookout.descriptions import describe_dataset
from lfvpipe.steps.datasets.entries import lacking_lines
from lfvpipe.steps.datasets.outcome import DatasetsOutcome
from lfvpipe.storage import NoSuchObject

if TYPE_CHECKING:
    from lfvpipe.engine.step import Work
    from lfvpipe.lookout.api import DatasetType
    from lfvpipe.steps.context import Context
    from lfvpipe.steps.datasets.outcome import DatasetFacts


class OtherDataset(UserError):
    """A dataset is not the one that the datasets step left, so that nothing is trained on it.

    Attributes:
        project: The project's name.
    """

    def __init__(self, project: str, split: str, what: str) -> None:
        super().__init__(
            f"The {split} dataset of project {project} is not the one that belongs to this"
            f" configuration ({what}): no model is trained on it.",
            hint="Run again: the datasets are brought in line first, or it is said whose they are.",
        )
        self.project = project


class ManifestDamaged(UserError):
    """A manifest in the bucket is not what the manifests step wrote."""


def insist_on_datasets(context: Context, work: Work) -> None:
    """Compare each entry of the datasets with the manifests, whatever stands unchanged.

    CreateModel trains on what the datasets hold at its call, and another pipeline, or a person, may
    have changed that since the datasets step.

    Raises:
        OtherDataset: A dataset is another one.
        ManifestDamaged: A manifest is another one than the ledger says.
        LookoutError: The service does not answer.
    """
    meant = DatasetsOutcome.of(work.upstream)
    for split in DATASET_TYPES:
        if fault := _fault(context, split, meant.dataset(split)):
            raise OtherDataset(context.pipeline.project, split, fault)


def _fault(context: Context, split: DatasetType, meant: DatasetFacts | None) -> str:
    live = describe_dataset(context.lookout, context.pipeline.project, split)
    if meant is None:
        return "there should be none" if live else ""
    if live is None:
        return "it is gone"
    total = live.get("ImageStats", {}).get("Total", meant.stats.get("total"))
    if total != meant.stats.get("total"):
        return f"it has {total} images instead of {meant.stats.get('total')}"
    lines = lacking_lines(context, split, _manifest(context, meant))
    if lines is None:
        return "it has images that are not this pipeline's"
    return f"{len(lines)} of its images are missing or labelled otherwise" if lines else ""


def _manifest(context: Context, meant: DatasetFacts) -> bytes:
    where = f"s3://{context.bucket.name}/{meant.manifest}"
    try:
        found = context.bucket.get(meant.manifest)
    except NoSuchObject as error:
        raise ManifestDamaged(
            f"The manifest {where} is gone.", hint="Run again with `--refresh`."
        ) from error
    if hashlib.sha256(found).hexdigest() != meant.digest:
        raise ManifestDamaged(
            f"The manifest {where} is not what was written there.",
            hint="Delete it, and run again with `--refresh`: it is written anew.",
        )
    return found
