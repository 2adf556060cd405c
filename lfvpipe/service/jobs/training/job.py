"""Trains one model version: images, detector, evaluation, files, and then the state.

The order is what makes a kill harmless. Until the last transaction nothing that a client sees has
changed: a model file or an evaluation file that was written too early is written again, by the
same names, when the training is done again. Only once all files lie where they belong does the
row say TRAINED, and a client that saw that will find them.
"""

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe.errors import UserError
from lfvpipe.lookout.statuses import ModelStatus
from lfvpipe.service import locks
from lfvpipe.service.jobs import contents as contents_job
from lfvpipe.service.jobs import deletion
from lfvpipe.service.jobs.messages import NO_ANOMALY_TESTED, TRAINED, status_message
from lfvpipe.service.jobs.training.evaluation import (
    Evaluation,
    evaluate,
    manifest_lines,
    output_keys,
    result_document,
)
from lfvpipe.service.jobs.training.images import Images, common_size, image_size
from lfvpipe.service.jobs.training.masks import check_mask_size, read_types
from lfvpipe.service.jobs.training.progress import Progress, Stopped
from lfvpipe.service.jobs.training.selection import (
    LabelledImage,
    Selection,
    TrainingError,
    select,
    usable_content,
)
from lfvpipe.service.jobs.training.settings import read_settings
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import contents, models
from lfvpipe.service.state.contents import ContentState
from lfvpipe.service.state.models import Model

if TYPE_CHECKING:
    from lfvpipe.detector import Example, TrainedModel

_AGAIN = "Then create another model."
_OUT_OF_FILES = (
    "The training could not read or write a file; free some space on the service's disk:"
)
_OUT_OF_MEMORY = "The training ran out of memory; use fewer or smaller images."
_BUG = "The training failed on an error in the service; please report it with logs/training.log:"


def train(runtime: Runtime, identity: int) -> None:
    """Train the model, whose lock the caller holds; idempotent until the last transaction.

    A kill leaves TRAINING, and the next worker starts again. Everything else ends as TRAINED, as
    TRAINING_FAILED with what to do about it, or, when the model was deleted, with its removal.
    """
    with runtime.database.write() as tx:
        model = models.begin_training(tx, identity)
    if model is None:
        return
    if model.attempts > runtime.quotas.training_attempts:
        died = f"The training process died {model.attempts - 1} times"
        fail(runtime, identity, f"{died}; perhaps it ran out of memory. Create another model.")
        return
    try:
        _train(runtime, model)
    except Stopped:
        pass
    except UserError as error:
        fail(runtime, identity, status_message(error))
    except OSError as error:
        fail(runtime, identity, f"{_OUT_OF_FILES} {status_message(error)}. {_AGAIN}")
    except MemoryError:
        fail(runtime, identity, f"{_OUT_OF_MEMORY} {_AGAIN}")
        raise
    except Exception as error:
        told = status_message(error)[:300]
        fail(runtime, identity, f"{_BUG} {type(error).__name__}: {told}. {_AGAIN}")
        raise
    finally:
        shutil.rmtree(runtime.scratch(locks.model(identity)), ignore_errors=True)
        # DeleteModel left the removal to us, since we hold the lock.
        deletion.finish(runtime, identity)


def fail(runtime: Runtime, identity: int, message: str) -> None:
    """Bring a model that is being trained to TRAINING_FAILED."""
    with runtime.database.write() as tx:
        training, failed = ModelStatus.TRAINING, ModelStatus.TRAINING_FAILED
        models.change_status(tx, identity, training, failed, message)
        contents.collect(tx)


