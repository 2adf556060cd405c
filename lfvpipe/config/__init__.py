"""YAML in, a validated, frozen, typed pipeline out."""

from lfvpipe.config.loading import Loaded, load
from lfvpipe.config.problems import ConfigError, Problem

__all__ = ["ConfigError", "Loaded", "Problem", "load"]
