"""Trains one model version: images, detector, evaluation, files, and then the state."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe.errors import UserError
from lfvpipe.lookout import tags
from lfvpipe.lookout.progress import TrainingProgress
from lfvpipe.service import locks
from lfvpipe.service.jobs import contents, deletion
from lfvpipe.service.jobs.messages import status_message
from lfvpipe.service.jobs.training.evaluation import (
    Evaluation,
    evaluate,
    manifest_text,
    output_keys,
    result_document,
)
from lfvpipe.service.jobs.training.images import Pictures, checked_size, common_size
from lfvpipe.service.jobs.training.masks import check_mask
from lfvpipe.service.jobs.training.selection import Case, Chosen, TrainingError, choose, usable
from lfvpipe.service.runtime import Runtime, Trained
from lfvpipe.service.state import find
from lfvpipe.service.state.rows import Model

if TYPE_CHECKING:
    from lfvpipe.detector import Example, Settings

_AGAIN = "Then create another model."
_OUT_OF_FILES = (
    "The training could not read or write a file; free some space on the service's disk:"
)
_OUT_OF_MEMORY = "The training ran out of memory; use fewer or smaller images."
_BUG = "The training failed on an error in the service; please report it with logs/training.log:"
_SAY_EVERY = 0.5  # seconds between two writes of the progress
_LOOK_EVERY = 0.3  # seconds between two looks whether the model was deleted


class Stopped(Exception):
    """The model was deleted while it was being trained."""


def train(runtime: Runtime, identity: int) -> None:
    """Train the model, whose lock the caller holds; idempotent until the last transaction.

    A kill leaves TRAINING, and the next worker starts again. Everything else ends as TRAINED, as
    TRAINING_FAILED with what to do about it, or, when the model was deleted, with its removal.
    """
    model = _begin(runtime, identity)
    if model is None:
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
        deletion.finish_deletion(runtime, identity)


def _begin(runtime: Runtime, identity: int) -> Model | None:
    """Count the attempt; return the model if it is still to be trained."""
    with runtime.database.write() as tx:
        query = "UPDATE models SET attempts = attempts + 1 WHERE id = ? AND status = 'TRAINING'"
        changed = tx.run(query, identity)
        model = find.model_by_id(tx, identity) if changed else None
    if model is not None and model.attempts > runtime.quotas.training_attempts:
        died = f"The training process died {model.attempts - 1} times"
        fail(runtime, identity, f"{died}; perhaps it ran out of memory. Create another model.")
        return None
    return model


def _train(runtime: Runtime, model: Model) -> None:
    watch = _Watch(runtime, model.id)
    _await_contents(runtime, model, watch)
    chosen = choose(runtime, model)
    buckets = runtime.store(model.storage)
    output = buckets.bucket(model.output_bucket)
    if not output.exists():
        raise TrainingError(f"The output bucket {model.output_bucket} does not exist; create it.")
    pictures = Pictures(buckets, runtime.scratch(locks.model(model.id)), runtime.quotas)
    trained, size = _learn(runtime, model, chosen, pictures, watch)

    def fetch(address: str, number: int) -> Path:
        path = pictures.fetch(address, -1 - number)  # a passing copy: only one at a time
        if number == 0:
            _require_size(address, path, size, runtime)
        else:
            check_mask(masks[address], path, size)
        return path

    masks = {case.entry.mask: case for case in chosen.test if case.entry.mask}
    tick = watch.stage("Testing")
    evaluation = evaluate(trained, model, chosen, fetch, tick, runtime.clock)
    _publish(runtime, model, chosen, evaluation)
    _save(runtime, model, trained)
    _finish(runtime, model, evaluation, size)


def _await_contents(runtime: Runtime, model: Model, watch: "_Watch") -> None:
    """Wait for datasets that are still being created, or create them when nobody does."""
    for identity in (model.train_content, model.test_content):
        while (found := usable(runtime, identity)) is not None and found.state == "pending":
            watch.look()
            contents.make(runtime, found.id)
            time.sleep(0.02)


def _learn(
    runtime: Runtime, model: Model, chosen: Chosen, pictures: Pictures, watch: "_Watch"
) -> tuple[Trained, tuple[int, int]]:
    from lfvpipe.detector import TrainingCancelled

    examples = _examples(chosen.train, pictures, watch)
    named = [(c.entry.source, e.path) for c, e in zip(chosen.train, examples, strict=True)]
    size = common_size(named, runtime.quotas, watch.stage("Checking images"))
    for case, example in zip(chosen.train, examples, strict=True):
        if example.mask is not None:
            check_mask(case, example.mask, size)
    try:
        trained = runtime.detector.train(
            examples,
            _settings(runtime, model),
            progress=watch.progress,
            cancelled=watch.cancelled,
        )
    except TrainingCancelled as error:
        raise Stopped from error
    return trained, size


def _examples(cases: Sequence[Case], pictures: Pictures, watch: "_Watch") -> "Sequence[Example]":
    from lfvpipe.detector import Example

    tick = watch.stage("Getting images")
    examples = []
    for number, case in enumerate(cases):
        tick(number, len(cases))
        entry = case.entry
        path = pictures.fetch(entry.source, 2 * number)
        mask = None if entry.mask is None else pictures.fetch(entry.mask, 2 * number + 1)
        examples.append(Example(path, entry.label or "normal", mask, entry.mask_classes))
    return examples


def _settings(runtime: Runtime, model: Model) -> "Settings":
    """Return how to train, as the model's tags say."""
    from lfvpipe.detector import Settings

    settings = Settings(costs=_costs(_tag(runtime, model, tags.COSTS)))
    thorough = _tag(runtime, model, tags.THOROUGH)
    if thorough not in {None, "true", "false"}:
        raise TrainingError(f"The tag {tags.THOROUGH} is {thorough!r}; it must be true or false.")
    return settings.thorough() if thorough == "true" else settings


