"""Removes what a step left in the pipeline's state folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lfvpipe.steps.context import Context


def remove_files(context: Context, *paths: str) -> list[str]:
    """Remove files and folders, relative to the state directory; return those that were there."""
    import shutil

    removed = []
    for path in map(context.state_dir.joinpath, paths):
        if path.is_dir():
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()
        else:
            continue
        removed.append(str(path))
    return removed
