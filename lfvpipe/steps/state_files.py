"""Removes what a step left in the pipeline's state folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.atomic import remove_folder

if TYPE_CHECKING:
    from lfvpipe.steps.context import Context


def remove_files(context: Context, *paths: str) -> list[str]:
    """Remove files and folders, relative to the state directory; return those that were there."""
    removed = []
    for path in map(context.state_dir.joinpath, paths):
        if path.is_dir():
            remove_folder(path)
        elif path.is_file():
            path.unlink()
        else:
            continue
        removed.append(str(path))
    return removed
