"""Starting and stopping models; what is started is recorded first, so that it is always stopped.

A hosted model costs by the hour, and nobody would notice one that a dead process left behind. So
the ledger holds a model from before it is started until after it is stopped: killed in between,
the next run, `lfvpipe stop` and `destroy` find it there. That a model is held says that it may be
hosted; that this attempt, or one of this fingerprint that did not get done, saved it as its own
(`HostingSaved`) says that it is this step's to stop.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

from lfvpipe.engine.facts import StepFacts
from lfvpipe.errors import UserError
from lfvpipe.lookout.descriptions import describe_model
from lfvpipe.lookout.failures import ABSENT, CONFLICT, LookoutError, explained
from lfvpipe.lookout.statuses import ModelStatus
from lfvpipe.patience import OF_A_PERSON, patient
from lfvpipe.steps.attempts import SavedFacts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lfvpipe.engine.outcome import Facts
    from lfvpipe.engine.step import Work
    from lfvpipe.lookout.waiters import OnStatus
    from lfvpipe.steps.context import Context

KIND = "model"


@dataclass(frozen=True)
class Hosting(StepFacts):
    """A model version to host, and the service that hosts it."""

    project: str
    version: str
    endpoint: str

    @property
    def key(self) -> str:
        """The name under which the ledger holds it."""
        return f"{KIND}:{self.project}/{self.version}"

    def __str__(self) -> str:
        return f"Model {self.version} of project {self.project}"


@dataclass(frozen=True)
class HostingSaved(SavedFacts):
    """The model that an attempt has hosted, or was about to."""

    held: Hosting | None = None


@contextmanager
def hosted(context: Context, work: Work, model: Hosting, *, kept: bool) -> Iterator[None]:
    """Have a model hosted during the block, and stop it again whatever happens in the block.

    A model that somebody else had started is used and left hosted. What this pipeline started,
    now or in an attempt that was killed, is held in the ledger from before it starts until after
    it stopped; with ``hosting.keep_running`` it stays hosted and held.

    Args:
        context: Where the service is, and the spec.
        work: The attempt, which holds and releases.
        model: What to host.
        kept: An earlier run left this model hosted.

    Raises:
        LookoutError: The model cannot be started, or not be stopped.
        Cancelled: The user asked to stop.
    """
    if kept:
        _hold(work, model)
    try:
        _start_unless_hosted(context, work, model)
        yield
    except BaseException:
        if not context.pipeline.hosting.keep_running:
            try:
                stop_if_ours(context, work, model)
            except UserError as error:  # must not hide why the block failed
                work.warn(still_hosted_warning(error))
        raise
    if not context.pipeline.hosting.keep_running:
        stop_if_ours(context, work, model)


def stop_if_ours(context: Context, work: Work, model: Hosting) -> None:
    """Stop `model` if it is this pipeline that has it hosted."""
    if is_ours(work, model):
        stop(context, model.project, model.version)
        work.release(model.key)
        # After the release: killed between the two, the next attempt does both again.
        HostingSaved().save(work)


def is_ours(work: Work, model: Hosting) -> bool:
    """Tell whether this attempt, or one that did not get done, has started `model`.

    What such an attempt saved is no longer true once `lfvpipe stop` has released the model.
    """
    return HostingSaved.of(work).held == model and work.holds(model.key)


def still_hosted_warning(error: UserError) -> str:
    """Return what to tell the user when a model could not be stopped."""
    return f"A model may still be hosted: {error.message.rstrip('.')}. `lfvpipe stop` stops it."


def _start_unless_hosted(context: Context, work: Work, model: Hosting) -> None:
    def show(status: str, message: str) -> None:
        work.progress(0, None, "images", f"version {model.version}: {message or status}")

    status = _status(context, model)
    if status == ModelStatus.STOPPING_HOSTING:  # cannot be started before it is down
        _wait(context, model, ModelStatus.TRAINED, show, work.cancelled)
        status = ModelStatus.TRAINED
    if status not in {ModelStatus.HOSTED, ModelStatus.STARTING_HOSTING}:
        _hold(work, model)
        _start(context, model)
    _wait(context, model, ModelStatus.HOSTED, show, work.cancelled)


def _hold(work: Work, model: Hosting) -> None:
    work.hold(model.key, {"kind": KIND, **model.as_json()})
    HostingSaved(model).save(work)


def _start(context: Context, model: Hosting) -> None:
    hosting = context.pipeline.hosting
    most = hosting.max_inference_units
    optional: dict[str, Any] = {} if most is None else {"MaxInferenceUnits": most}
    try:
        with explained(f"starting model {model.version} of project {model.project}"):
            context.lookout.start_model(
                ProjectName=model.project,
                ModelVersion=model.version,
                MinInferenceUnits=hosting.min_inference_units,
                **optional,
            )
    except LookoutError as error:
        if error.code != CONFLICT:  # started meanwhile: the wait will tell
            raise


def stop(context: Context, project: str, version: str) -> bool:
    """Stop hosting a model and wait until it is stopped, even while the run is being cancelled.

    Returns:
        Whether it was hosted; False where it was stopped already or is gone.

    Raises:
        LookoutError: A call failed.
    """
    # What stops is not stopped by a run that is being cancelled: the model would stay hosted.
    with patient(OF_A_PERSON, wait=time.sleep):
        return _stop(context, Hosting(project, version, context.pipeline.service.endpoint))


def _stop(context: Context, model: Hosting) -> bool:
    def show_nothing(_status: str, _message: str) -> None:
        """Show nothing, since the run ends meanwhile."""

    status = _status(context, model)
    if status == ModelStatus.STARTING_HOSTING:  # cannot be stopped before it is up
        try:
            _wait(context, model, ModelStatus.HOSTED, show_nothing, Event())
            status = ModelStatus.HOSTED
        except LookoutError:  # it failed to start; look at what it is now
            status = _status(context, model)
    if status == ModelStatus.HOSTED:
        try:
            with explained(f"stopping model {model.version} of project {model.project}"):
                context.lookout.stop_model(ProjectName=model.project, ModelVersion=model.version)
        except LookoutError as error:
            if error.code in {ABSENT, CONFLICT}:
                return False  # somebody else stopped it
            raise
    if status not in {ModelStatus.HOSTED, ModelStatus.STOPPING_HOSTING}:
        return False
    _wait(context, model, ModelStatus.TRAINED, show_nothing, Event())
    return True


def _status(context: Context, model: Hosting) -> str:
    found = describe_model(context.lookout, model.project, model.version)
    return str(found["Status"]) if found else ""


def _wait(
    context: Context,
    model: Hosting,
    target: Literal[ModelStatus.HOSTED, ModelStatus.TRAINED],
    on_status: OnStatus,
    cancelled: Event,
) -> None:
    from lfvpipe.lookout.waiters import wait_for_hosting

    wait_for_hosting(
        context.lookout,
        project=model.project,
        version=model.version,
        on_status=on_status,
        cancelled=cancelled,
        target=target,
    )


def models_elsewhere(context: Context, held: Mapping[str, Facts]) -> list[Hosting]:
    """Return the models among what the ledger holds that another endpoint than today's hosts."""
    models = [Hosting.from_json(facts) for facts in held.values() if facts.get("kind") == KIND]
    return [each for each in models if each.endpoint != context.pipeline.service.endpoint]


def stop_models(context: Context, held: Mapping[str, Facts]) -> list[str]:
    """Stop every model that the ledger says is held; the caller releases what is returned.

    Args:
        context: Where the service is.
        held: The ledger's ``held``; what is no model, or lies on another endpoint, is left alone.

    Returns:
        The keys of `held` that are hosted no longer, whoever stopped them.

    Raises:
        LookoutError: A call failed.
    """
    stopped = []
    for key, facts in held.items():
        if facts.get("kind") != KIND:
            continue
        model = Hosting.from_json(facts)
        if model.endpoint == context.pipeline.service.endpoint:
            stop(context, model.project, model.version)
            stopped.append(key)
    return stopped
