"""Whether what lists the images counts, beside what the user says of folders, files and words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lfvpipe.cli.starter.choosing import fitting
from lfvpipe.cli.starter.covering import folders
from lfvpipe.cli.starter.listed_sources import find_listed, table_faults
from lfvpipe.cli.starter.open_words import settle_words
from lfvpipe.cli.usage import UsageError
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from lfvpipe.cli.starter.choosing import Choices
    from lfvpipe.cli.starter.groups import Kind, Sorting
    from lfvpipe.cli.starter.image_tree import ImageTree
    from lfvpipe.cli.starter.listed_sources import Listed
    from lfvpipe.cli.starter.undecided import Asked
    from lfvpipe.config.spec import Label


@dataclass(frozen=True)
class Ignored:
    """A list that does not count, since the user says what folders or files show.

    Attributes:
        title: What it is.
        option: What the user says.
        labels: What the list says of images.
        fault: Why it could not be read; "" where it could.
    """

    title: str
    option: str
    labels: Mapping[str, Label | None]
    fault: str = ""

    def told(self, sorting: Sorting) -> tuple[str, ...]:
        """Return what to say of it."""
        if self.fault:
            return (f"what lists the images, as {self.option} says what they show: {self.fault}",)
        denied = [n for n, label in sorting.labels.items() if self.labels.get(n, label) != label]
        rest = f"; it denies that of {len(denied)} of them, such as {denied[0]}" if denied else ""
        return (f"{self.title}, as {self.option} says what the images show{rest}",)


def find_list(tree: ImageTree, asked: Asked) -> Listed | Ignored | None:
    """Return what lists the images, less those that the user leaves out; None where nothing does.

    Raises:
        UserError: What there is can be read in several ways, a word of the user's means nothing, or
            the user named both a list and what folders show.
    """
    choices = asked.choices
    by_word = {(kind, word): fitting(tree, word) for kind, word in choices.items()}
    places = [each for each, names in by_word.items() if names]
    away = {
        name: word for kind, word in places if kind == "leave-out" for name in by_word[kind, word]
    }
    said = [f"--{kind} {word}" for kind, word in places if kind != "leave-out"]
    try:
        listed = find_listed(tree, choices, asked.unmarked, asked.product, frozenset(away))
    except UserError as error:
        if not said or tree.files:
            raise
        return Ignored("", said[0], {}, error.message)
    if asked.unmarked and (listed is None or listed.kind != "annotations"):
        raise UsageError(
            "--unmarked is about images beside annotations, and there are none that can be used.",
            hint="Leave it away, or name the file or folder of the annotations.",
        )
    if choices.columns and (listed is None or listed.kind != "table"):
        faults = table_faults(tree, choices)
        raise (
            faults[0]
            if faults
            else UsageError(
                "--column is about a table of the images, and there is none.",
                hint="Name the table beside the folder or archives of the images.",
            )
        )
    if listed is None:
        return None
    words = {*listed.words, *listed.left_out_words}
    said = [f"--{k} {word}" for k, word in places if k != "leave-out" and word not in words]
    if said and (tree.files or asked.unmarked):
        raise UsageError(
            f"What the images show is told twice: by {listed.title}, and by {said[0]}.",
            hint="Say one of the two; --leave-out takes images out of a list.",
        )
    if said:
        return Ignored(listed.title, said[0], listed.said or listed.labels)
    _insist_on_use(choices, places, listed)
    if told := settle_words(listed, asked):
        settled = find_listed(tree, told, asked.unmarked, asked.product, frozenset(away))
        assert settled is not None
        listed = settled
    return _without(tree, listed, away) if away else listed


def _insist_on_use(choices: Choices, places: Collection[tuple[Kind, str]], listed: Listed) -> None:
    """Raise a UsageError where a word of the user's is that of no image and not in the list."""
    for kind, word in choices.items():
        if word not in {*listed.words, *listed.left_out_words} and (kind, word) not in places:
            raise UsageError(
                f"No image fits --{kind} {word}, nor is it a word in {listed.title}.",
                hint="Name a folder, a file, a glob over names, or a word as it is written there.",
            )


def _without(tree: ImageTree, listed: Listed, away: Mapping[str, str]) -> Listed:
    """Return a list without images that the user leaves out."""
    if listed.archive is None or listed.kind == "manifest":
        raise UsageError(
            f"--leave-out takes no images out of {listed.title}.",
            hint="Take their lines out of the manifest.",
        )
    inside = {name: _inside(tree, listed.archive, name) for name in tree.images}
    members = {member for member in inside.values() if member}
    taken = {name: word for name, word in away.items() if inside[name]}
    return replace(
        listed,
        labels={name: label for name, label in listed.labels.items() if name not in away},
        parts={name: part for name, part in listed.parts.items() if name not in away},
        validation=listed.validation - away.keys(),
        exclude=folders({str(inside[name]) for name in taken}, members),
        taken_off=away,
    )


def _inside(tree: ImageTree, archive: Path, name: str) -> str | None:
    """Return what a run calls an image in the archive or folder that is listed; None for none."""
    file = tree.images[name]
    if file.root.path == archive:
        return file.member
    if file.root.path.is_dir():
        place = file.root.path / file.member
        return place.relative_to(archive).as_posix() if place.is_relative_to(archive) else None
    if tree.is_whole and archive == tree.base:  # an archive in the folder
        return name
    return None
