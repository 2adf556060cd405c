"""What a detector is to the rest of the house, and where to find one by its name.

Another package adds a detector by an entry point of the group `lfvpipe.detectors` in its
pyproject.toml; the name is what `service.detector` chooses it by:

    [project.entry-points."lfvpipe.detectors"]
    mean-colour = "my_package.my_module:MeanColourDetector"

The entry point is an object that is a `Detector`, a class that makes one without arguments, or a
module with its two functions, as `lfvpipe.detector` is.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from lfvpipe.detector.errors import DetectorError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL import Image

    from lfvpipe.detector.facts import Example, Settings, Verdict

GROUP = "lfvpipe.detectors"
DEFAULT = "default"
Progress = Callable[[str, int, int], None]  # told of (stage, done, total)
Cancelled = Callable[[], bool]


@runtime_checkable
class TrainedModel(Protocol):
    """What a detector has learnt; asked by several threads at a time."""

    def detect(self, image: Image.Image | Path | str | bytes) -> Verdict:
        """Return the verdict on one image: decoded, a path, or a file's bytes.

        Raises:
            DetectorError: It cannot be read as an image.
        """

    def save(self, path: Path) -> None:
        """Write the model to one file, whole or not at all.

        Raises:
            OSError: The file cannot be written.
        """


@runtime_checkable
class Detector(Protocol):
    """What trains models and loads those that were saved."""

    def train(
        self,
        examples: Sequence[Example],
        settings: Settings | None = None,
        *,
        progress: Progress = lambda _stage, _done, _total: None,
        cancelled: Cancelled = lambda: False,
    ) -> TrainedModel:
        """Learn to tell anomalous images from normal ones.

        Args:
            examples: Labelled photographs. There may be no anomalies, and there may be masks.
            settings: How to train; a detector keeps to what it knows of them.
            progress: Told of (stage, done, total) as work is done, from the calling thread.
            cancelled: Asked at the same moments.

        Raises:
            DetectorError: Too few images, or one that cannot be read.
            TrainingCancelled: `cancelled()` turned true.
        """

    def load(self, path: Path) -> TrainedModel:
        """Return the model that was saved in `path`.

        Raises:
            DetectorError: It is no model of this detector, or damaged.
        """


def detector_names() -> tuple[str, ...]:
    """Return the names of the detectors that are installed, ours first; imports none of them."""
    others = {each.name for each in entry_points(group=GROUP)} - {DEFAULT}
    return (DEFAULT, *sorted(others))


def _entry_point(name: str) -> EntryPoint:
    found = tuple(entry_points(group=GROUP, name=name))
    if not found:
        raise DetectorError(
            f"There is no detector named {name!r}; there are: {', '.join(detector_names())}.",
            hint=f"Install the package that declares it in its entry points ({GROUP}), or name"
            " another.",
        )
    if len({each.value for each in found}) > 1:
        places = " and ".join(sorted({each.value for each in found}))
        raise DetectorError(
            f"Two detectors are named {name!r}: {places}.", hint="Uninstall one of them."
        )
    return found[0]


def load_detector(name: str = DEFAULT) -> Detector:
    """Return the detector of that name.

    Raises:
        DetectorError: There is none of that name, or it cannot be imported or is no detector.
    """
    # Ours needs no metadata: it is there in a source tree and in a component's code folder too.
    if name == DEFAULT:
        found = EntryPoint(DEFAULT, "lfvpipe.detector", GROUP)
    else:
        found = _entry_point(name)
    try:
        detector = found.load()
        detector = detector() if isinstance(detector, type) else detector
    except Exception as error:  # the package's own code runs here
        raise DetectorError(
            f"The detector {name!r} ({found.value}) cannot be loaded: {error!r}.",
            hint="Reinstall the package that declares it.",
        ) from error
    # Not isinstance: from Python 3.12 on it does not see what a module's own __getattr__ brings.
    if not all(callable(getattr(detector, name, None)) for name in ("train", "load")):
        raise DetectorError(
            f"The detector {name!r} ({found.value}) is none: it has no functions train and load.",
            hint="lfvpipe.detector.Detector says what it must have.",
        )
    return cast("Detector", detector)
