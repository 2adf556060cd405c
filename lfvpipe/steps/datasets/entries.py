"""What a dataset holds, compared with a manifest: image, class and mask of every entry."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lfvpipe.lookout.failures import explained

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lfvpipe.lookout.api import DatasetType
    from lfvpipe.steps.context import Context

Entry = tuple[str, str, str]  # source-ref, class-name, mask's ref and colours (or "")


def manifest_entries(data: bytes) -> frozenset[Entry]:
    """Return the entries of a manifest: JSON Lines, UTF-8."""
    return entries_of(data.decode().splitlines())


def entries_of(lines: Iterable[str]) -> frozenset[Entry]:
    """Return what matters for training of each JSON line; dates and job names do not."""
    return frozenset(_entry(line) for line in lines if line.strip())


def _entry(line: str) -> Entry:
    data = json.loads(line)
    metadata = {
        key: value
        for key, value in data.items()
        if key.endswith("-metadata") and isinstance(value, dict)
    }
    names = [str(value["class-name"]) for value in metadata.values() if "class-name" in value]
    masks = sorted(
        [ref, str(metadata.get(f"{key}-metadata", {}).get("internal-color-map"))]
        for key, ref in data.items()
        if key.endswith("-ref") and key != "source-ref"
    )
    return str(data.get("source-ref")), " ".join(names), json.dumps(masks) if masks else ""


def changes(
    context: Context, project: str, split: DatasetType, manifest: bytes
) -> list[bytes] | None:
    """Return the lines of `manifest` that the dataset lacks or has otherwise.

    Returns:
        None where adding and replacing these lines would not make the dataset equal to the
        manifest: it holds an image that the manifest does not, which no update takes away.
    """
    wanted = {json.loads(line)["source-ref"]: line for line in manifest.splitlines() if line}
    entries = {ref: _entry(line.decode()) for ref, line in wanted.items()}
    pages = context.lookout.get_paginator("list_dataset_entries")
    with explained(f"reading the {split} dataset of project {project}"):
        for page in pages.paginate(ProjectName=project, DatasetType=split):
            for held in entries_of(page["DatasetEntries"]):
                if held[0] not in entries:
                    return None
                if entries[held[0]] == held:
                    wanted.pop(held[0], None)
    return list(wanted.values())


def same_entries(
    context: Context, project: str, split: DatasetType, wanted: frozenset[Entry]
) -> bool:
    """Tell whether the dataset holds exactly `wanted`; stops at the first page that does not."""
    seen = 0
    pages = context.lookout.get_paginator("list_dataset_entries")
    with explained(f"reading the {split} dataset of project {project}"):
        for page in pages.paginate(ProjectName=project, DatasetType=split):
            entries = entries_of(page["DatasetEntries"])
            if not entries <= wanted:
                return False
            seen += len(entries)
    return seen == len(wanted)
