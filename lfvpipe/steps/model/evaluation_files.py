"""The files that a training wrote of its evaluation: held against their digests, and mended.

The digests are in the ledger from the training on: nothing in the files themselves would tell a
confidence that changed on the disk from one that the model said.
"""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

from lfvpipe.errors import UserError
from lfvpipe.lookout.training_verdicts import NAME, key_beside
from lfvpipe.steps.intact import digest_of
from lfvpipe.storage import NoSuchObject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lfvpipe.steps.context import Context
    from lfvpipe.steps.model.outcome import ModelOutcome, ObjectLocation

MANIFEST = "EvaluationManifest"
RESULT = "EvaluationResult"
TRAINING = NAME
_FAULT = "it is not what was written after the training"


class EvaluationDamaged(UserError):
    """A file that the service wrote about its test images is not whole.

    Attributes:
        where: Its address.
    """

    def __init__(self, where: str, fault: str) -> None:
        self.where = where
        super().__init__(
            f"The model's evaluation {where} is damaged: {fault}.",
            hint="Restore it from a copy. Else only a training writes it:"
            " `lfvpipe run --force model` trains again.",
        )


def locations(model: ModelOutcome) -> dict[str, ObjectLocation]:
    """Return where the files lie, by their names; the last may never have been written."""
    manifest, result = model.evaluation_manifest, model.evaluation_result
    found = {} if manifest is None else {MANIFEST: manifest}
    if result is not None:
        found[RESULT] = result
    if manifest is not None:
        found[TRAINING] = replace(manifest, key=key_beside(manifest.key))
    return found


def digests(context: Context, model: ModelOutcome) -> dict[str, str] | None:
    """Return the SHA-256 of the files that are there, by their names; None where none is."""
    found = {name: _get(context, location) for name, location in locations(model).items()}
    return {name: _digest(data) for name, data in found.items() if data is not None} or None


def fetch(context: Context, model: ModelOutcome, name: str) -> bytes | None:
    """Return a file as the training wrote it; None where there is none, or none any more.

    One that is not what it was is written again from the embedded service's spare, where it has
    one.

    Args:
        context: Of the step.
        model: Whose file it is; one whose digest it does not know is taken as it is.
        name: Which one.

    Raises:
        EvaluationDamaged: It is not what it was, and there is no spare.
    """
    location = locations(model).get(name)
    if location is None:
        return None
    data, sha256 = _get(context, location), (model.evaluation_sha256 or {}).get(name)
    if sha256 is None or (data is not None and _digest(data) == sha256):
        return data
    spare = _spare(context, model, name)
    if spare is not None and _digest(spare) == sha256:
        context.buckets.bucket(location.bucket).put(location.key, spare)
        return spare
    if data is None:
        return None
    where = f"s3://{location.bucket}/{location.key}"
    raise EvaluationDamaged(where, _FAULT)


def damaged(context: Context, model: ModelOutcome) -> Iterator[tuple[EvaluationDamaged, bool]]:
    """Yield what is wrong with the files in a local bucket, and whether a run mends it by itself.

    What is gone is no damage: its owner may have cleared the bucket up.
    """
    for name, sha256 in (model.evaluation_sha256 or {}).items():
        location = locations(model).get(name)
        if location is None:
            continue
        file = context.buckets_dir / location.bucket / location.key
        if not file.is_file() or digest_of(file) == sha256:
            continue
        spare = _spare(context, model, name)
        fault = EvaluationDamaged(str(file), _FAULT)
        yield fault, spare is not None and _digest(spare) == sha256


def _get(context: Context, location: ObjectLocation) -> bytes | None:
    try:
        return context.buckets.bucket(location.bucket).get(location.key)
    except NoSuchObject:
        return None


def _spare(context: Context, model: ModelOutcome, name: str) -> bytes | None:
    """Return what the embedded service keeps beside the model."""
    if context.pipeline.service.endpoint != "embedded":
        return None
    from lfvpipe.service import looks

    where = context.service_dir, context.pipeline.region
    try:
        found = looks.find_model(*where, model.project, model.version)
        return found.file.with_name(f"{name}.json").read_bytes() if found else None
    except (looks.StateDamaged, sqlite3.Error, OSError):
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
