"""An inference unit as the service sees it: a process to send images to."""

import json
import os
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from lfvpipe.errors import UserError
from lfvpipe.service.processes import environment
from lfvpipe.service.units.wire import receive, send, unpack

if TYPE_CHECKING:
    from lfvpipe.detector import Verdict

_END_SECONDS = 5.0
_PIPE_BYTES = 1024 * 1024
_NEW_GROUP = 0x00000200  # CREATE_NEW_PROCESS_GROUP on Windows
# A unit is one core's worth: more units, not more threads, are what a user asks for.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True)
class ModelSource:
    """What a unit loads.

    Attributes:
        file: The model's file.
        detector: The name of the detector that made it.
        size: The (width, height) in pixels of the images that it judges.
    """

    file: Path
    detector: str
    size: tuple[int, int]

    def arguments(self) -> list[str]:
        """Return what `lfvpipe.service.units.worker` takes on its command line."""
        return [str(self.file), self.detector, *map(str, self.size)]


class UnitDied(Exception):
    """The unit's process ended before it answered."""


class Unit(Protocol):
    """What judges one image at a time."""

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""

    def detect(self, image: bytes) -> "Verdict":
        """Judge an image's file.

        Raises:
            UnitDied: Nobody will answer; another unit may.
            UserError: The image cannot be judged.
        """

    def kill(self) -> None:
        """End it at once; a request that it works on ends with UnitDied."""

    def close(self) -> None:
        """End it."""


class ProcessUnit:
    """A process with one model in memory; one request at a time.

    Args:
        source: The model.
        log: The file that takes what the process says on its standard error.

    Raises:
        UserError: The model cannot be loaded.
        UnitDied: The process ended while it loaded the model.
    """

    def __init__(self, source: ModelSource, log: Path) -> None:
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as opened:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "lfvpipe.service.units.worker", *source.arguments()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=opened,
                env={**environment(), **_ONE_THREAD},
                # Ctrl-C is for the service, which lets its units finish.
                start_new_session=True,
                creationflags=_NEW_GROUP if os.name == "nt" else 0,
            )
        _widen(cast("BinaryIO", self._process.stdin))
        self._finalizer = weakref.finalize(self, _end, self._process)
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process' id."""
        return self._process.pid

    def detect(self, image: bytes) -> "Verdict":
        """Judge an image's file."""
        try:
            send(cast("BinaryIO", self._process.stdin), image)
        except (OSError, ValueError) as error:
            raise UnitDied(f"unit {self.pid} is gone") from error
        facts, mask = self._answer()
        return unpack(facts["verdict"], mask)

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    def close(self) -> None:
        """End the process: its input ends, and so does it; else it is killed."""
        self._finalizer()

    def _answer(self) -> tuple[dict[str, Any], bytes]:
        pipe = cast("BinaryIO", self._process.stdout)
        try:
            facts, mask = json.loads(receive(pipe)), receive(pipe)
        except (OSError, EOFError, ValueError) as error:
            raise UnitDied(f"unit {self.pid} ended without an answer") from error
        if "refused" in facts:
            raise UserError(facts["refused"])
        if "broken" in facts:
            raise RuntimeError(facts["broken"])
        return facts, mask


def _widen(pipe: BinaryIO) -> None:
    """Let a whole image into the pipe at once, where the system can: fewer switches between us."""
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):  # the user's pipes may hold too much already
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _end(process: "subprocess.Popen[bytes]") -> None:
    # A unit ends by itself when its input does; one that hangs must not hang us, too.
    killer = threading.Timer(_END_SECONDS, process.kill)
    killer.daemon = True
    killer.start()
    with suppress(OSError):
        cast("BinaryIO", process.stdin).close()
    process.wait()
    killer.cancel()
    cast("BinaryIO", process.stdout).close()
