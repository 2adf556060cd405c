"""How images of one label are named in a pipeline file: archives, and globs over what they hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.cli.starter.covering import EVERYTHING, Cover, cover, escaped
from lfvpipe.cli.starter.name_reading import is_vague, read_name
from lfvpipe.cli.usage import UsageError
from lfvpipe.config.spec import Source
from lfvpipe.dataset.sources import archives_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from lfvpipe.cli.starter.image_tree import ImageTree, Root

MOST_GLOBS = 8  # that several archives share


@dataclass(frozen=True)
class LabelSource:
    """What a pipeline file says of a label.

    Attributes:
        archives: Folders and archives.
        names: What the pipeline calls the images, by their names in the tree.
        globs: Which of the images in the archives they are.
        has_types: The folder right above an image is its type of defect.
    """

    archives: tuple[Path, ...]
    names: Mapping[str, str]
    globs: Cover = EVERYTHING
    has_types: bool = False


def label_source(
    tree: ImageTree,
    names: Sequence[str],
    told: Mapping[str, str],
    *,
    by_folder: bool,
    from_base: bool,
    are_defects: bool,
    are_types: bool = False,
) -> LabelSource:
    """Return how the images with these names in the tree are named in a pipeline file.

    Args:
        tree: What there is.
        names: Of the images of one label.
        told: By which glob over names in the tree an image is known to be what it is.
        by_folder: Whether they may be named as a folder of its own where they are all of one.
        from_base: Whether they are to be named from the tree's base, as others are.
        are_defects: Whether folders may name types of defects.
        are_types: Whether they do for certain.
    """
    roots = list(dict.fromkeys(tree.images[name].root for name in names))
    types = are_defects and (are_types or _has_types(names))
    if from_base and tree.base is not None:
        return _from_base(tree, tree.base, names, told, types)
    if len(roots) == 1 and not (types and not _keeps_folders(roots[0], names)):
        return _of_one(tree, roots[0], names, told, types, by_folder=by_folder)
    if not types and (found := _of_several(tree, roots, names, told)) is not None:
        return found
    if tree.base is not None:
        return _from_base(tree, tree.base, names, told, types)
    raise UsageError(
        f"No globs tell the images of one label in {', '.join(root.path.name for root in roots)}.",
        hint="Put the archives into one folder, and name that.",
    )


def _from_base(
    tree: ImageTree, base: Path, names: Sequence[str], told: Mapping[str, str], types: bool
) -> LabelSource:
    # Archives in a folder are folders to whoever names the folder; archives in these are not read.
    for file in map(tree.images.__getitem__, names):
        inside = [each for each in file.root.inner if file.member.startswith(f"{each}/")]
        if inside and file.root.path.is_file():
            raise UsageError(
                f"{file.root.prefix}{inside[0]} is an archive in an archive in {base}, two levels"
                " deep, and one level is read.",
                hint=f"Unpack {file.root.path.name}, or name the archives one by one.",
            )
    wanted = {name: _local(told[name], "") for name in names}
    found = cover(wanted, _others(tree.images, wanted, told, ""))
    if not tree.is_whole and not found.include:
        tops = sorted({name.split("/")[0] for name in names})
        found = Cover(tuple(f"{escaped(top)}/**" for top in tops), found.exclude)
    return LabelSource((base,), {name: name for name in names}, found, types)


def _of_one(
    tree: ImageTree,
    root: Root,
    names: Sequence[str],
    told: Mapping[str, str],
    types: bool,
    *,
    by_folder: bool,
) -> LabelSource:
    cut = len(root.prefix)
    everything = _below(tree, root)
    wanted = {name[cut:]: _local(told[name], root.prefix) for name in names}
    globs = set(wanted.values())
    folder = globs.pop().removesuffix("/**") if len(globs) == 1 else ""
    place = root.path / folder
    below = {each for each in everything if each.startswith(f"{folder}/")}
    # Signs of globs in its name are escaped there, and it is no folder then.
    if by_folder and not types and folder and place.is_dir() and below == wanted.keys():
        shown = {name: name[cut + len(folder) + 1 :] for name in names}
        return LabelSource((place,), shown)
    found = cover(wanted, _others(everything, wanted, told, root.prefix))
    return LabelSource((root.path,), {name: name[cut:] for name in names}, found, types)


def _of_several(
    tree: ImageTree, roots: Sequence[Root], names: Sequence[str], told: Mapping[str, str]
) -> LabelSource | None:
    """Return a list of archives with globs for all of them; None where no few globs tell."""
    wanted: dict[str, str] = {}
    for name in names:
        file = tree.images[name]
        glob = _local(told[name], file.root.prefix)
        if wanted.setdefault(file.member, glob) != glob:
            return None
    others: dict[str, str] = {}
    for root in roots:
        others |= _others(_below(tree, root), wanted, told, root.prefix)
    there = [f for f in tree.images.values() if f.root in roots and f.member in wanted]
    if len(there) != len(names):
        return None  # another archive of them holds an image of the same name and another label
    found = cover(wanted, others)
    if len(found.include) + len(found.exclude) > MOST_GLOBS:
        return None
    first, *rest = (str(root.path) for root in roots)
    sources = archives_of("normal", Source(archive=first, further=tuple(rest)))
    prefixes = {Path(source.address): source.prefix for source in sources}
    shown = {
        name: f"{prefixes[tree.images[name].root.path]}{tree.images[name].member}" for name in names
    }
    return LabelSource(tuple(root.path for root in roots), shown, found)


def _others(
    names: Iterable[str], wanted: Collection[str], told: Mapping[str, str], prefix: str
) -> dict[str, str]:
    """Return the images beside those that are wanted, and by which glob each is told."""
    return {
        name: _local(told.get(f"{prefix}{name}") or escaped(f"{prefix}{name}"), prefix)
        for name in names
        if name not in wanted
    }


def _local(glob: str, prefix: str) -> str:
    """Return a glob over names in the tree as one over those in an archive with that prefix."""
    above = escaped(prefix)
    if glob.endswith("**") and above.startswith(glob.removesuffix("**")):
        return "**"
    inside = glob.removeprefix(above)
    return inside if "/" in inside or inside == "**" else f"./{inside}"


def _below(tree: ImageTree, root: Root) -> list[str]:
    """Return the images that whoever names a root's path finds there: nested archives', too."""
    cut = len(root.prefix)
    nested = {each for each in tree.roots if root.path in (each.path, *each.path.parents)}
    return [name[cut:] for name, file in tree.images.items() if file.root in nested]


def _has_types(names: Sequence[str]) -> bool:
    """Tell whether the folders right above images of defects say what defects they are."""
    folders = {PurePosixPath(name).parent.name for name in names}
    if len(folders) < 2:
        return False
    return not any(
        not folder or is_vague(folder) or read_name(folder).part or _is_label(folder)
        for folder in folders
    )


def _is_label(folder: str) -> bool:
    """Tell a folder that says defective and nothing else (bad, cups_def) from a type of defect."""
    return read_name(folder).label is not None and not re.search(
        r"broken|damage|crack|scratch", folder.lower()
    )


def _keeps_folders(root: Root, names: Sequence[str]) -> bool:
    """Tell whether the folders above images are folders to whoever names the root, too."""
    return all("/" in name[len(root.prefix) :] for name in names)