def _train(runtime: Runtime, model: Model) -> None:
    progress = Progress(runtime, model.id)
    _await_contents(runtime, model, progress)
    buckets = runtime.store(model.storage)
    images = Images(buckets, runtime.scratch(locks.model(model.id)), runtime.quotas)
    selection = select(runtime, model, partial(_read_masks, images, progress))
    if not buckets.bucket(model.output_bucket).exists():  # to say so now, not after an hour
        raise TrainingError(f"The output bucket {model.output_bucket} does not exist; create it.")
    trained, size = _learn(runtime, model, selection, images, progress)
    masks = {image.entry.mask: image for image in selection.test if image.entry.mask}

    def fetch(address: str, number: int) -> Path:
        path = images.fetch(address, -1 - number)  # a passing copy: only one at a time
        if number:
            check_mask_size(masks[address], path, size)
            return path
        found = image_size(address, path, runtime.quotas)
        if found != size:
            raise TrainingError(
                f"{address} has {found[0]}x{found[1]} pixels, the training images have"
                f" {size[0]}x{size[1]}; all images of a project must have the same size."
            )
        return path

    tick = progress.stage("Testing")
    evaluation = evaluate(trained, model, selection, fetch, tick, runtime.clock)
    _publish(runtime, model, selection, evaluation)
    _save(runtime, model, trained)
    metrics = evaluation.metrics
    with runtime.database.write() as tx:
        models.finish_training(
            tx,
            model.id,
            message=TRAINED if metrics.f1 is not None else f"{TRAINED} {NO_ANOMALY_TESTED}",
            f1=metrics.f1,
            recall=metrics.recall,
            precision=metrics.precision,
            evaluated=evaluation.ended,
            size=size,
        )
        contents.collect(tx)


def _read_masks(
    images: Images, progress: Progress, chosen: Sequence[LabelledImage]
) -> list[LabelledImage]:
    """Return the images with the types that their masks show; each mask is a passing copy."""
    tick = progress.stage("Reading masks")
    read = []
    for number, image in enumerate(chosen):
        tick(number, len(chosen))
        address = image.entry.mask
        shown = {} if address is None else read_types(image, images.fetch(address, -2))
        read.append(replace(image, types=shown))
    return read


def _await_contents(runtime: Runtime, model: Model, progress: Progress) -> None:
    """Wait for datasets that are still being created, or create them when nobody does."""
    for identity in (model.train_content, model.test_content):
        while True:
            content = usable_content(runtime, identity)
            if content is None or content.state is not ContentState.PENDING:
                break
            progress.stop_if_deleted()
            contents_job.make(runtime, content.id)  # at once, where another process is at it
            time.sleep(0.02)


def _learn(
    runtime: Runtime, model: Model, selection: Selection, images: Images, progress: Progress
) -> tuple["TrainedModel", tuple[int, int]]:
    """Return what the detector learnt, and the (width, height) that all images have."""
    from lfvpipe.detector import TrainingCancelled

    examples = _examples(selection.train, images, progress)
    pairs = list(zip(selection.train, examples, strict=True))
    named = [(image.entry.source, example.path) for image, example in pairs]
    size = common_size(named, runtime.quotas, progress.stage("Checking images"))
    for image, example in pairs:
        if example.mask is not None:
            check_mask_size(image, example.mask, size)
    try:
        trained = runtime.detector_of(model).train(
            examples,
            read_settings(runtime, model),
            progress=progress.tell,
            cancelled=progress.is_deleted,
        )
    except TrainingCancelled as error:
        raise Stopped from error
    return trained, size


def _examples(
    chosen: Sequence[LabelledImage], images: Images, progress: Progress
) -> "Sequence[Example]":
    """Return what the detector learns from, with its files on this machine."""
    from lfvpipe.detector import Example

    tick = progress.stage("Getting images")
    examples = []
    for number, image in enumerate(chosen):
        tick(number, len(chosen))
        entry = image.entry
        path = images.fetch(entry.source, 2 * number)
        mask = None if entry.mask is None else images.fetch(entry.mask, 2 * number + 1)
        examples.append(Example(path, entry.label or "normal", mask, image.types))
    return examples


def _publish(runtime: Runtime, model: Model, selection: Selection, evaluation: Evaluation) -> None:
    """Write the two evaluation files; done again after a kill, they are replaced by the same."""
    bucket = runtime.store(model.storage).bucket(model.output_bucket)
    keys = output_keys(model)
    folder = runtime.scratch(locks.model(model.id))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "evaluation-manifest"
    with file.open("w", encoding="utf-8", newline="\n") as opened:
        opened.writelines(manifest_lines(evaluation))
    bucket.put(keys["EvaluationManifest"], file)
    bucket.put(keys["EvaluationResult"], result_document(model, selection, evaluation).encode())


def _save(runtime: Runtime, model: Model, trained: "TrainedModel") -> None:
    final = runtime.model_file(model.id)
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        trained.save(final)
    except OSError as error:
        raise TrainingError(f"The model could not be saved to {final}: {error}.") from error
