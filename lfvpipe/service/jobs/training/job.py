"""Trains one model version: images, detector, evaluation, files, and then the state.

The order is what makes a kill harmless. Until the last transaction nothing that a client sees has
changed: a model file or an evaluation file that was written too early is written again, by the
same names, when the training goes on. Only once all files lie where they belong does the row say
TRAINED; a client that saw that will find them, but for evaluation files that the row says are
not written yet.

What the stages came to lies in the training's scratch folder until it is over, so that a worker
goes on from where the one before it was killed. A file there tells that one is at it: who begins
and finds it knows that the one before died, while one that ended by itself has removed it.
"""

import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lfvpipe import atomic, disk
from lfvpipe.errors import UserError
from lfvpipe.lookout.progress import TRAINING, TrainingProgress
from lfvpipe.lookout.statuses import ModelStatus
from lfvpipe.lookout.tags import EFFORT
from lfvpipe.lookout.training_verdicts import TrainingVerdict, read_lines, write_lines
from lfvpipe.patience import OF_A_LONG_WAIT, patient
from lfvpipe.service import locks
from lfvpipe.service.jobs import cancelled, deletion
from lfvpipe.service.jobs import contents as contents_job
from lfvpipe.service.jobs.messages import NOT_PUBLISHED, WAITS, status_message, trained_message
from lfvpipe.service.jobs.training import learning
from lfvpipe.service.jobs.training.checkpoints import FileCheckpoints
from lfvpipe.service.jobs.training.estimate import Estimate
from lfvpipe.service.jobs.training.evaluation import Evaluation, evaluate, output_files
from lfvpipe.service.jobs.training.images import Images, common_size, image_size
from lfvpipe.service.jobs.training.learning import Learning
from lfvpipe.service.jobs.training.masks import check_mask_size, read_types
from lfvpipe.service.jobs.training.progress import Progress, Stopped
from lfvpipe.service.jobs.training.publishing import publish
from lfvpipe.service.jobs.training.selection import (
    LabelledImage,
    Selection,
    TrainingError,
    select,
    usable_content,
)
from lfvpipe.service.jobs.training.settings import read_settings
from lfvpipe.service.log import service_log
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import contents, models, tags
from lfvpipe.service.state.contents import ContentState
from lfvpipe.service.state.models import Model

if TYPE_CHECKING:
    from lfvpipe.detector import Example, Settings, TrainedModel

UNDER_WAY = "under-way"  # in the scratch folder, while a worker is at it
# Seconds between two looks at a dataset that another process creates, which may take it minutes.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
_DEFECTS = 5  # from so many on the detector learns from them; only the estimate depends on it
_LEARNT, _TESTED = "learnt", "tested"  # stages

_AGAIN = "Then create another model."
_OUT_OF_FILES = "The training could not read or write a file:"
_OUT_OF_MEMORY = "The training ran out of memory; use fewer or smaller images."
_BUG = "The training failed on an error in the service; please report it with logs/training.log:"
_DIED = (
    "The training process died {count} times{where} without getting on; perhaps it ran out of"
    " memory, which the system's log would say. Use fewer or smaller images, or a machine with more"
    " memory, and create another model."
)


class PutOff(Exception):
    """The disk has no room, or the state cannot be written: the training goes on some other time.

    That is no fault of the training, and does not count as an attempt at it.
    """


