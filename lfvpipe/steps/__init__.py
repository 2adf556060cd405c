"""The twelve steps of a pipeline: one module each, or one folder."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.steps.advice import advise
else:
    __getattr__ = lazy.face(__name__, {"advice": ["advise"]})

__all__ = ["advise"]
