"""The side that has work done: a connection to a scheduler, and results in the order of items."""

from __future__ import annotations

import logging
import pickle
import socket
import time
import warnings
from collections import deque
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import uuid4

from lfvpipe.cluster.addresses import scheduler_of
from lfvpipe.cluster.versions import differences, versions_here
from lfvpipe.errors import UserError

try:
    import distributed

    from lfvpipe.cluster.calls import Call, Refused, Versions, refused_versions
except ImportError as error:
    raise UserError(
        f"A cluster needs Dask, which is not installed here ({error}).",
        hint="Install it with `pip install 'lfvpipe[dask]'`, here and on the workers.",
    ) from error

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from pathlib import Path
    from threading import Event

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_CLIENT: Any = distributed.Client  # half of it has no types
_CONNECT_SECONDS = 10
_POLL_SECONDS = 0.05
_LOOK_SECONDS = 3
"""How often is looked whether there is a worker at all."""
_TLS = (
    "Dask finds certificates by its own settings: DASK_DISTRIBUTED__COMM__TLS__CA_FILE,"
    " …__TLS__CLIENT__CERT and …__TLS__CLIENT__KEY, or a file in ~/.config/dask."
)


@dataclass(frozen=True)
class Lost(Generic[_Item]):
    """An item at which workers ended, one after another, until Dask gave it up.

    Attributes:
        item: What was to be done.
        workers: How many ended at it.
        last: The address of the last.
    """

    item: _Item
    workers: int
    last: str


class Cluster:
    """The workers behind a scheduler.

    Args:
        address: As the user wrote it.
        client: A connection.
        cancelled: Set once the user asks to stop.
        tell: Is given sentences for the user.
    """

    def __init__(
        self,
        address: str,
        client: Any,
        cancelled: Event,
        tell: Callable[[str], None],
    ) -> None:
        self.address = address
        self._client = client
        self._cancelled = cancelled
        self._tell = tell
        self._versions = versions_here()
        self._is_alone = False

    def in_order(
        self,
        function: Callable[[_Item, Path], _Result],
        items: Iterable[_Item],
        name_of: Callable[[_Item], str],
    ) -> Generator[_Result | Lost[_Item], None, None]:
        """Yield ``function(item, folder)`` for each of `items`, in their order.

        A worker that ends has what it was doing, or did and nobody has fetched yet, done once more
        by another. It ends early once the user asked to stop; what no worker has begun is then
        cancelled, as when the results are not wanted any more.

        Args:
            function: Called on workers; pickled with each item, so that it has to be small. The
                folder is the worker's own, and goes with it.
            items: Consumed lazily: a few for each thread of the workers are ahead.
            name_of: By what an item is known in Dask's own pages.

        Raises:
            UserError: A worker could not do it, or the scheduler is not there any more.
        """
        left = iter(items)
        waiting: deque[tuple[_Item, Any]] = deque()
        try:
            while True:
                ahead = 4 + 4 * self._threads()
                for item in islice(left, max(0, ahead - len(waiting))):
                    call = pickle.dumps(Call(self._versions, function, item))
                    key = f"{name_of(item)}-{uuid4().hex}"
                    with self._explained():
                        future = self._client.submit(pickle.loads, call, key=key, pure=False)
                    waiting.append((item, future))
                if not waiting or not self._is_done(waiting[0][1]):
                    return
                yield self._result_of(*waiting.popleft())
        finally:
            # A client that is closed, because its scheduler is gone, has nothing to cancel.
            with suppress(Exception):
                self._client.cancel([future for _, future in waiting], force=True)

    def check_versions(self) -> None:
        """Raise a UserError if a worker has other versions than this process."""
        with self._explained():
            said = self._client.run(pickle.loads, pickle.dumps(Versions()), on_error="return")
        for worker, there in said.items():
            if not isinstance(there, dict):
                raise self._not_installed(there, worker)
            if others := differences(self._versions, there):
                raise self._error(refused_versions(worker, others))

    def _is_done(self, future: Any) -> bool:
        """Wait for a future; False where the user asked to stop."""
        looked = time.monotonic()
        while not future.done():
            if time.monotonic() - looked > _LOOK_SECONDS:
                self._tell_if_alone()
                looked = time.monotonic()
            if self._cancelled.wait(_POLL_SECONDS):
                return False
        return not self._cancelled.is_set()

    def _result_of(self, item: _Item, future: Any) -> Any:
        try:
            with self._explained():
                result = pickle.loads(future.result())  # noqa: S301  (of workers that one trusts)
        except distributed.KilledWorker as error:
            last: Any = error.last_worker
            return Lost(item, error.allowed_failures + 1, str(getattr(last, "address", last)))
        except ImportError as error:
            raise self._not_installed(error) from error
        if isinstance(result, Refused):
            raise self._error(result)
        return result

    def _threads(self) -> int:
        with self._explained():
            return sum(self._client.nthreads().values())

    def _tell_if_alone(self) -> None:
        """Say once that nothing goes on, where that is so."""
        was_alone, self._is_alone = self._is_alone, not self._threads()
        if self._is_alone and not was_alone:
            self._tell(f"There is no worker at {self.address} now; waiting for one.")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Have a scheduler that goes away be an error of the user's world."""
        try:
            yield
        except (CancelledError, OSError, distributed.client.ClosedClientError) as error:
            raise UserError(
                f"The scheduler at {self.address} went away.",
                hint="The same command goes on, once it is there again.",
            ) from error

    def _error(self, said: Refused) -> UserError:
        why = said.message.removesuffix(".")
        return UserError(f"The worker {said.worker} cannot go on: {why}.", hint=said.hint)

    def _not_installed(self, error: object, worker: str = "") -> UserError:
        who = f"The worker {worker}" if worker else f"A worker of {self.address}"
        return UserError(
            f"{who} does not understand this lfvpipe: {error}.",
            hint="Install lfvpipe, in this version and with its extra `dask`, where workers run.",
        )


