"""Writes a model's evaluation files where its creator wants them, however long that takes.

It is apart from the training: a model whose files cannot be written is trained all the same, and
says so. The files are kept beside it: they are tried again whenever somebody looks at it, and what
a bucket has is made again from them where it is damaged.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from lfvpipe import atomic
from lfvpipe.errors import UserError
from lfvpipe.service import locks
from lfvpipe.service.jobs.messages import NOT_PUBLISHED, status_message, trained_message
from lfvpipe.service.jobs.training import learning
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import models
from lfvpipe.service.state.models import Model
from lfvpipe.storage import LocalBuckets


def publish(runtime: Runtime, model: Model, files: Mapping[str, str]) -> str | None:
    """Write the files by their names; done again after a kill, they are replaced by the same.

    Returns:
        Why they could not be written, and None where they were. They lie beside the model, too.
    """
    _remove_left_by_killed(runtime, model)
    with suppress(OSError):  # before any is in the bucket: a deletion goes by it
        _keep(runtime, model, files)
    try:
        _put(runtime, model, files)
    except (UserError, OSError) as error:
        _keep(runtime, model, files)
        return status_message(error)
    return None


def _remove_left_by_killed(runtime: Runtime, model: Model) -> None:
    """Remove what a worker that was killed in here was writing; nobody else would so soon."""
    left = list(atomic.abandoned_files(runtime.model_file(model.id).parent))
    left += atomic.abandoned_files(runtime.state_dir, deep=False)  # how long trainings take
    buckets = runtime.store(model.storage)
    if isinstance(buckets, LocalBuckets):
        left += buckets.abandoned_files()
    for file in left:
        with suppress(OSError):  # somebody else has removed it
            file.unlink()


def publish_again(runtime: Runtime, identity: int) -> None:
    """Try once more what `publish` could not do, unless somebody else is at it; idempotent."""
    with runtime.locks.held(locks.model(identity)) as ours:
        if not ours:
            return
        with runtime.database.read() as tx:
            model = models.find(tx, identity)
        if model is None or model.unpublished is None:
            return
        kept = {name: _aside(runtime, identity, name) for name in model.written_keys}
        kept = {n: file for n, file in kept.items() if n in model.output_keys or file.is_file()}
        try:
            files = {name: file.read_text("utf-8") for name, file in kept.items()}
            _put(runtime, model, files)
        except (UserError, OSError) as error:
            reason = status_message(error)
            if reason != model.unpublished:
                with runtime.database.write() as tx:
                    message = f"{_message(runtime, model)} {NOT_PUBLISHED.format(reason=reason)}"
                    models.tell_unpublished(tx, identity, reason, message)
            return
        with runtime.database.write() as tx:
            models.tell_unpublished(tx, identity, None, _message(runtime, model))


def _message(runtime: Runtime, model: Model) -> str:
    known = learning.noted(runtime, model)
    return trained_message(model.f1, known.weights_of if known else None)


def _keep(runtime: Runtime, model: Model, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        atomic.write_text(_aside(runtime, model.id, name), text)


def _put(runtime: Runtime, model: Model, files: Mapping[str, str]) -> None:
    bucket = runtime.store(model.storage).bucket(model.output_bucket)
    keys = model.written_keys
    for name, text in files.items():
        bucket.put(keys[name], text.encode())


def _aside(runtime: Runtime, identity: int, name: str) -> Path:
    return runtime.model_file(identity).with_name(f"{name}.json")
