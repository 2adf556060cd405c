"""What killed commands left below the state's root: temporary files that nobody writes any more."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from lfvpipe.atomic import abandoned_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lfvpipe.steps.context import Context


def leftovers(context: Context) -> Iterator[Path]:
    """Yield such files of all pipelines under the root, of the cache, the service, the buckets.

    What somebody writes at this moment is not among them, whether or not the caller holds a lock.
    """
    buckets = context.buckets_dir
    # Objects are called as their owners like.
    yield from (file for file in abandoned_files(context.state_root) if buckets not in file.parents)
    if buckets.is_dir():
        from lfvpipe.storage import LocalBuckets

        yield from LocalBuckets(buckets, context.pipeline.region).abandoned_files()


def remove_leftovers(context: Context) -> list[Path]:
    """Remove what `leftovers` yields; return it."""
    removed = []
    for file in leftovers(context):
        with suppress(OSError):  # somebody else has removed it, or may
            file.unlink()
            removed.append(file)
    return removed
