"""Starting and stopping models; what is started is recorded first, so that it is always stopped."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event
from typing import TYPE_CHECKING

from lfvpipe.engine.outcome import Facts
from lfvpipe.lookout.failures import LookoutError, explained
from lfvpipe.steps import described

if TYPE_CHECKING:
    from lfvpipe.engine.step import Work
    from lfvpipe.lookout.waiters import OnStatus
    from lfvpipe.steps.context import Context

KIND = "model"


def held_key(project: str, version: str) -> str:
    """Return the name under which the ledger holds a hosted model."""
    return f"{KIND}:{project}/{version}"


def start(context: Context, work: Work, project: str, version: str) -> bool:
    """Host a model if it is not hosted, and wait until it is.

    Returns:
        Whether this pipeline holds it, now or since an attempt that was killed; False for a
        model that somebody else had started.
    """
    found = described.model(context, project, version)
    status = found["Status"] if found else ""
    held = work.saved.get("hosting") == held_key(project, version)
    if status == "STOPPING_HOSTING":
        _wait(context, project, version, "TRAINED", _show(work, version), work.cancelled)
        status = "TRAINED"
    if status not in {"HOSTED", "STARTING_HOSTING"}:
        held = True
        _hold(context, work, project, version)
        _start(context, project, version)
    _wait(context, project, version, "HOSTED", _show(work, version), work.cancelled)
    return held


def _hold(context: Context, work: Work, project: str, version: str) -> None:
    endpoint = context.pipeline.service.endpoint
    facts = {"kind": KIND, "project": project, "version": version, "endpoint": endpoint}
    work.hold(held_key(project, version), facts)
    work.save(hosting=held_key(project, version))


def _start(context: Context, project: str, version: str) -> None:
    hosting = context.pipeline.hosting
    most = hosting.max_inference_units
    optional = {} if most is None else {"MaxInferenceUnits": most}
    try:
        with explained(f"starting model {version} of project {project}"):
            context.lookout.start_model(
                ProjectName=project,
                ModelVersion=version,
                MinInferenceUnits=hosting.min_inference_units,
                **optional,
            )
    except LookoutError as error:
        if error.code != described.CONFLICT:  # started meanwhile: the wait will tell
            raise


def _show(work: Work, version: str) -> OnStatus:
    return lambda status, message: work.progress(
        0, None, "", f"version {version}: {message or status}"
    )


def stop(context: Context, project: str, version: str) -> bool:
    """Stop hosting a model and wait until it is stopped, even while the run is being cancelled.

    Returns:
        Whether it was hosted; False where it was stopped already or is gone.
    """
    found = described.model(context, project, version)
    status = found["Status"] if found else ""
    if status == "STARTING_HOSTING":  # cannot be stopped before it is up
        status = _settled_start(context, project, version)
    if status == "HOSTED" and not _stop(context, project, version):
        return False
    if status in {"HOSTED", "STOPPING_HOSTING"}:
        _wait(context, project, version, "TRAINED", _quietly, Event())
    return status in {"HOSTED", "STOPPING_HOSTING"}


def _settled_start(context: Context, project: str, version: str) -> str:
    try:
        _wait(context, project, version, "HOSTED", _quietly, Event())
    except LookoutError:  # it failed to start; look at what it is now
        found = described.model(context, project, version)
        return str(found["Status"]) if found else ""
    return "HOSTED"


def _stop(context: Context, project: str, version: str) -> bool:
    try:
        with explained(f"stopping model {version} of project {project}"):
            context.lookout.stop_model(ProjectName=project, ModelVersion=version)
    except LookoutError as error:
        if error.code in {described.ABSENT, described.CONFLICT}:
            return False  # somebody else stopped it
        raise
    return True


def _quietly(status: str, message: str) -> None:
    """Show nothing: the model is being stopped while the run ends."""


def _wait(
    context: Context,
    project: str,
    version: str,
    target: str,
    on_status: OnStatus,
    cancelled: Event,
) -> None:
    from lfvpipe.lookout.waiters import wait_for_hosting

    wait_for_hosting(
        context.lookout,
        project=project,
        version=version,
        on_status=on_status,
        cancelled=cancelled,
        target="HOSTED" if target == "HOSTED" else "TRAINED",
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
