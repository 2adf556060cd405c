"""YAML in, a validated, frozen, typed pipeline out."""

from typing import TYPE_CHECKING

from lfvpipe import lazy

if TYPE_CHECKING:
    from lfvpipe.config import validation
    from lfvpipe.config.loaded import Loaded
    from lfvpipe.config.loading import load
    from lfvpipe.config.matrix import expand
    from lfvpipe.config.problems import ConfigError, Problem
else:
    __getattr__ = lazy.face(
        __name__,
        {
            "loaded": ["Loaded"],
            "loading": ["load"],
            "matrix": ["expand"],
            "problems": ["ConfigError", "Problem"],
            "validation": [],
        },
    )

__all__ = ["ConfigError", "Loaded", "Problem", "expand", "load", "validation"]
