"""Removes a deleted model."""

import shutil
from contextlib import suppress

from lfvpipe.errors import UserError
from lfvpipe.lookout.statuses import ModelStatus
from lfvpipe.service import locks
from lfvpipe.service.jobs import cancelled
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import contents, models, tags
from lfvpipe.service.state.models import Model


def finish(runtime: Runtime, identity: int) -> None:
    """Remove the model if it is DELETING; the caller holds its lock.

    The files go first: a kill in between leaves a row that still says DELETING, and whoever sees
    it goes on; the other way round it would leave files that nothing names.
    """
    with runtime.database.read() as tx:
        model = models.find(tx, identity)
    if model is None or model.status is not ModelStatus.DELETING:
        return
    if _may_be_published(runtime, model):
        with suppress(UserError, OSError):
            bucket = runtime.store(model.storage).bucket(model.output_bucket)
            bucket.delete(model.written_keys.values())
    cancelled.set_aside(runtime, model)
    shutil.rmtree(runtime.scratch(locks.model(identity)), ignore_errors=True)
    shutil.rmtree(runtime.model_file(identity).parent, ignore_errors=True)
    with runtime.database.write() as tx:
        tags.delete_all(tx, model.arn)
        models.delete(tx, identity)
        contents.collect(tx)


def _may_be_published(runtime: Runtime, model: Model) -> bool:
    """Tell whether files of a model that no answer names may be in the bucket.

    They lie beside the model before the first of them is written there.
    """
    if model.evaluated is not None:
        return model.unpublished is not None
    beside = runtime.model_file(model.id).parent
    return any((beside / f"{name}.json").exists() for name in model.written_keys)
