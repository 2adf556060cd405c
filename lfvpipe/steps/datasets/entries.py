"""What a dataset holds, compared with a manifest: image, class and mask of every entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.lookout.failures import explained
from lfvpipe.manifest import training_content

if TYPE_CHECKING:
    from lfvpipe.lookout.api import DatasetType
    from lfvpipe.manifest import TrainingContent
    from lfvpipe.steps.context import Context


def lacking_lines(context: Context, split: DatasetType, manifest: bytes) -> list[bytes] | None:
    """Return the lines of `manifest` that the project's dataset lacks or has otherwise.

    Returns:
        The lines, none where the dataset holds the very content of the manifest. None where
        adding and replacing lines would not make the two equal: the dataset holds an image that
        the manifest does not, which no update takes away.

    Raises:
        LookoutError: The dataset's entries cannot be listed.
        LineError: One of them is no line of a manifest.
    """
    wanted: dict[str, TrainingContent] = {}
    lines: dict[str, bytes] = {}
    # Bytes, since a text also ends its lines at U+2028 and the like, which a name may hold.
    for line in filter(None, manifest.splitlines()):
        content = training_content(line)
        wanted[content.image], lines[content.image] = content, line
    project = context.pipeline.project
    pages = context.lookout.get_paginator("list_dataset_entries")
    with explained(f"reading the {split} dataset of project {project}"):
        for page in pages.paginate(ProjectName=project, DatasetType=split):
            for text in page["DatasetEntries"]:
                held = training_content(text)
                if held.image not in wanted:
                    return None
                if held == wanted[held.image]:
                    lines.pop(held.image, None)
    return list(lines.values())
