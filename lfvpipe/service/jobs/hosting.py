"""Brings models up and takes them down."""

from lfvpipe.errors import UserError
from lfvpipe.service import locks
from lfvpipe.service.jobs.messages import status_message
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state import find, tokens
from lfvpipe.service.state.database import Transaction
from lfvpipe.service.state.rows import Model
from lfvpipe.service.units.hosts import Hosts, UnitDied

RUNNING = "The model is running."
_DIED = "A process of the model ended while it started, perhaps for want of memory. Start it again."


def start(runtime: Runtime, hosts: Hosts, identity: int) -> None:
    """Bring a STARTING_HOSTING model to HOSTED or HOSTING_FAILED; idempotent."""
    with runtime.locks.held(locks.hosting(identity)) as ours:
        model = _model(runtime, identity) if ours else None
        if model is None or model.status != "STARTING_HOSTING":
            return
        _open(runtime, hosts, model)
        with runtime.database.write() as tx:
            _settle(tx, identity, "STARTING_HOSTING", "HOSTED", RUNNING)
    _drop_unless_hosted(runtime, hosts, identity)


def warm(runtime: Runtime, hosts: Hosts, identity: int) -> None:
    """Bring up a model that is HOSTED, such as after a restart, or call it HOSTING_FAILED."""
    model = _model(runtime, identity)
    if model is not None and model.status == "HOSTED":
        _open(runtime, hosts, model)
        _drop_unless_hosted(runtime, hosts, identity)


def stop(runtime: Runtime, hosts: Hosts, identity: int) -> None:
    """Bring a STOPPING_HOSTING model to TRAINED once its last request is answered; idempotent."""
    hosts.close(identity)
    with runtime.database.write() as tx:
        tx.run(
            "UPDATE models SET status = 'TRAINED', message = 'Training completed successfully.',"
            " min_units = NULL, max_units = NULL WHERE id = ? AND status = 'STOPPING_HOSTING'",
            identity,
        )


def _model(runtime: Runtime, identity: int) -> Model | None:
    with runtime.database.read() as tx:
        return find.model_by_id(tx, identity)


def _open(runtime: Runtime, hosts: Hosts, model: Model) -> None:
    try:
        hosts.open(model)
    except UserError as error:
        _fail(runtime, model, status_message(error))
    except UnitDied:
        _fail(runtime, model, _DIED)
    except Exception:
        _fail(runtime, model, "The service failed; see its log.")
        raise


def _fail(runtime: Runtime, model: Model, message: str) -> None:
    with runtime.database.write() as tx:
        if _settle(tx, model.id, model.status, "HOSTING_FAILED", message):
            tokens.forget(tx, model.arn, "StartModel")


def _settle(tx: Transaction, identity: int, before: str, status: str, message: str) -> int:
    query = "UPDATE models SET status = ?, message = ? WHERE id = ? AND status = ?"
    return tx.run(query, status, message, identity, before)


def _drop_unless_hosted(runtime: Runtime, hosts: Hosts, identity: int) -> None:
    """Let go of a model that was stopped while it came up."""
    model = _model(runtime, identity)
    if model is None or model.status != "HOSTED":
        hosts.close(identity)
