"""Transfers that are made again where bytes changed on their way."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from lfvpipe.patience import Attempts, Trouble
from lfvpipe.storage.errors import Damaged

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


def until_sound(where: str, transfer: Callable[[], _T], *, most: int | None = None) -> _T:
    """Do `transfer` until what arrives is what was sent, and return what it returns.

    Args:
        where: The address of the object.
        transfer: Raises `Damaged` where it is not.
        most: How many attempts there may be at most.

    Raises:
        Damaged: It never was.
    """
    attempts, is_first = Attempts(where, most), True
    while True:
        try:
            return transfer()
        except Damaged:
            # The second follows at once: two that agree are right, whatever the tag says.
            if not is_first and not attempts.pause(Trouble.BROKEN, "it is changed on its way"):
                raise
            is_first = False
