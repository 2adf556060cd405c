"""What loading a pipeline file gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lfvpipe.config.tree import find, plain, walk, without_nulls

if TYPE_CHECKING:
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

    def where_set(self, *keys: str) -> str:
        """Return where the first of some dotted keys that is set is, alone or by the matrix.

        Returns:
            A file as the user named it, or the ``--set`` argument, where that says any of it; ""
            where none of them is set.
        """
        for key in keys:
            found = find(self.tree, tuple(key.split(".")))
            if found is not None and without_nulls(plain(found)) not in (None, {}):
                files = [node.place.file for _, node in walk(found)]
                return next((each for each in files if each.startswith("--set ")), files[0])
        matrix = find(self.tree, ("matrix",))
        below = matrix.value if matrix and isinstance(matrix.value, Mapping) else {}
        return next((node.place.file for key, node in below.items() if key.startswith(keys)), "")
