"""What is said of a training: how far it is, and that it goes on by itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lfvpipe.engine.outcome import Facts
    from lfvpipe.steps.context import Context

TRAINED = frozenset({"TRAINED", "STARTING_HOSTING", "HOSTED", "STOPPING_HOSTING", "HOSTING_FAILED"})
_COUNTED = re.compile(r"\b([0-9]{1,9}) of ([0-9]{1,9})\b")


def counted(message: str) -> tuple[int, int | None]:
    """Return (done, total) of a service's message such as "Features: 9 of 35."; else (0, None)."""
    found = _COUNTED.search(message)
    return (int(found[1]), int(found[2])) if found else (0, None)


def brief(message: str) -> str:
    """Return what a service's message says beyond "The model is being trained."."""
    said, _, more = message.partition(". ")
    return (more or said).rstrip(". ").lower() if "trained" in said else message.rstrip(". ")


def ongoing(context: Context, saved: Facts) -> str:
    """Return that the version which an unfinished attempt created trains on, or is trained.

    The embedded service's own file tells; another service cannot be asked without a network.
    """
    if not saved.get("version"):
        return ""
    version, status = str(saved["version"]), _status(context, saved)
    if status in TRAINED:
        return f"version {version} is trained by now, and `lfvpipe run` takes it up"
    if status == "TRAINING":
        return f"training goes on as version {version}, and `lfvpipe run` takes it up"
    return ""


def _status(context: Context, saved: Facts) -> str | None:
    if context.pipeline.service.endpoint != "embedded":
        return "TRAINING"
    from lfvpipe.service.embedded import model_status

    return model_status(context.service_dir, str(saved.get("project")), str(saved["version"]))
