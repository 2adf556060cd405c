"""What the names of folders and files do not tell of images: it is asked, or refused."""

from __future__ import annotations

import re
import shlex
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from lfvpipe.cli.questions import ask
from lfvpipe.cli.starter.choosing import fitting
from lfvpipe.cli.starter.groups import Group
from lfvpipe.cli.starter.image_tree import place_of, shown_folder
from lfvpipe.cli.usage import UsageError
from lfvpipe.config.spec import LABELS
from lfvpipe.dataset.words import defect_word, undecided_word
from lfvpipe.engine.phrases import count_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lfvpipe.cli.starter.choosing import Choices
    from lfvpipe.cli.starter.groups import Kind, Sorting
    from lfvpipe.cli.starter.image_tree import ImageTree
    from lfvpipe.cli.starter.listed_sources import Unmarked
    from lfvpipe.config.spec import Label

MOST_QUESTIONS = 12
MOST_FILES = 40  # or folders, that a proposal names one by one
KINDS: Final[tuple[Kind, ...]] = ("normal", "anomaly", "leave-out")


@dataclass(frozen=True)
class Asked:
    """What the user says beside the paths.

    Attributes:
        choices: What folders hold.
        unmarked: What images without a mark are, where annotations list the others.
        product: The folder of one product.
        may_ask: There is a terminal to ask at.
        has_unused_list: A list of labels lies there and is not used: it may deny what is usual.
        paths: What the user named first, as it was typed.
        options: The rest of the command line, for what to say instead.
    """

    choices: Choices
    unmarked: Unmarked | None = None
    product: str = ""
    may_ask: bool = False
    has_unused_list: bool = False
    paths: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def command(self, more: Mapping[Kind, Sequence[str]]) -> str:
        """Return the command line with more words of what images are, as a shell takes it."""
        words = ["lfvpipe", "init", *self.paths]
        for kind in KINDS:
            said = [word for each, word in self.choices.items() if each == kind]
            said += more.get(kind, ())
            words += [f"--{kind}", *said] if said else []
        return shlex.join([*words, *self.options])


