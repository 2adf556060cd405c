"""A model that `lfvpipe detect` asks, and what it is given."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from lfvpipe.cli.judge import Judge
    from lfvpipe.cli.verdicts import ImageVerdict


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


@dataclass(frozen=True)
class Asked:
    """A model that can be asked about images.

    Attributes:
        detect: Returns the verdict on an image, while `at_work`.
        judge: What its verdicts are given by.
        notes: What to know of all its verdicts.
        at_work: Has the model ready for the time of a block, hosted where a service has it.
    """

    detect: Callable[[Photograph], ImageVerdict]
    judge: Judge
    notes: tuple[str, ...] = ()
    at_work: Callable[[], AbstractContextManager[None]] = nullcontext
