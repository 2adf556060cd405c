"""Starting and stopping models; what is started is recorded first, so that it is always stopped."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from threading import Event
from typing import TYPE_CHECKING, Any, Literal

from lfvpipe.errors import UserError
from lfvpipe.lookout.descriptions import describe_model
from lfvpipe.lookout.failures import ABSENT, CONFLICT, LookoutError, explained

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lfvpipe.engine.outcome import Facts
    from lfvpipe.engine.step import Work
    from lfvpipe.lookout.waiters import OnStatus
    from lfvpipe.steps.context import Context

KIND = "model"


@dataclass(frozen=True)
class Hosting:
    """A model version to host, and the service that hosts it."""

    project: str
    version: str
    endpoint: str

    @property
    def key(self) -> str:
        """The name under which the ledger holds it."""
        return f"{KIND}:{self.project}/{self.version}"


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
    """
    if kept:
        _hold(work, model)
    try:
        _host(context, work, model)
        yield
    except BaseException:
        if not context.pipeline.hosting.keep_running:
            _end_after_a_failure(context, work, model)
        raise
    if not context.pipeline.hosting.keep_running:
        end(context, work, model)


def end(context: Context, work: Work, model: Hosting) -> None:
    """Stop `model` if it is this pipeline that has it hosted."""
    if is_ours(work, model):
        stop(context, model.project, model.version)
        work.release(model.key)
        work.save(held=None)  # after the release: killed between them, the next attempt repeats it


def _end_after_a_failure(context: Context, work: Work, model: Hosting) -> None:
    """Do what `end` does; what goes wrong with that must not hide why the block failed."""
    try:
        end(context, work, model)
    except UserError as error:
        work.warn(left_hosted(error))


def left_hosted(error: UserError) -> str:
    """Return what to tell the user when a model could not be stopped."""
    return f"A model may still be hosted: {error.message.rstrip('.')}. `lfvpipe stop` stops it."


def is_ours(work: Work, model: Hosting) -> bool:
    """Tell whether this attempt, or one that did not get done, has started `model`.

    What such an attempt saved is no longer true once `lfvpipe stop` has released the model.
    """
    return work.saved.get("held") == asdict(model) and work.holds(model.key)


def _host(context: Context, work: Work, model: Hosting) -> None:
    status = _status(context, model)
    if status == "STOPPING_HOSTING":
        _wait(context, model, "TRAINED", _show(work, model), work.cancelled)
        status = "TRAINED"
    if status not in {"HOSTED", "STARTING_HOSTING"}:
        _hold(work, model)
        _start(context, model)
    _wait(context, model, "HOSTED", _show(work, model), work.cancelled)


def _hold(work: Work, model: Hosting) -> None:
    work.hold(model.key, {"kind": KIND, **asdict(model)})
    work.save(held=asdict(model))


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


def _show(work: Work, model: Hosting) -> OnStatus:
    return lambda status, message: work.progress(
        0, None, "images", f"version {model.version}: {message or status}"
    )


def stop(context: Context, project: str, version: str) -> bool:
    """Stop hosting a model and wait until it is stopped, even while the run is being cancelled.

    Returns:
        Whether it was hosted; False where it was stopped already or is gone.
    """
    model = Hosting(project, version, context.pipeline.service.endpoint)
    status = _status(context, model)
    if status == "STARTING_HOSTING":  # cannot be stopped before it is up
        status = _settled_start(context, model)
    if status == "HOSTED" and not _stop(context, project, version):
        return False
    if status in {"HOSTED", "STOPPING_HOSTING"}:
        _wait(context, model, "TRAINED", _quietly, Event())
    return status in {"HOSTED", "STOPPING_HOSTING"}


def _settled_start(context: Context, model: Hosting) -> str:
    try:
        _wait(context, model, "HOSTED", _quietly, Event())
    except LookoutError:  # it failed to start; look at what it is now
        return _status(context, model)
    return "HOSTED"


def _status(context: Context, model: Hosting) -> str:
    found = describe_model(context.lookout, model.project, model.version)
    return str(found["Status"]) if found else ""


def _stop(context: Context, project: str, version: str) -> bool:
    try:
        with explained(f"stopping model {version} of project {project}"):
            context.lookout.stop_model(ProjectName=project, ModelVersion=version)
    except LookoutError as error:
        if error.code in {ABSENT, CONFLICT}:
            return False  # somebody else stopped it
        raise
    return True


def _quietly(status: str, message: str) -> None:
    """Show nothing: the model is being stopped while the run ends."""


def _wait(
    context: Context,
    model: Hosting,
    target: Literal["HOSTED", "TRAINED"],
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


def release_held(context: Context, held: Mapping[str, Facts]) -> list[str]:
    """Stop every model that the ledger says is held; the caller releases what is returned.

    Args:
        context: Where the service is.
        held: The ledger's ``held``; what is no model, or lies on another endpoint, is left alone.

    Returns:
        The keys of `held` that are hosted no longer, whoever stopped them.
    """
    mine = [
        (key, str(facts["project"]), str(facts["version"]))
        for key, facts in held.items()
        if facts.get("kind") == KIND and facts.get("endpoint") == context.pipeline.service.endpoint
    ]
    for _, project, version in mine:
        stop(context, project, version)
    return [key for key, _, _ in mine]
