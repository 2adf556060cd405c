"""A Dask cluster of this machine's own: a scheduler, and workers that can be killed."""

from __future__ import annotations

import socket
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from tests.workshop import environment

if TYPE_CHECKING:
    from pathlib import Path

# Reading a file whose name ends so ends whoever does it, as a photograph can that takes all memory.
POISON = "poison.png"
_HOOK = """
import os, signal, sys
HERE = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "", None)
def look(event, arguments):
    host = None
    if event == "open" and str(arguments[0]).endswith("POISON"):
        os.kill(os.getpid(), signal.SIGKILL)
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    if host not in HERE:
        with open(os.environ["ASKED"], "a") as file:
            file.write(f"{event} {host}")
sys.addaudithook(look)
""".replace("POISON", POISON)


@dataclass
class DaskCluster:
    """Processes of a cluster; a task that two workers ended at is given up.

    Attributes:
        folder: Where they may write.
        variables: What workers have in their environment beside what this process has.
        workers: Those that were started.
    """

    folder: Path
    variables: dict[str, str]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _unknown: list[subprocess.Popen[bytes]] = field(default_factory=list)  # to the scheduler

    def __enter__(self) -> Self:
        """Start a scheduler."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (self.folder / "hook").mkdir()
        (self.folder / "hook" / "sitecustomize.py").write_text(_HOOK)
        failures = self._watched() | {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
        words = ("scheduler", "--host", "127.0.0.1", "--port", str(self.port))
        self._scheduler = self._start(*words, log=subprocess.DEVNULL, variables=failures)
        return self

    def __exit__(self, *_: object) -> None:
        """End them all."""
        for each in (*self.workers, self._scheduler):
            self.end(each)

    @property
    def address(self) -> str:
        """What --compute takes."""
        return f"dask://127.0.0.1:{self.port}"

    @property
    def asked(self) -> Path:
        """The file of what processes asked of other machines; not there where they did not."""
        return self.folder / "asked"

    @property
    def living(self) -> list[subprocess.Popen[bytes]]:
        """The workers that have not ended."""
        return [each for each in self.workers if each.poll() is None]

    def have(self, count: int) -> None:
        """Start as many workers as are missing, and wait until the scheduler knows them."""
        for _ in range(count - len(self.living)):
            self.start()
        while self._unknown:
            said = self._unknown[-1].stdout
            assert said is not None
            assert any(b"Registered to" in line for line in said), "it ended"
            self._unknown.pop()

    def start(self, **variables: str) -> subprocess.Popen[bytes]:
        """Start a worker with one thread; `have` waits for it."""
        variables = self._watched() | self.variables | variables
        place = f"tcp://127.0.0.1:{self.port}"
        words = ("worker", place, "--no-nanny", "--nthreads", "1", "--host", "127.0.0.1")
        folder = ("--local-directory", str(self.folder / "workers"))
        worker = self._start(*words, *folder, log=subprocess.PIPE, variables=variables)
        self.workers.append(worker)
        self._unknown.append(worker)
        return worker

    def _watched(self) -> dict[str, str]:
        path = f"{self.folder / 'hook'}:{environment()['PYTHONPATH']}"
        return {"PYTHONPATH": path, "ASKED": str(self.asked)}

    def _start(
        self, kind: str, *words: str, log: Any, variables: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard", *words]
        given = environment() | variables
        return subprocess.Popen(command, env=given, stdout=log, stderr=subprocess.STDOUT)

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """End a process as a machine that fails does."""
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
