"""Brings models up and takes them down."""

from lfvpipe.errors import UserError
from lfvpipe.lookout.statuses import ModelStatus
from lfvpipe.service import locks
from lfvpipe.service.jobs.idleness import message_of
from lfvpipe.service.jobs.messages import TRAINED, status_message
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import models, tokens
from lfvpipe.service.state.models import Model
from lfvpipe.service.units.hosts import Hosts, UnitDied

_DIED = "A process of the model ended while it started, perhaps for want of memory. Start it again."


def start(runtime: Runtime, hosts: Hosts, identity: int) -> None:
    """Bring a STARTING_HOSTING model to HOSTED or HOSTING_FAILED; idempotent."""
    with runtime.locks.held(locks.hosting(identity)) as ours:
        model = _find(runtime, identity) if ours else None
        if model is None or model.status is not ModelStatus.STARTING_HOSTING:
            return
        _open(runtime, hosts, model)
        with runtime.database.write() as tx:  # changes nothing if it failed, or was stopped
            starting, hosted = ModelStatus.STARTING_HOSTING, ModelStatus.HOSTED
            models.change_status(tx, identity, starting, hosted, "The model is running.")
    _close_unless_hosted(runtime, hosts, identity)


def restore(runtime: Runtime, hosts: Hosts, identity: int) -> None:
    """Bring up a model that is HOSTED, such as after a restart, or call it HOSTING_FAILED."""
    model = _find(runtime, identity)
    if model is not None and model.status is ModelStatus.HOSTED:
        _open(runtime, hosts, model)
        _close_unless_hosted(runtime, hosts, identity)


def give_up(runtime: Runtime, identity: int, status: ModelStatus, message: str) -> None:
    """Bring a model that still has `status` to HOSTING_FAILED."""
    with runtime.database.write() as tx:
        model = models.find(tx, identity)
        failed = ModelStatus.HOSTING_FAILED
        if model is not None and models.change_status(tx, identity, status, failed, message):
            tokens.forget(tx, model.arn, "StartModel")


def stop(runtime: Runtime, hosts: Hosts, identity: int) -> None:
    """Bring a STOPPING_HOSTING model to TRAINED once its last request is answered; idempotent."""
    hosts.close(identity)
    with runtime.database.write() as tx:
        message = message_of(models.find(tx, identity), otherwise=TRAINED)
        models.end_hosting(tx, identity, message=message)


def _find(runtime: Runtime, identity: int) -> Model | None:
    with runtime.database.read() as tx:
        return models.find(tx, identity)


def _open(runtime: Runtime, hosts: Hosts, model: Model) -> None:
    """Bring the model up, or say in its row why it cannot be."""
    try:
        hosts.open(model)
    except UserError as error:
        give_up(runtime, model.id, model.status, status_message(error))
    except UnitDied:
        give_up(runtime, model.id, model.status, _DIED)


def _close_unless_hosted(runtime: Runtime, hosts: Hosts, identity: int) -> None:
    """Let go of a model that was stopped while it came up: the stop may have come too early."""
    model = _find(runtime, identity)
    if model is None or model.status is not ModelStatus.HOSTED:
        hosts.close(identity)
