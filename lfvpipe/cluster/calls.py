"""What crosses to a worker and back: bytes, so that a scheduler needs nothing of lfvpipe.

Dask has the scheduler read the functions of tasks, and pass results on. What it is given here is
`pickle.loads` and bytes that only a worker opens: they call `answer`, which answers in bytes.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import get_worker

from lfvpipe.cluster.versions import differences, versions_here
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Refused:
    """What a worker could not do, for a reason that people can put right."""

    worker: str
    message: str
    hint: str


@dataclass(frozen=True)
class Call:
    """A call of a function; unpickling it calls, and gives what `answer` returns."""

    wanted: dict[str, str]
    function: Callable[[Any, Path], Any]
    item: Any

    def __reduce__(self) -> tuple[Any, ...]:
        # Inside are bytes again: they are read once it is known that they will be understood.
        return answer, (self.wanted, pickle.dumps((self.function, self.item)))


@dataclass(frozen=True)
class Versions:
    """Asks for versions; unpickling it gives those of the process that does it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return versions_here, ()


def answer(wanted: dict[str, str], call: bytes) -> bytes:
    """Do on a worker what a `Call` wants.

    Args:
        wanted: The versions of whoever calls.
        call: A function and what it is to be called with, pickled. It is called with a folder,
            too, which is the worker's alone and goes when it ends.

    Returns:
        Pickled, what the function returned, or a `Refused`.
    """
    worker: Any = get_worker()
    # A worker that came later was not among those that `connect` asked.
    if others := differences(wanted, versions_here()):
        return pickle.dumps(refused_versions(worker.address, others))
    function, item = pickle.loads(call)  # noqa: S301  (of our own client: see the page on clusters)
    try:
        return pickle.dumps(function(item, Path(worker.local_directory)))
    except UserError as error:
        return pickle.dumps(Refused(worker.address, error.message, error.hint))
    except OSError as error:  # of the folder; a client would take it for one of the connection
        return pickle.dumps(Refused(worker.address, f"{error.strerror or error}.", ""))


def refused_versions(worker: str, others: str) -> Refused:
    """Return what is to be said of a worker of other versions."""
    return Refused(
        worker,
        f"it has other versions than this machine, and verdicts could differ: {others}.",
        "Install the same on all: pip install --require-hashes of one file of requirements, or one"
        " container image.",
    )
