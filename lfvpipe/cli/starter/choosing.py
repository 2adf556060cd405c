"""What the user says that images are, before anything is guessed."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.cli.starter.covering import escaped
from lfvpipe.cli.starter.groups import below
from lfvpipe.cli.starter.image_tree import place_of, shown_folder
from lfvpipe.cli.usage import UsageError
from lfvpipe.dataset.globs import has_wildcard, matcher
from lfvpipe.dataset.words import labels_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lfvpipe.cli.starter.groups import Kind
    from lfvpipe.cli.starter.image_tree import ImageTree


@dataclass(frozen=True)
class Choices:
    """What the user says of folders, or of files by globs.

    Attributes:
        normal: What shows good products.
        anomaly: What shows defective ones.
        leave_out: What is not used.
        columns: What columns of a table are called, by what they hold.
        are_all: No folder is named beside these, so that nothing else takes part.
    """

    normal: tuple[str, ...] = ()
    anomaly: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    are_all: bool = False

    def items(self) -> Iterator[tuple[Kind, str]]:
        """Yield each with what it is said to be."""
        yield from (("normal", each) for each in self.normal)
        yield from (("anomaly", each) for each in self.anomaly)
        yield from (("leave-out", each) for each in self.leave_out)


@dataclass(frozen=True)
class Choice:
    """What the user says of an image.

    Attributes:
        kind: What it is.
        pattern: The user's word for it and for others.
        folder: The folder of the tree that is meant, "" for all of it; None for a glob or a file.
        glob: What tells this image and those beside it that were seen.
    """

    kind: Kind
    pattern: str
    folder: str | None
    glob: str


def chosen(tree: ImageTree, choices: Choices) -> Mapping[str, Choice]:
    """Return what the user says of images, by their names in the tree.

    Of several words for one image, the one for the fewest counts: a folder in a folder.

    Raises:
        UsageError: A word fits no image, or two that contradict each other fit the same ones.
    """
    by_word: dict[tuple[Kind, str], set[str]] = {}
    for kind, pattern in choices.items():
        found = fitting(tree, pattern)
        if not found:
            above = {PurePosixPath(name).parent.as_posix() for name in tree.images}
            folders = sorted(shown_folder(tree, folder) for folder in above)
            lie_in = [f"Images lie in {', '.join(folders[:8])}."] if folders else []
            raise UsageError(
                f"No image fits --{kind} {pattern}.", hint="\n".join([*tree.unread(), *lie_in])
            )
        by_word[kind, pattern] = found
    said: dict[str, tuple[Kind, str]] = {}
    for choice, names in sorted(by_word.items(), key=lambda each: -len(each[1])):
        for name in sorted(names):
            before = said.get(name, choice)
            if before[0] != choice[0] and not names < by_word[before]:
                raise UsageError(
                    f"{name} fits --{before[0]} {before[1]} and --{choice[0]} {choice[1]}.",
                    hint="Name folders, or globs over names, that have no image in common.",
                )
            said[name] = choice
    made = {name: _choice(tree, *said[name], name) for name in sorted(said)}
    _insist_on_agreement(made)
    return made | _whole_folders(tree, made)


def _choice(tree: ImageTree, kind: Kind, pattern: str, name: str) -> Choice:
    file, place, path = tree.images[name], tree.places[name], place_of(pattern)
    is_archive = place == file.root.path
    if path.exists():
        if path == place and not is_archive:
            return Choice(kind, pattern, None, escaped(name))
        inside = len(place.relative_to(path).parts)
        inside += len(PurePosixPath(file.member).parts) if is_archive else 0
        folder = "/".join(name.split("/")[:-inside])
        return Choice(kind, pattern, folder, below(folder))
    above = PurePosixPath(name).parent.as_posix()
    if has_wildcard(pattern) and not _names(pattern, name):
        if is_archive and not matcher([pattern])(name):  # it fits the archive
            folder = file.root.prefix.strip("/")
            return Choice(kind, pattern, folder, below(folder))
        last = pattern.rsplit("/", maxsplit=1)[-1]
        return Choice(kind, pattern, None, f"{escaped(above)}/{'*' if last == '**' else last}")
    wanted = pattern.strip("/").casefold()
    if f"/{name.casefold()}".endswith(f"/{wanted}"):
        return Choice(kind, pattern, None, escaped(name))
    parts, length = above.split("/"), len(wanted.split("/"))
    last_at = next(
        at
        for at in range(len(parts), 0, -1)
        if "/".join(parts[max(0, at - length) : at]).casefold() == wanted
    )
    folder = "/".join(parts[:last_at])
    return Choice(kind, pattern, folder, below(folder))


def _whole_folders(tree: ImageTree, made: Mapping[str, Choice]) -> dict[str, Choice]:
    """Return choices of files that are all of a folder as one: shells write ``ok/*`` out."""
    by_folder: dict[str, list[str]] = defaultdict(list)
    for name in tree.images:
        by_folder[PurePosixPath(name).parent.as_posix()].append(name)
    found: dict[str, Choice] = {}
    for folder, names in by_folder.items():
        kinds = {made[n].kind if n in made and made[n].glob == escaped(n) else None for n in names}
        kind = kinds.pop()
        if kind is not None and not kinds and len(names) > 1:
            whole = Choice(kind, f"{folder}/*", None, f"{escaped(folder)}/*")
            found |= dict.fromkeys(names, whole)
    return found


def _insist_on_agreement(made: Mapping[str, Choice]) -> None:
    """Raise a UsageError where images lie in a folder of the other label, which nobody named.

    Whoever calls a folder defective that has good ones in it is asked for these.
    """
    for name, choice in made.items():
        by_glob = (
            choice.folder is None
            and has_wildcard(choice.pattern)
            and not _names(choice.pattern, name)
        )
        by_folder = choice.folder is not None and choice.kind == "normal"
        if choice.kind == "leave-out" or not (by_glob or by_folder):
            continue
        is_good = choice.kind == "normal"
        label, contrary = ("good", "anomaly") if is_good else ("defective", "normal")
        folders = name[len(choice.folder or "") :].strip("/").split("/")[:-1]
        named = choice.pattern.casefold().split("/")
        inner = [f for f in folders if contrary in labels_of(f) and f.casefold() not in named]
        if inner:
            hint = "Name the folders one by one, this one by itself or by --leave-out."
            if by_glob and "/" not in choice.pattern:
                hint += f" A glob such as './{choice.pattern}' is about the top alone."
            raise UsageError(
                f"{name} would be {label} by --{choice.kind} {choice.pattern}, and lies in"
                f" {inner[0]}/.",
                hint=hint,
            )


def fitting(tree: ImageTree, pattern: str) -> set[str]:
    """Return the images that the user's word for some fits: a path, a name, or a glob."""
    path = place_of(pattern)
    if path.is_file():
        return tree.by_place.get(path, set())
    if path.exists():
        return {name for name, place in tree.places.items() if path in place.parents}
    # A name means itself, whatever signs of globs it has in it: Charge [neu]/, OK?/.
    named = {name for name in tree.images if _names(pattern, name)}
    if named or not has_wildcard(pattern):
        return named
    by_name, by_place = matcher([pattern]), _place_matcher(pattern)
    return {name for name, place in tree.places.items() if by_name(name) or by_place(place)}


def _names(pattern: str, name: str) -> bool:
    """Tell whether the user's word is the name of an image, or of a folder that it lies in."""
    return f"/{pattern.strip('/').casefold()}/" in f"/{name.casefold()}/"


def glob_folder(pattern: str) -> Path:
    """Return the folder on disk that a glob begins with: ``photos`` of ``photos/ok*.png``."""
    parts = Path(pattern).parts
    plain = next((at for at, part in enumerate(parts) if has_wildcard(part)), len(parts))
    return place_of(Path(*parts[:plain]))


def _place_matcher(pattern: str) -> Callable[[Path], bool]:
    """Return a test whether a glob, as a shell would take it, matches a place on disk."""
    folder, parts = glob_folder(pattern), Path(pattern).parts
    rest = [*itertools.dropwhile(lambda part: not has_wildcard(part), parts)]
    is_at_top = len(rest) < len(parts) or pattern.startswith("./")
    matches = matcher(["/".join((".", *rest) if is_at_top else rest)])
    return lambda place: (
        place.is_relative_to(folder) and matches(place.relative_to(folder).as_posix())
    )
