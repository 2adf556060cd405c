"""What the names of folders and files do not tell of images: it is asked, or refused."""

from __future__ import annotations

import shlex
from collections import defaultdict
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.cli.groups import Group
from lfvpipe.cli.image_tree import place_of, shown_folder
from lfvpipe.cli.questions import ask
from lfvpipe.cli.usage import UsageError
from lfvpipe.config.spec import LABELS
from lfvpipe.engine.phrases import count_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lfvpipe.cli.choosing import Choices
    from lfvpipe.cli.groups import Kind, Sorting
    from lfvpipe.cli.image_tree import ImageTree
    from lfvpipe.cli.listed_sources import Unmarked
    from lfvpipe.config.spec import Label

MOST_QUESTIONS = 12


@dataclass(frozen=True)
class Asked:
    """What the user says beside the paths.

    Attributes:
        choices: What folders hold.
        unmarked: What images without a mark are, where annotations list the others.
        product: The folder of one product.
        may_ask: There is a terminal to ask at.
        words: The command line's, for what to say instead.
    """

    choices: Choices
    unmarked: Unmarked | None = None
    product: str = ""
    may_ask: bool = False
    words: tuple[str, ...] = ()


def settle_types(tree: ImageTree, sorting: Sorting, asked: Asked) -> None:
    """Ask whether folders beside the good products are types of defects, known or not."""
    unknown = [group for group in sorting.open if group.is_defect_type]
    if not asked.may_ask or not (sorting.types or unknown):
        return
    shown = ", ".join(_shown(tree, group) for group in [*sorting.types, *_topmost(tree, unknown)])
    answer = ask(
        f"Beside the good products lie {shown}. Are these types of defects?",
        ("yes, all of them", "I will say of each", "leave them out"),
    )
    if answer == 0:
        for group in unknown:
            sorting.settle(group, "anomaly")
        sorting.types += unknown
        return
    for group in sorting.types:
        for name in group.names:
            sorting.labels.pop(name, None)
    sorting.open = [*sorting.types, *sorting.open]
    sorting.types = []
    for group in [each for each in sorting.open if each.is_defect_type and answer == 2]:
        sorting.settle(group, "leave-out")


def _shown(tree: ImageTree, group: Group) -> str:
    return f"{_name(tree, group)} ({count_of(len(group.names), 'image')})"


def _name(tree: ImageTree, group: Group) -> str:
    return group.name if group.is_glob else shown_folder(tree, group.name)


def take_judged(sorting: Sorting) -> list[Group]:
    """Take folders for testing in which nobody called anything good or defective, to be judged."""
    tested = any(sorting.parts.get(name) == "test" for name in sorting.labels)
    if tested or not sorting.labels:
        return []
    found = [
        group
        for group in sorting.open
        if all(sorting.parts.get(name) == "test" for name in group.names)
    ]
    sorting.open = [group for group in sorting.open if group not in found]
    return found


def settle_open(tree: ImageTree, sorting: Sorting, asked: Asked) -> None:
    """Ask what the images are that no name tells, or refuse with what to say.

    Raises:
        UsageError: There is nobody to ask, or too much to be asked.
    """
    groups = _topmost(tree, sorting.open)
    sorting.open = groups
    if not groups and sorting.of("normal"):
        return
    if not groups:
        raise UsageError(
            f"There are no images of good products, only {len(sorting.labels)} of defects.",
            hint="Name the folder or archive of good products as well, by --normal FOLDER.",
        )
    if not asked.may_ask or len(groups) > MOST_QUESTIONS:
        raise _refusal(tree, sorting, groups, asked)
    for group in groups:
        sorting.settle(group, _answer(tree, group, sorting, is_alone=len(groups) == 1))
    if not sorting.of("normal"):
        raise UsageError(
            "Without images of good products there is nothing to learn from.",
            hint="Name the folder or archive that holds them as well.",
        )


def _answer(tree: ImageTree, group: Group, sorting: Sorting, *, is_alone: bool) -> Kind:
    kinds: tuple[Kind, ...] = ("normal", "anomaly", "leave-out")
    default: Kind = "leave-out"
    if group.usual or group.doubt:
        default = group.usual or default
    elif is_alone and not sorting.labels:
        default = "normal"
    elif group.is_defect_type or not sorting.of("anomaly"):
        default = "anomaly"
    answers = ("good products", "defective products", "neither: leave them out")
    shown = ", ".join(PurePosixPath(name).name for name in group.names[:3])
    question = f"What do the images in {_shown(tree, group)} show, such as {shown}?"
    question += f"\n({group.doubt})" if group.doubt else ""
    return kinds[ask(question, answers, default=kinds.index(default))]


