"""Where a list of images denies what the names of their folders and files say."""

from __future__ import annotations

from collections import defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.cli.starter.choosing import Choices
from lfvpipe.cli.starter.image_tree import shown_folder
from lfvpipe.cli.starter.sorting import sort
from lfvpipe.engine.phrases import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lfvpipe.cli.starter.image_tree import ImageTree
    from lfvpipe.config.spec import Label

MOST_LINES = 8


def denials(tree: ImageTree, source: str, labels: Mapping[str, Label | None]) -> tuple[str, ...]:
    """Return lines about folders whose names say other labels than a list has.

    Args:
        tree: What there is.
        source: What to call the list.
        labels: What it says of each image.
    """
    told = sort(tree, Choices()).labels
    both = [name for name, label in labels.items() if label and name in told]
    if not both:
        return ()
    against = [name for name in both if told[name] != labels[name]]
    if not against:
        return (f"names of folders and files say the same of {count_of(len(both), 'image')}",)
    lines = [*_by_folder(tree, source, {name: labels[name] for name in against}, told)]
    rest = (
        [f"  and so in {count_of(len(lines) - MOST_LINES, 'more folder')}"]
        if len(lines) > MOST_LINES
        else []
    )
    head = f"what {source} says counts, not names of folders and files; they deny it of"
    return (f"{head} {count_of(len(against), 'image')}:", *lines[:MOST_LINES], *rest)


def _by_folder(
    tree: ImageTree, source: str, against: Mapping[str, Label | None], told: Mapping[str, Label]
) -> Iterator[str]:
    groups: dict[tuple[str, Label | None, Label], list[str]] = defaultdict(list)
    for name, label in sorted(against.items()):
        groups[PurePosixPath(name).parent.as_posix(), label, told[name]].append(name)
    for (folder, label, _), names in groups.items():
        said = "good" if label == "normal" else "defective"
        images = count_of(len(names), "image")
        are = "is" if len(names) == 1 else "are"
        where = shown_folder(tree, folder)
        yield f"  {images} in {where} {are} {said} by {source}, such as {names[0]}"
