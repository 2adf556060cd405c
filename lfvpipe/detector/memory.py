"""Freed memory given back to the system, which glibc else keeps for each thread that had it."""

import ctypes
import sys
from functools import cache
from typing import Any


def give_back() -> None:
    """Return memory that is free to the system, where the C library can; else do nothing.

    Threads come and go while images are worked on, and what each has freed is of no use to the
    next: after a few hundred images that is as much again as is in use.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    if sys.platform != "linux":
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