def train(runtime: Runtime, identity: int) -> None:
    """Train the model, whose lock the caller holds; idempotent until the last transaction.

    A kill leaves TRAINING, and the next worker goes on from the last stage that was completed.
    Everything else ends as TRAINED, as TRAINING_FAILED with what to do about it, or, when the model
    was deleted, with its removal.

    Raises:
        PutOff: Nothing can be written at the moment.
    """
    scratch = runtime.scratch(locks.model(identity))
    under_way = scratch / UNDER_WAY
    try:
        with runtime.database.write() as tx:
            model = models.begin_training(tx, identity, died=under_way.exists())
            if model is not None and model.message.startswith(WAITS):
                models.say(tx, identity, ModelStatus.TRAINING, TRAINING)
        if model is None:
            return
        if model.deaths >= runtime.quotas.training_attempts:
            cancelled.set_aside(runtime, model)
            fail(runtime, identity, _DIED.format(count=model.deaths, where=_last_stage(model)))
            return
        if model.attempts > 1:
            service_log().info("training goes on", model=model.arn, deaths=model.deaths)
        scratch.mkdir(parents=True, exist_ok=True)
        under_way.touch()
        _attempt(runtime, model)
    except (OSError, sqlite3.OperationalError) as error:
        under_way.unlink(missing_ok=True)
        _put_off(runtime, identity, error)
    _clear(runtime, identity)


def fail(runtime: Runtime, identity: int, message: str) -> None:
    """Bring a model that is being trained to TRAINING_FAILED."""
    with runtime.database.write() as tx:
        training, failed = ModelStatus.TRAINING, ModelStatus.TRAINING_FAILED
        models.change_status(tx, identity, training, failed, message)
        contents.collect(tx)
    shutil.rmtree(runtime.scratch(locks.model(identity)), ignore_errors=True)


def _attempt(runtime: Runtime, model: Model) -> None:
    """Train, or fail with what to do about it."""
    identity = model.id
    try:
        _train(runtime, model)
    except Stopped:
        pass
    except UserError as error:
        fail(runtime, identity, status_message(error))
    except OSError as error:
        if disk.is_full(error):
            raise
        refused = disk.refusal(error)
        told = status_message(error if refused is None else refused.message).rstrip(".")
        advice = "" if refused is None else f" {refused.advice}."
        fail(runtime, identity, f"{_OUT_OF_FILES} {told}.{advice} {_AGAIN}")
    except sqlite3.OperationalError:
        raise
    except MemoryError:
        fail(runtime, identity, f"{_OUT_OF_MEMORY} {_AGAIN}")
        _clear(runtime, identity)
        raise
    except Exception as error:
        told = status_message(error)[:300]
        fail(runtime, identity, f"{_BUG} {type(error).__name__}: {told}. {_AGAIN}")
        _clear(runtime, identity)
        raise


def _put_off(runtime: Runtime, identity: int, error: OSError | sqlite3.OperationalError) -> None:
    """Say in the row, if it can be written, what the training waits for, and raise PutOff."""
    # What passes lies in either of them.
    refused = disk.refusal(error, f"{runtime.state_dir} or {tempfile.gettempdir()}")
    message = f"{WAITS} {status_message(refused or error)}"
    with suppress(sqlite3.Error), runtime.database.write() as tx:
        models.say(tx, identity, ModelStatus.TRAINING, message)
    raise PutOff(message) from error


def _clear(runtime: Runtime, identity: int) -> None:
    """Remove what passes, and the model where DeleteModel left that to who holds the lock."""
    deletion.finish(runtime, identity)  # first: it keeps what a cancelled training had come to
    shutil.rmtree(runtime.scratch(locks.model(identity)), ignore_errors=True)


def _last_stage(model: Model) -> str:
    """Return where the training was when it was last heard of, as a part of a sentence."""
    told = TrainingProgress.from_message(model.message)
    return "" if told is None else f" ({told.phrase.partition(', about')[0]})"


@dataclass(frozen=True)
class _Training:
    """What the stages of one training share."""

    runtime: Runtime
    model: Model
    progress: Progress
    images: Images
    stages: FileCheckpoints


@dataclass(frozen=True)
class _Learnt:
    """What a training came to.

    Attributes:
        trained: What the detector made.
        size: The (width, height) that all images have.
        verdicts: On the training images, where the detector tells.
        weights_of: The version that learnt it; None where this one did.
    """

    trained: "TrainedModel"
    size: tuple[int, int]
    verdicts: tuple[TrainingVerdict, ...]
    weights_of: int | None


