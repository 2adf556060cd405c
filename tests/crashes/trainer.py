"""The training worker, with what it works out noted: `main` takes its words and the notes' file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

PART_IMAGES = 3


def main(words: list[str]) -> int:
    """Work in small stages, and note each image looked at and each part of a network's way."""
    from lfvpipe.detector import extraction, fine_tuning, tuning
    from lfvpipe.service.jobs.training import progress, worker

    *given, notes = words
    # Told of each stage alone: how often a stage is told of within is a matter of time.
    progress._TELL_SECONDS = float("inf")
    extraction.PART_IMAGES = PART_IMAGES
    tuning.TUNING_LEAST_STEPS = tuning.FAST_MOST_STEPS = 10  # as many stages, in less time
    tuning.FAST_VIEWS = 2
    extraction._extract_one = _noted(extraction._extract_one, Path(notes), "image")
    course: Any = fine_tuning.Course
    course.advance = _noted(course.advance, Path(notes), "part")
    return worker.main(given)


def _noted(work: Callable[..., Any], notes: Path, what: str) -> Callable[..., Any]:
    def doing(*arguments: Any) -> Any:
        with notes.open("a") as opened:
            opened.write(f"{what}\n")
        return work(*arguments)

    return doing
