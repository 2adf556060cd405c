"""What people did a moment ago, to be undone."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.console.datasets.updates import DatasetName

_STEPS: Final = 2000
_LINES: Final = 400_000  # of all steps: some 300 MB at worst


@dataclass(frozen=True, slots=True)
class Change:
    """What became of an image in a data set.

    Attributes:
        before: Its line; None where it was not there.
        after: Likewise.
    """

    dataset: DatasetName
    source: str
    before: str | None
    after: str | None


class History:
    """Keeps the last steps, in memory and within bounds: the oldest is forgotten first."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._steps: OrderedDict[str, Sequence[Change]] = OrderedDict()

    def add(self, step: Sequence[Change]) -> str:
        """Keep a step; return what takes it back, "" for one that changed nothing."""
        if not step:
            return ""
        token = secrets.token_urlsafe(16)
        with self._guard:
            self._steps[token] = step
            while len(self._steps) > _STEPS or (
                len(self._steps) > 1 and sum(map(len, self._steps.values())) > _LINES
            ):
                self._steps.popitem(last=False)
        return token

    def find(self, token: str) -> Sequence[Change] | None:
        """Return a step; None where it is forgotten."""
        with self._guard:
            return self._steps.get(token)

    def forget(self, token: str) -> None:
        """Forget a step: it was taken back."""
        with self._guard:
            self._steps.pop(token, None)
