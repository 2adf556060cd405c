"""A model that `lfvpipe detect` asks, and what it is given."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from lfvpipe.cli.judge import Judge
    from lfvpipe.cli.verdicts import ImageVerdict
    from lfvpipe.detector import Model


@dataclass(frozen=True)
class Photograph:
    """An image to judge.

    Attributes:
        name: The file or object, as the user named it.
        data: Its bytes.
        inside: Its path below the folder or prefix that was named; empty where none was.
    """

    name: str
    data: bytes
    inside: str = ""


class Maps(Protocol):
    """Where heat maps go."""

    def make_folder(self) -> None:
        """Make sure that they can be written there."""

    def draw(
        self, photograph: Photograph, picture: Image | bytes, heat: NDArray[np.float32] | None
    ) -> str | None:
        """Write a picture under its heat map, and return what it is called; None for none."""


class Way(Protocol):
    """How a detector's model that is at hand is asked: the same in any process. Can be pickled."""

    def detect(self, model: Model, image: Photograph) -> ImageVerdict:
        """Return the verdict on a photograph.

        Raises:
            UserError: It cannot be used.
        """

    def drawing(self, maps: Maps | None) -> Way:
        """Return the same, with heat maps that go there."""


@dataclass(frozen=True)
class Asked:
    """A model that can be asked about images.

    Attributes:
        detect: Returns the verdict on an image, while `at_work`.
        judge: What its verdicts are given by.
        notes: What to know of all its verdicts.
        at_work: Has the model ready for the time of a block, hosted where a service has it.
        by: How another process judges the same, given `judge.file`; None where a service judges.
    """

    detect: Callable[[Photograph], ImageVerdict]
    judge: Judge
    notes: tuple[str, ...] = ()
    at_work: Callable[[], AbstractContextManager[None]] = nullcontext
    by: Way | None = None
