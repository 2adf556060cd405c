"""Starts the training worker as a process that outlives this one."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import lfvpipe
from lfvpipe.service.jobs.train import written_quotas
from lfvpipe.service.runtime import Runtime

IsAlive = Callable[[], bool]

# Images are worked on side by side; threads within one product would only be in each other's way.
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_WINDOWS_DETACHED = 0x00000008 | 0x00000200  # DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP


def launch_process(runtime: Runtime) -> IsAlive:
    """Start ``python -m lfvpipe.service.jobs.train`` in a session of its own."""
    log = runtime.state_dir / "logs" / "training.log"
    log.parent.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "lfvpipe.service.jobs.train"]
    with log.open("ab") as opened:
        process = subprocess.Popen(
            [*command, str(runtime.state_dir), written_quotas(runtime.quotas)],
            stdin=subprocess.DEVNULL,
            stdout=opened,
            stderr=opened,
            cwd=runtime.state_dir,
            env=_environment(),
            start_new_session=True,
            creationflags=_WINDOWS_DETACHED if os.name == "nt" else 0,
        )
    # Reaps the worker should it end before us; nobody waits for the thread.
    threading.Thread(target=process.wait, name="lfvpipe-reaper", daemon=True).start()
    return lambda: process.poll() is None


def _environment() -> dict[str, str]:
    """Return our environment, in which the worker finds the same lfvpipe even if not installed."""
    here = str(Path(lfvpipe.__file__).parent.parent)
    known = os.environ.get("PYTHONPATH")
    return {
        **_ONE_THREAD,
        **os.environ,
        "PYTHONPATH": f"{here}{os.pathsep}{known}" if known else here,
    }