def _train(runtime: Runtime, model: Model) -> None:
    progress, scratch = Progress(runtime, model), runtime.scratch(locks.model(model.id))
    buckets = runtime.store(model.storage)
    images = Images(buckets, scratch / "images", runtime.quotas, progress.get_on)
    most = runtime.quotas.checkpoint_bytes
    stages = FileCheckpoints(scratch / "stages", most, progress.get_on)
    training = _Training(runtime, model, progress, images, stages)
    with patient(OF_A_LONG_WAIT, tell=progress.remark, wait=progress.pause):
        _await_contents(runtime, model, progress)
        selection = select(runtime, model, partial(_read_masks, images, progress))
        if not buckets.bucket(model.output_bucket).exists():  # to say so now, not after an hour
            missing = f"The output bucket {model.output_bucket} does not exist; create it."
            raise TrainingError(missing)
        progress.follow(_estimate(runtime, model, selection))
        learnt = _recall(training) or _learn(training, selection)
        evaluation = _test(training, selection, learnt)
        if learnt.weights_of is None:
            progress.finish()
        files = output_files(model, selection, evaluation, learnt.verdicts)
        unpublished = publish(runtime, model, files)
    metrics = evaluation.metrics
    message = trained_message(metrics.f1, learnt.weights_of)
    if unpublished is not None:
        message = f"{message} {NOT_PUBLISHED.format(reason=unpublished)}"
    with runtime.database.write() as tx:
        models.finish_training(
            tx,
            model.id,
            message=message,
            f1=metrics.f1,
            recall=metrics.recall,
            precision=metrics.precision,
            evaluated=evaluation.ended,
            size=learnt.size,
            unpublished=unpublished,
        )
        contents.collect(tx)


def _estimate(runtime: Runtime, model: Model, selection: Selection) -> Estimate:
    """Return an estimate of the training by the last one like it."""
    with runtime.database.read() as tx:
        effort = tags.value(tx, model.arn, EFFORT)
    by_defects = sum(each.is_anomalous for each in selection.train) >= _DEFECTS
    said = [model.detector, effort or "", "defects" if by_defects else "normal"]
    kind = " ".join([*said, *(["masks"] if selection.segmentation else [])])
    tested = len(selection.test) / max(1, len(selection.train))
    file = runtime.state_dir / "pace.json"
    return Estimate(file, kind, by_defects=by_defects, tested=tested)


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
        seconds = _FIRST_PAUSE
        while True:
            content = usable_content(runtime, identity)
            if content is None or content.state is not ContentState.PENDING:
                break
            contents_job.make(runtime, content.id)  # at once, where another process is at it
            progress.pause(seconds)
            seconds = min(1.4 * seconds, _LONGEST_PAUSE)


def _learn(training: _Training, selection: Selection) -> _Learnt:
    """Learn from the training images, unless another version has; and keep what was learnt."""
    runtime, model, progress = training.runtime, training.model, training.progress
    examples = _examples(selection.train, training.images, progress)
    pairs = list(zip(selection.train, examples, strict=True))
    named = [(image.entry.source, example.path) for image, example in pairs]
    size = common_size(named, runtime.quotas, progress.stage("Checking images"))
    for image, example in pairs:
        if example.mask is not None:
            check_mask_size(image, example.mask, size)
    sources = [image.entry.source for image, _ in pairs]
    settings = read_settings(runtime, model)
    made_of = learning.digest(runtime, model, examples, sources, settings)
    training.stages.discard(_TESTED)  # of a model that was damaged since
    final = runtime.model_file(model.id)
    final.parent.mkdir(parents=True, exist_ok=True)
    known = learning.take_over(runtime, model, made_of, final)
    if known is not None:
        _keep(training, known)
        if (found := _restore(training, known)) is not None:
            return found
    trained = _train_detector(training, examples, settings)
    told = dict(zip((each.path for each in examples), sources, strict=True))
    said = (each for each in getattr(trained, "out_of_fold", ()) if each.path in told)
    verdicts = [
        TrainingVerdict(
            told[each.path], each.label, each.probability, getattr(each, "calibrated", None)
        )
        for each in said
    ]
    ordered = tuple(sorted(verdicts, key=lambda each: each.source))
    _save(training, trained)
    found_digest = sha256(final.read_bytes()).hexdigest()
    _keep(training, Learning(found_digest, size, write_lines(ordered), made_of))
    return _Learnt(trained, size, ordered, None)