@contextmanager
def connect(address: str, cancelled: Event, tell: Callable[[str], None]) -> Iterator[Cluster]:
    """Connect to a cluster for the time of a block.

    Args:
        address: ``dask://HOST:PORT`` or ``tls://HOST:PORT``.
        cancelled: Set once the user asks to stop.
        tell: Is given sentences for the user.

    Raises:
        UserError: There is no scheduler, it cannot be talked to, or a worker has other versions.
    """
    scheme, host, port = scheduler_of(address)
    try:
        # Dask tries a name that nobody has, or a port where nobody is, until its time is up.
        socket.create_connection((host, port), timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise UserError(
            f"There is no scheduler at {address}: {error.strerror or error}.",
            hint=f"Start one: `dask scheduler --port {port}`; `lfvpipe docs cluster` has more.",
        ) from error
    # What it logs is said here in sentences.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    for name in ("client", "core", "comm", "batched"):
        logging.getLogger(f"distributed.{name}").setLevel(logging.CRITICAL)
    url = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    try:
        with warnings.catch_warnings():
            # Which versions count is looked at below, and told by the name of the worker.
            warnings.simplefilter("ignore", distributed.versions.VersionMismatchWarning)
            client: Any = _CLIENT(
                url, timeout=_CONNECT_SECONDS, set_as_default=False, name="lfvpipe"
            )
    except (OSError, TypeError, ValueError, RuntimeError) as error:
        said = str(error).partition("\n")[0]
        raise UserError(
            f"The scheduler at {address} cannot be talked to: {said}.",
            hint=_TLS
            if scheme == "tls"
            else "Has it the same version of dask? Does it want tls://?",
        ) from error
    try:
        cluster = Cluster(address, client, cancelled, tell)
        cluster.check_versions()
        yield cluster
    finally:
        with suppress(Exception):  # as of a scheduler that is gone
            client.close(timeout=_LOOK_SECONDS)
