"""Hosted models: brought up, kept in memory, and asked by many threads."""

import threading
from collections import OrderedDict

from lfvpipe.errors import UserError
from lfvpipe.service.runtime import Runtime, Trained
from lfvpipe.service.state import find

_KEPT = 4  # loaded models; more are loaded again when they are asked

RUNNING = "The model is running."


def claim_name(identity: int) -> str:
    """Return the name of the claim on bringing a model up."""
    return f"hosting-{identity}"


class Loaded:
    """The models in memory, by row id; safe to ask from many threads."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.Lock()
        self._models: OrderedDict[int, Trained] = OrderedDict()

    def model(self, identity: int) -> Trained:
        """Return the model, loaded once.

        Raises:
            UserError: Its file is missing or damaged.
        """
        with self._lock:  # a second caller waits rather than load it twice
            found = self._models.pop(identity, None)
            if found is None:
                found = self._load(identity)
            self._models[identity] = found
            while len(self._models) > _KEPT:
                self._models.popitem(last=False)
            return found

    def drop(self, identity: int) -> None:
        """Let go of a model that is no longer hosted."""
        with self._lock:
            self._models.pop(identity, None)

    def _load(self, identity: int) -> Trained:
        file = self._runtime.model_file(identity)
        if not file.is_file():
            raise UserError(f"the model file {file} is gone; create the model again")
        return self._runtime.detector.load(file)


def start(runtime: Runtime, loaded: Loaded, identity: int) -> None:
    """Bring a STARTING_HOSTING model to HOSTED or HOSTING_FAILED; idempotent."""
    with runtime.claims.held(claim_name(identity)) as ours:
        if not ours:
            return
        with runtime.database.read() as tx:
            model = find.model_by_id(tx, identity)
        if model is None or model.status != "STARTING_HOSTING":
            return
        try:
            loaded.model(identity)
        except UserError as error:
            _settle(runtime, identity, "HOSTING_FAILED", " ".join(str(error).split()))
        except Exception:
            _settle(runtime, identity, "HOSTING_FAILED", "The service failed; see its log.")
            raise
        else:
            _settle(runtime, identity, "HOSTED", RUNNING)


def stop(runtime: Runtime, loaded: Loaded, identity: int) -> None:
    """Bring a STOPPING_HOSTING model to TRAINED; idempotent."""
    loaded.drop(identity)
    with runtime.database.write() as tx:
        tx.run(
            "UPDATE models SET status = 'TRAINED', message = 'Training completed successfully.',"
            " min_units = NULL, max_units = NULL WHERE id = ? AND status = 'STOPPING_HOSTING'",
            identity,
        )


def _settle(runtime: Runtime, identity: int, status: str, message: str) -> None:
    with runtime.database.write() as tx:
        tx.run(
            "UPDATE models SET status = ?, message = ?"
            " WHERE id = ? AND status = 'STARTING_HOSTING'",
            status,
            message,
            identity,
        )
