"""What the user says that images are, before anything is guessed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.cli.covering import escaped
from lfvpipe.cli.groups import below
from lfvpipe.cli.usage import UsageError
from lfvpipe.dataset.globs import has_wildcard, matcher
from lfvpipe.dataset.words import labels_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lfvpipe.cli.groups import Kind
    from lfvpipe.cli.image_tree import ImageTree


@dataclass(frozen=True)
class Choices:
    """What the user says of folders, or of files by globs."""

    normal: tuple[str, ...] = ()
    anomaly: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()

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
    fitting: dict[tuple[Kind, str], set[str]] = {}
    for kind, pattern in choices.items():
        found = {name for name in tree.images if fits(tree, pattern, name)}
        if not found:
            folders = sorted({str(PurePosixPath(name).parent) for name in tree.images})
            raise UsageError(
                f"No image fits --{kind} {pattern}.",
                hint=f"Images lie in {', '.join(folders[:8])}." if folders else "",
            )
        fitting[kind, pattern] = found
    said: dict[str, tuple[Kind, str]] = {}
    for choice, names in sorted(fitting.items(), key=lambda each: -len(each[1])):
        for name in sorted(names):
            before = said.get(name, choice)
            if before[0] != choice[0] and not names < fitting[before]:
                raise UsageError(
                    f"{name} fits --{before[0]} {before[1]} and --{choice[0]} {choice[1]}.",
                    hint="Name folders, or globs over names, that have no image in common.",
                )
            said[name] = choice
    made = {name: _choice(tree, *said[name], name) for name in sorted(said)}
    _insist_on_no_defects(made)
    return made


def _choice(tree: ImageTree, kind: Kind, pattern: str, name: str) -> Choice:
    file = tree.images[name]
    path = Path(pattern).absolute()
    if path.exists():
        place = file.root.path / file.member if file.root.path.is_dir() else file.root.path
        if path == place and place.is_file() and file.root.path != place:
            return Choice(kind, pattern, None, escaped(name))
        inside = len(place.relative_to(path).parts)
        inside += 0 if file.root.path.is_dir() else len(PurePosixPath(file.member).parts)
        folder = "/".join(name.split("/")[:-inside])
        return Choice(kind, pattern, folder, below(folder))
    above = PurePosixPath(name).parent.as_posix()
    if has_wildcard(pattern):
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


def _insist_on_no_defects(made: Mapping[str, Choice]) -> None:
    """Raise a UsageError where a folder called good has folders in it that are called defective."""
    for name, choice in made.items():
        if choice.kind != "normal" or choice.folder is None:
            continue
        folders = name[len(choice.folder) :].strip("/").split("/")[:-1]
        inner = [each for each in folders if "anomaly" in labels_of(each)]
        if inner:
            raise UsageError(
                f"--normal {choice.pattern} would take {name} for good, which lies in {inner[0]}/.",
                hint="Name the folders one by one, this one by --anomaly or --leave-out.",
            )


def fits(tree: ImageTree, pattern: str, name: str) -> bool:
    """Tell whether what the user calls images by fits one: a path, a name, or a glob."""
    path = Path(pattern).absolute()
    file = tree.images[name]
    if path.exists():
        place = file.root.path / file.member if file.root.path.is_dir() else file.root.path
        return path == place or path in place.parents
    if has_wildcard(pattern):
        return matcher([pattern])(name)
    return f"/{pattern.strip('/').casefold()}/" in f"/{name.casefold()}/"
