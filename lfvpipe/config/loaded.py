"""What loading a pipeline file gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lfvpipe.config.spec import Pipeline
    from lfvpipe.config.tree import Node


@dataclass(frozen=True)
class Loaded:
    """A valid configuration.

    Attributes:
        pipeline: The typed pipeline, without any value of the matrix.
        digest: Of `data` and the schema: what is valid once stays valid under it.
        data: What the files, variables and overrides say together, nothing added.
        tree: The same, with the place of every value.
    """

    pipeline: Pipeline
    digest: str
    data: Mapping[str, object]
    tree: Node = field(repr=False, compare=False)
