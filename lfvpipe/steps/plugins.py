"""Steps that other installed distributions bring: the entry-point group ``lfvpipe.steps``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lfvpipe.engine.step import Step
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.metadata import EntryPoint

    from lfvpipe.config.spec import Pipeline
    from lfvpipe.steps.context import Context

GROUP = "lfvpipe.steps"


def plugin_families() -> tuple[str, ...]:
    """Return the families of the steps that distributions bring, which name their entry points."""
    return tuple(point.name for point in _entry_points())


def with_plugins(steps: Sequence[Step[Context]], pipeline: Pipeline) -> tuple[Step[Context], ...]:
    """Return `steps` and, each after the last step that it needs, those of other distributions.

    Raises:
        UserError: An entry point cannot be loaded or makes no step that fits.
    """
    placed = list(steps)
    for point in _entry_points():
        for step in _steps_of(point, pipeline):
            names = [each.name for each in placed]
            if step.name in names:
                raise _broken(point, f"there is another step {step.name!r}")
            if unknown := [need for need in step.needs if need not in names]:
                raise _broken(point, f"it needs {unknown[0]!r}, which is no step")
            after = [names.index(need) + 1 for need in step.needs]
            placed.insert(max(after, default=len(placed)), step)
    return tuple(placed)


def _entry_points() -> Sequence[EntryPoint]:
    # importlib.metadata takes a tenth of the time of a run that has nothing to do, and hardly
    # anybody has steps of their own: so it is imported where some distribution names the group.
    if not any(_names_the_group(Path(folder)) for folder in sys.path):
        return ()
    from importlib.metadata import entry_points

    return sorted(entry_points(group=GROUP), key=lambda point: point.name)


def _names_the_group(folder: Path) -> bool:
    try:
        with os.scandir(folder or ".") as entries:
            found = [
                each.path for each in entries if each.name.endswith((".dist-info", ".egg-info"))
            ]
    except OSError:  # a zip file, or no longer there
        return False
    return any(_holds_the_group(Path(path) / "entry_points.txt") for path in found)


def _holds_the_group(file: Path) -> bool:
    try:
        return f"[{GROUP}]" in file.read_text(encoding="utf-8", errors="replace")
    except OSError:  # most distributions have no entry points
        return False


def _steps_of(point: EntryPoint, pipeline: Pipeline) -> list[Step[Context]]:
    """Return what a class, or a function of the pipeline, makes: a step, or any number of them."""
    try:
        named = point.load()
        made: Any = named() if isinstance(named, type) else named(pipeline)
    except Exception as error:  # whatever a stranger's module raises is told as theirs
        raise _broken(point, f"{type(error).__name__}: {error}") from error
    steps = list(made) if isinstance(made, Iterable) else [made]
    for step in steps:
        if not isinstance(step, Step):
            raise _broken(point, f"{point.value} makes {step!r}, which is no Step")
        if step.family != point.name:
            raise _broken(point, f"{point.value} makes a step {step.name!r} of another name")
    return steps


def _broken(point: EntryPoint, why: str) -> UserError:
    brought = f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"
    message = f"The step {point.name!r} of the distribution {brought} cannot be used: {why}."
    return UserError(message, hint="Put it right, or uninstall the distribution.")