def settle_types(tree: ImageTree, sorting: Sorting, asked: Asked) -> None:
    """Ask whether folders beside the good products are types of defects, known or not."""
    unknown = [group for group in sorting.open if group.is_defect_type]
    if not asked.may_ask or not (sorting.types or unknown):
        return
    shown = ", ".join(_shown(tree, group) for group in [*sorting.types, *_leaves(tree, unknown)])
    answer = ask(
        f"Beside the good products lie {shown}. Are these types of defects?",
        ("yes, all of them", "I will say of each", "leave them out"),
        default=None if asked.has_unused_list else 0,
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
    if group.inside:
        return f"{group.name}/ in {len(group.inside)} folders"
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
    groups = [_with_doubt(tree, group) for group in _leaves(tree, sorting.open)]
    sorting.open = groups
    if not groups and sorting.of("normal"):
        return
    if not groups:
        raise UsageError(
            f"There are no images of good products, only {len(sorting.labels)} of defects.",
            hint="\n".join(
                [
                    *tree.unread(),
                    "Name the folder or archive of good products as well, by --normal FOLDER.",
                ]
            ),
        )
    if not asked.may_ask or len(groups) > MOST_QUESTIONS:
        raise _refusal(tree, sorting, groups, asked)
    is_alone = len(groups) == 1 and not sorting.labels
    for group in groups:
        sorting.settle(group, _answer(tree, group, sorting, asked, is_alone=is_alone))
    if not sorting.of("normal"):
        raise UsageError(
            "Without images of good products there is nothing to learn from.",
            hint="Name the folder or archive that holds them as well.",
        )


def _with_doubt(tree: ImageTree, group: Group) -> Group:
    """Return a group with what speaks against that it shows good products."""
    if group.doubt or group.is_defect_type:
        return group
    own = {name: None for each in group.names for name in reversed(each.split("/")[:-1])}
    base = [tree.base.name] if tree.is_whole and tree.base else []
    for name in [*own, *base]:
        if word := defect_word(name):
            return replace(group, doubt=f"“{word}” in {name}/ may say defective")
        if word := undecided_word(name):
            return replace(group, doubt=f"“{word}” in {name}/ leaves open what they show")
    words = Counter(filter(None, (defect_word(PurePosixPath(name).stem) for name in group.names)))
    for word, count in words.most_common(1):
        shown = count_of(count, "name")
        return replace(group, doubt=f"“{word}” in {shown} of files may say defective")
    return group


def _answer(
    tree: ImageTree, group: Group, sorting: Sorting, asked: Asked, *, is_alone: bool
) -> Kind:
    """Ask what a group shows; Enter says it only where something tells, and nothing denies it."""
    default = group.usual
    if not (default or group.doubt or asked.has_unused_list):
        if group.is_defect_type:
            default = "anomaly"
        elif is_alone:
            default = "normal"
        elif sorting.of("normal") and sorting.of("anomaly"):
            default = "leave-out"
    answers = ("good products", "defective products", "neither: leave them out")
    shown = ", ".join(PurePosixPath(name).name for name in group.names[:3])
    question = f"What do the images in {_shown(tree, group)} show, such as {shown}?"
    question += f"\n({group.doubt})" if group.doubt else ""
    return KINDS[ask(question, answers, default=KINDS.index(default) if default else None)]


def _refusal(
    tree: ImageTree, sorting: Sorting, groups: Sequence[Group], asked: Asked
) -> UsageError:
    shown = ", ".join(_shown(tree, group) for group in groups[:8])
    shown += f", and {len(groups) - 8} more" if len(groups) > 8 else ""
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
    made: Mapping[Kind, Sequence[str]] = {
        "leave-out": [w for g in groups if g.usual for w in _as_option(tree, g, asked)]
    }
    photographs = sorted((g for g in groups if not g.usual), key=lambda g: -len(g.names))
    if len(photographs) > MOST_FILES:
        return (
            "Name the folders above these, globs such as 'ok_*', or a table of the images:"
            " `lfvpipe docs sources` shows one."
        )
    said = [word for group in photographs for word in _as_option(tree, group, asked)]
    if not said:
        return (
            f"Say it: `{asked.command(made)}`; or --normal and --anomaly for what are photographs"
            " of products."
        )
    if len(groups) == 1 and list(asked.paths) == said:
        asked = replace(asked, paths=())
    which = shlex.join(said)
    if len(photographs) == 1:
        also_said = f"`{asked.command({**made, 'normal': said})}` if they are good"
        rest = f"--anomaly {which} if they are defective, --leave-out {which} if they are neither"
    elif known["normal"]:
        also_said = f"`{asked.command({**made, 'anomaly': said})}` if all are defective"
        rest = "--normal for what is good, and --leave-out for what is neither"
    elif known["anomaly"]:
        also_said = f"`{asked.command({**made, 'normal': said})}` if all are good"
        rest = "--anomaly for what is defective, and --leave-out for what is neither"
    else:  # nothing tells which: a proposal would be pasted, and be wrong half of the time
        blanks: Mapping[Kind, Sequence[str]] = {
            **made,
            "normal": ["FOLDER_OF_GOOD"],
            "anomaly": ["FOLDERS_OF_DEFECTIVE"],
        }
        also_said = f"`{asked.command(blanks)}`"
        rest = f"and --leave-out for what is neither; they are {which}"
    return f"Say it: {also_said}; {rest}."


def _as_option(tree: ImageTree, group: Group, asked: Asked) -> Sequence[str]:
    """Return what the user can call a group, and nothing else, by on the command line."""
    names = set(group.names)
    root = tree.root_of(group.name)
    place = root.path if root else tree.base if not group.name else None
    # What the user called something by already leaves the doubt: a name in it gave rise to that.
    typed = [] if group.doubt and not group.is_glob else [*asked.paths]
    typed += [word for _, word in asked.choices.items() if not group.doubt]
    words = [word for word in typed if place and place_of(word) == place]
    words += [group.name] if group.name else [str(tree.base)]
    if tree.base and tree.is_whole and group.name:
        words.append(str(tree.base / group.name))
    start = f"{group.name}/" if group.name else "./"
    words.append(f"{start}*")
    found = next((word for word in words if fitting(tree, word) == names), None)
    if found is None and not group.is_glob and len(names) <= MOST_FILES:
        return group.names
    return (found or (group.name if group.is_glob else words[-1]),)


def _leaves(tree: ImageTree, groups: Sequence[Group]) -> list[Group]:
    """Return groups by the folders that images lie in: one may be good, and that beside it not.

    Each is called by the topmost folder that holds nothing else.
    """
    counts = Counter(above for name in tree.images for above in _folders_above(name))
    found: dict[tuple[str, str], Group] = {}
    for group in groups:
        name = group.name if group.is_glob else _outermost(tree, group, counts)
        before = found.get((name, group.doubt))
        names = sorted({*group.names, *(before.names if before else ())})
        is_type = group.is_defect_type or (before is not None and before.is_defect_type)
        new = replace(group, name=name, names=tuple(names), is_defect_type=is_type)
        found[name, group.doubt] = new
    if len(found) <= MOST_QUESTIONS:
        return list(found.values())
    return [*_alike(tree, list(_series(tree, list(found.values()))))]


def _folders_above(name: str) -> Iterator[str]:
    """Yield the folders that an image lies in, ``""`` first."""
    parts = name.split("/")
    return ("/".join(parts[:length]) for length in range(len(parts)))


def _outermost(tree: ImageTree, group: Group, counts: Mapping[str, int]) -> str:
    """Return the topmost folder that holds a group's images and no others.

    Args:
        tree: What there is.
        group: Images in a folder.
        counts: How many images lie in each folder, at any depth.
    """
    # Of several folders each is called by its name, and an archive by its own.
    is_one = tree.is_whole and counts[""] == counts.get(next(iter(tree.images)).split("/")[0])
    if group.doubt:
        return group.name  # the name of one above it gave rise to the doubt, and leaves it
    for folder in _folders_above(f"{group.name}/." if group.name else "."):
        may_be = folder or is_one or not group.name
        if may_be and counts[folder] == len(group.names):
            return folder
    return group.name


def _series(tree: ImageTree, groups: Sequence[Group]) -> Iterator[Group]:
    """Yield groups with many folders side by side as one that differ by numbers: of parts."""
    series: dict[tuple[str, str, bool], list[Group]] = defaultdict(list)
    for group in groups:
        above, _, last = group.name.rpartition("/")
        kind = group.name if group.is_glob or group.doubt else re.sub(r"\d+", "0", last)
        series[above, kind, group.is_defect_type].append(group)
    for (above, _, is_type), same in series.items():
        names = {name for group in same for name in group.names}
        start = f"{above}/" if above else ""
        whole = len(same) > MOST_QUESTIONS and names == {
            name for name in tree.images if name.startswith(start)
        }
        if not whole:
            yield from same
            continue
        first, last = (PurePosixPath(same[at].name).name for at in (0, -1))
        doubt = f"{len(same)} folders, {first}/ to {last}/: one may be good, and another not"
        yield Group(above, tuple(sorted(names)), is_type, doubt="" if is_type else doubt)


def _alike(tree: ImageTree, groups: Sequence[Group]) -> Iterator[Group]:
    """Yield groups with folders of one name in several folders as one: ``0/``, ``1/`` of a day."""
    alike: dict[tuple[str, str, bool], list[Group]] = defaultdict(list)
    for group in groups:
        last = group.name if group.is_glob else group.name.rpartition("/")[2]
        alike[last, group.doubt, group.is_defect_type].append(group)
    for (last, _, _), same in alike.items():
        names = {name for group in same for name in group.names}
        if len(same) > 1 and fitting(tree, last) == names:
            yield replace(same[0], name=last, names=tuple(sorted(names)), inside=tuple(same))
        else:
            yield from same