def _tag(runtime: Runtime, model: Model, key: str) -> str | None:
    with runtime.database.read() as tx:
        query = "SELECT value FROM tags WHERE arn = ? AND key = ?"
        row = tx.one(query, model.arn, key)
    return None if row is None else str(row["value"])


def _costs(tag: str | None) -> tuple[float, float] | None:
    """Return (false accept, false reject) as the model's tag gives them."""
    if tag is None:
        return None
    accept, _, reject = tag.partition(":")
    try:
        costs = float(accept), float(reject)
    except ValueError:
        costs = 0.0, 0.0
    if min(costs) > 0 and max(costs) < float("inf"):
        return costs
    wanted = "two positive numbers FALSE_ACCEPT:FALSE_REJECT, such as 20:1"
    raise TrainingError(f"The tag {tags.COSTS} is {tag!r}; it must be {wanted}.")


def _require_size(address: str, path: Path, size: tuple[int, int], runtime: Runtime) -> None:
    found = checked_size(address, path, runtime.quotas)
    if found != size:
        raise TrainingError(
            f"{address} has {found[0]}x{found[1]} pixels, the training images have"
            f" {size[0]}x{size[1]}; all images of a project must have the same size."
        )


def _publish(runtime: Runtime, model: Model, chosen: Chosen, evaluation: Evaluation) -> None:
    """Write the two files; done again after a kill, they are replaced by the same."""
    bucket = runtime.store(model.storage).bucket(model.output_bucket)
    keys = output_keys(model)
    folder = runtime.scratch(locks.model(model.id))
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "evaluation-manifest"
    with file.open("w", encoding="utf-8", newline="\n") as opened:
        opened.writelines(manifest_text(evaluation))
    bucket.put(keys["EvaluationManifest"], file)
    bucket.put(keys["EvaluationResult"], result_document(model, chosen, evaluation).encode())


def _save(runtime: Runtime, model: Model, trained: Trained) -> None:
    final = runtime.model_file(model.id)
    final.parent.mkdir(parents=True, exist_ok=True)
    try:
        trained.save(final)
    except OSError as error:
        raise TrainingError(f"The model could not be saved to {final}: {error}.") from error


def _finish(runtime: Runtime, model: Model, evaluation: Evaluation, size: tuple[int, int]) -> None:
    metrics = evaluation.metrics
    with runtime.database.write() as tx:
        tx.run(
            "UPDATE models SET status = 'TRAINED', message = ?, f1 = ?, recall = ?,"
            " precision = ?, evaluated = ?, width = ?, height = ?"
            " WHERE id = ? AND status = 'TRAINING'",
            "Training completed successfully.",
            metrics.f1,
            metrics.recall,
            metrics.precision,
            evaluation.ended,
            *size,
            model.id,
        )
        contents.collect(tx)


def fail(runtime: Runtime, identity: int, message: str) -> None:
    """Bring a model that is being trained to TRAINING_FAILED."""
    with runtime.database.write() as tx:
        tx.run(
            "UPDATE models SET status = 'TRAINING_FAILED', message = ?"
            " WHERE id = ? AND status = 'TRAINING'",
            message,
            identity,
        )
        contents.collect(tx)


class _Watch:
    """Tells the state how far the training is, and the training whether it was deleted."""

    def __init__(self, runtime: Runtime, identity: int) -> None:
        self._runtime = runtime
        self._identity = identity
        self._said = self._looked = 0.0
        self._gone = False

    def stage(self, name: str) -> Callable[[int, int], None]:
        """Return a function that is told of (done, total) and stops a deleted training."""

        def tick(done: int, total: int) -> None:
            self.progress(name, done, total)
            self.look()

        return tick

    def progress(self, stage: str, done: int, total: int) -> None:
        """Write the progress into the StatusMessage, now and then."""
        if time.monotonic() - self._said < _SAY_EVERY:
            return
        self._said = time.monotonic()
        message = TrainingProgress(stage.lower(), done, total).as_message()
        query = "UPDATE models SET message = ? WHERE id = ? AND status = 'TRAINING'"
        with self._runtime.database.write() as tx:
            tx.run(query, message, self._identity)

    def look(self) -> None:
        """Raise Stopped when the model was deleted."""
        if self.cancelled():
            raise Stopped

    def cancelled(self) -> bool:
        """Say whether the model was deleted."""
        if not self._gone and time.monotonic() - self._looked > _LOOK_EVERY:
            self._looked = time.monotonic()
            with self._runtime.database.read() as tx:
                model = find.model_by_id(tx, self._identity)
            self._gone = model is None or model.status != "TRAINING"
        return self._gone
