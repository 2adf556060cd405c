"""What a training had come to that was cancelled, or died too often: kept for the project's next.

It is that of one training of each project. The next one of the same images goes on from it; one of
others, or the project's deletion, removes it. So does a week in which nobody asked for it.
"""

import shutil
import time
from contextlib import suppress
from pathlib import Path

from lfvpipe.service import locks
from lfvpipe.service.looks import cancelled_learning
from lfvpipe.service.runtime import Runtime
from lfvpipe.service.state.models import Model

LEARNING = "learning"
"""The folder within a training's scratch that the detector keeps its stages in."""

_WEEK = 7 * 86_400.0  # seconds


def set_aside(runtime: Runtime, model: Model) -> None:
    """Keep what the model's training had come to, if it had begun; idempotent."""
    learning = runtime.scratch(locks.model(model.id)) / LEARNING
    if learning.is_dir():
        aside = cancelled_learning(runtime.state_dir, model.project)
        forget(runtime, model.project)
        with suppress(OSError):  # then the next one begins anew
            aside.parent.mkdir(exist_ok=True)
            learning.rename(aside)
            aside.touch()


def take_up(runtime: Runtime, model: Model) -> Path:
    """Return the folder for the training's stages, with what a cancelled one had come to."""
    learning = runtime.scratch(locks.model(model.id)) / LEARNING
    if not learning.exists():
        with suppress(OSError):  # there is none, or another training was faster
            cancelled_learning(runtime.state_dir, model.project).rename(learning)
    return learning


def forget(runtime: Runtime, project: str) -> None:
    """Remove what is kept for a project."""
    shutil.rmtree(cancelled_learning(runtime.state_dir, project), ignore_errors=True)


def forget_old(runtime: Runtime) -> None:
    """Remove what nobody asked for in a week."""
    for folder in (runtime.state_dir / "cancelled").glob("*"):
        with suppress(OSError):
            if folder.stat().st_mtime + _WEEK < time.time():
                shutil.rmtree(folder, ignore_errors=True)
