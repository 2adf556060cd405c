"""Freed memory given back to the system, which glibc else keeps for each thread that had it."""

import ctypes
import sys
from functools import cache
from typing import Any


def trim() -> None:
    """Return memory that is free to the system, where the C library can; else do nothing.

    Threads come and go while images are worked on, and what each has freed is of no use to the
    next: after a few hundred images that is as much again as is in use.
    """
    malloc_trim = _malloc_trim()
    if malloc_trim is not None:
        malloc_trim(0)


@cache
def _malloc_trim() -> Any:
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
