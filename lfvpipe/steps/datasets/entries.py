"""What a dataset holds, compared with a manifest: image, class and mask of every entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.lookout.failures import explained
from lfvpipe.manifest import training_content

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lfvpipe.lookout.api import DatasetType
    from lfvpipe.manifest import TrainingContent
    from lfvpipe.steps.context import Context


def manifest_content(data: bytes) -> frozenset[TrainingContent]:
    """Return what a manifest, JSON Lines in UTF-8, would have a model trained on."""
    return _content(data.splitlines())  # bytes: a text also ends lines at U+2028 and the like


def _content(lines: Iterable[str | bytes]) -> frozenset[TrainingContent]:
    return frozenset(training_content(line) for line in lines if line.strip())


def changes(
    context: Context, project: str, split: DatasetType, manifest: bytes
) -> list[bytes] | None:
    """Return the lines of `manifest` that the dataset lacks or has otherwise.

    Returns:
        None where adding and replacing these lines would not make the dataset equal to the
        manifest: it holds an image that the manifest does not, which no update takes away.
    """
    wanted: dict[str, TrainingContent] = {}
    lines: dict[str, bytes] = {}
    for line in filter(None, manifest.splitlines()):
        content = training_content(line)
        wanted[content.image], lines[content.image] = content, line
    pages = context.lookout.get_paginator("list_dataset_entries")
    with explained(f"reading the {split} dataset of project {project}"):
        for page in pages.paginate(ProjectName=project, DatasetType=split):
            for held in _content(page["DatasetEntries"]):
                if held.image not in wanted:
                    return None
                if wanted[held.image] == held:
                    lines.pop(held.image, None)
    return list(lines.values())


def same_entries(
    context: Context, project: str, split: DatasetType, wanted: frozenset[TrainingContent]
) -> bool:
    """Tell whether the dataset holds exactly `wanted`; stops at the first page that does not."""
    seen = 0
    pages = context.lookout.get_paginator("list_dataset_entries")
    with explained(f"reading the {split} dataset of project {project}"):
        for page in pages.paginate(ProjectName=project, DatasetType=split):
            entries = _content(page["DatasetEntries"])
            if not entries <= wanted:
                return False
            seen += len(entries)
    return seen == len(wanted)