def _refusal(
    tree: ImageTree, sorting: Sorting, groups: Sequence[Group], asked: Asked
) -> UsageError:
    shown = ", ".join(_shown(tree, group) for group in groups[:8])
    shown += ", …" if len(groups) > 8 else ""
    known = {label: len(sorting.of(label)) for label in LABELS}
    doubts = [
        f"{_name(tree, group)}, such as {group.names[0]}: {group.doubt}."
        for group in groups[:8]
        if group.doubt
    ]
    return UsageError(
        f"Whether these images show good or defective products cannot be told: {shown};"
        f" {known['normal']} others are good, and {known['anomaly']} defective.",
        hint="\n".join([*doubts, _what_to_say(tree, groups, known, asked)]),
    )


def _what_to_say(
    tree: ImageTree, groups: Sequence[Group], known: Mapping[Label, int], asked: Asked
) -> str:
    made = [_as_option(tree, group, asked) for group in groups if group.usual == "leave-out"][:4]
    photographs = sorted((g for g in groups if g.usual != "leave-out"), key=lambda g: -len(g.names))
    named = photographs if all(g.is_defect_type for g in photographs) else photographs[:4]
    said = [_as_option(tree, group, asked) for group in named]
    words = shlex.join(["lfvpipe", "init", *asked.words])
    if made:
        words += f" --leave-out {' '.join(made)}"
    if not said:
        return f"Say it: `{words}`; or --normal and --anomaly for what are photographs of products."
    if len(groups) == 1 and asked.words == (said[0],):
        words = "lfvpipe init"
    which = " ".join(said)
    if len(said) == 1:
        also_said = f"`{words} --normal {which}` if they are good"
        rest = f"--anomaly {which} if they are defective, --leave-out {which} if they are neither"
    elif known["normal"]:
        also_said = f"`{words} --anomaly {which}` if all are defective"
        rest = "--normal for what is good, and --leave-out for what is neither"
    elif known["anomaly"]:
        also_said = f"`{words} --normal {which}` if all are good"
        rest = "--anomaly for what is defective, and --leave-out for what is neither"
    else:  # nothing tells which: a proposal would be pasted, and be wrong half of the time
        also_said = f"`{words} --normal FOLDER_OF_GOOD --anomaly FOLDERS_OF_DEFECTIVE`"
        rest = f"and --leave-out for what is neither; they are {which}"
    return f"Say it: {also_said}; {rest}."


def _as_option(tree: ImageTree, group: Group, asked: Asked) -> str:
    """Return what the user can call a group, and nothing else, by on the command line."""
    start = f"{group.name}/" if group.name else ""
    is_all = sum(name.startswith(start) for name in tree.images) == len(group.names)
    if not group.is_glob and not is_all:  # some folders in it are told already
        return shlex.quote(f"{start or './'}*")
    root = tree.root_of(group.name)
    path = root.path if root else tree.base if not group.name else None
    named = (word for word in asked.words if path and place_of(word) == path)
    return shlex.quote(next(named, group.name or str(tree.base)))


def _topmost(tree: ImageTree, groups: Sequence[Group]) -> list[Group]:
    """Return the groups with those of a folder of which nothing is known put together."""
    is_open = {name for group in groups for name in group.names}
    merged: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        merged[_open_folder(tree, group, is_open)].append(group)
    return [
        _as_one(folder, found) if len(found) > 1 or folder != found[0].name else found[0]
        for folder, found in merged.items()
    ]


def _as_one(folder: str, groups: Sequence[Group]) -> Group:
    names = sorted(name for group in groups for name in group.names)
    doubts = [group.doubt for group in groups if group.doubt]
    return Group(
        folder,
        tuple(names),
        any(group.is_defect_type for group in groups),
        doubt=doubts[0] if len(doubts) == len(groups) else "",
    )


def _open_folder(tree: ImageTree, group: Group, is_open: set[str]) -> str:
    """Return the topmost folder above a group in which everything is open."""
    if group.is_glob:
        return group.name
    parts = group.name.split("/") if group.name else []
    tops = {name.split("/")[0] for name in tree.images}
    # Several folders of which nothing is known may be both labels; an archive has a name.
    least = 1 if parts and (len(tops) > 1 or not tree.is_whole) else 0
    for length in range(least, len(parts) + 1):
        folder = "/".join(parts[:length])
        start = f"{folder}/" if folder else ""
        if all(name in is_open for name in tree.images if name.startswith(start)):
            return folder
    return group.name