def _train_detector(
    training: _Training, examples: "Sequence[Example]", settings: "Settings"
) -> "TrainedModel":
    """Let the detector learn from the examples."""
    from lfvpipe.detector import TrainingCancelled
    from lfvpipe.detector.checkpoints import are_taken_by

    runtime, model, progress = training.runtime, training.model, training.progress
    learn = runtime.detector_of(model).train
    most = runtime.quotas.checkpoint_bytes
    folder = cancelled.take_up(runtime, model)
    if folder.exists():
        progress.resume()
    kept = FileCheckpoints(folder, most, progress.get_on)
    options: dict[str, Any] = {"checkpoints": kept} if are_taken_by(learn) else {}
    try:
        return learn(
            examples,
            settings,
            progress=progress.tell,
            cancelled=progress.is_deleted,
            **options,
        )
    except TrainingCancelled as error:
        raise Stopped from error


def _save(training: _Training, trained: "TrainedModel") -> None:
    """Put the model where it belongs."""
    runtime, identity = training.runtime, training.model.id
    passing = runtime.scratch(locks.model(identity)) / "model.lfv"
    final = runtime.model_file(identity)
    trained.save(passing)
    passing.replace(final)
    atomic.sync_folder(final.parent)


def _keep(training: _Training, known: Learning) -> None:
    """Put the model's digest and what its file does not hold among the stages, and beside it."""
    learning.note(training.runtime, training.model, known)
    training.stages.save(_LEARNT, known.to_bytes)


def _recall(training: _Training) -> _Learnt | None:
    """Return what `_learn` returned before a kill; None where there is none, or it is damaged."""
    kept = training.stages.load(_LEARNT)
    return None if kept is None else _restore(training, Learning.from_bytes(kept))


def _restore(training: _Training, known: Learning) -> _Learnt | None:
    """Return what was learnt, from the model file; None where that is not the one that is known."""
    file = training.runtime.model_file(training.model.id)
    if not file.is_file() or sha256(file.read_bytes()).hexdigest() != known.sha256:
        return None
    with suppress(UserError):  # it was written by another lfvpipe: what it learnt, this one can
        trained = training.runtime.detector_of(training.model).load(file)
        verdicts = read_lines(known.verdicts.encode())  # 0.1.0 kept none
        return _Learnt(trained, known.size, verdicts, known.weights_of)
    return None


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


def _test(training: _Training, selection: Selection, learnt: _Learnt) -> Evaluation:
    """Return how the model does on its test images, or what was found of it before a kill."""
    if (kept := training.stages.load(_TESTED)) is not None:
        return Evaluation.from_bytes(kept)
    runtime, images = training.runtime, training.images
    masks = {image.entry.mask: image for image in selection.test if image.entry.mask}

    def fetch(address: str, number: int) -> Path:
        path = images.fetch(address, -1 - number)  # a passing copy: only one at a time
        if number:
            check_mask_size(masks[address], path, learnt.size)
            return path
        found = image_size(address, path, runtime.quotas)
        if found != learnt.size:
            raise TrainingError(
                f"{address} has {found[0]}x{found[1]} pixels, the training images have"
                f" {learnt.size[0]}x{learnt.size[1]}; all images of a project must have the same"
                " size."
            )
        return path

    tick = training.progress.stage("Testing")
    evaluation = evaluate(learnt.trained, training.model, selection, fetch, tick, runtime.clock)
    training.stages.save(_TESTED, evaluation.to_bytes)
    return evaluation
