"""What the names of files in one folder say of images, and where they deny what the folder says."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import replace
from functools import cached_property
from os.path import commonprefix
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lfvpipe.cli.starter.covering import escaped
from lfvpipe.cli.starter.groups import Group
from lfvpipe.cli.starter.name_reading import MADE, TWINS, made_of, read_name
from lfvpipe.dataset.globs import matcher
from lfvpipe.dataset.pairing import looks_like_mask
from lfvpipe.dataset.words import (
    defect_word,
    denial_in,
    doubt_in,
    labels_of,
    product_words,
    words_of,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from lfvpipe.cli.starter.groups import Sorting
    from lfvpipe.config.spec import Label

MOST_GROUPS = 24  # of files by the beginning or end of their names
MOST_SHAPES = 8  # of files that nothing tells, by their names but for digits


class FileNames:
    """The names of all images of a tree, against which one name is read.

    Attributes:
        lead: What all begin with, where that says a label and cannot be meant so.
    """

    def __init__(self, names: Collection[str], folders_tell: bool) -> None:
        self._names = names
        self._stems = {_stem(name).lower() for name in names}
        own = [_stem(name) for name in names if not looks_like_mask(name)]
        start = commonprefix(own)  # noqa: RUF071  (of names, which are no paths)
        lead = re.sub(r"[^\W_]+$", "", start) if len(own) > 1 else ""
        # NG-4711_001_OK: of the product's number; ng_001, ng_002: the verdict.
        is_number = folders_tell or all(labels_of(each[len(lead) :]) for each in own)
        self.lead = lead if labels_of(lead) and is_number else ""
        rests = {re.sub(r"\d+", " ", each[len(self.lead) :]) for each in own}
        self._products = product_words(rests)

    def rest(self, name: str) -> str:
        """Return what of a file's name may tell what it shows."""
        return _stem(name)[len(self.lead) :] if not looks_like_mask(name) else _stem(name)

    def doubted(
        self,
        folder: str,
        names: Sequence[str],
        label: Label,
        *,
        by: str = "the folder",
        named: str = "",
    ) -> Iterator[Group]:
        """Yield groups of images in a folder that their names say are not what the folder is.

        Args:
            folder: Where they lie.
            names: Of the images.
            label: What the folder, or the user, says of them.
            by: Who says so.
            named: A glob by which the user means them: what it names is no denial.
        """
        said, contrary = ("good", "defective") if label == "normal" else ("defective", "good")
        own = PurePosixPath(named).name
        plain = f" {' '.join(words_of(re.sub(r'[0-9]+', ' ', own)))} "
        made = [
            group
            for group in self._made(folder, names)
            if not own or PurePosixPath(group.name).name.casefold() != own.casefold()
        ]
        yield from made
        taken = {name for group in made for name in group.names}
        against = defaultdict(list)
        for name in names:
            if name in taken or looks_like_mask(name):
                continue
            rest = self.rest(name)
            if word := self._denial(name, label):
                why = f"{by} says {said}, “{word}” in the names says {contrary}"
            elif word := doubt_in(rest):
                why = f"{by} says {said}, “{word}” in the names that this is not certain"
            elif word := denial_in(rest, label, self._usual):
                why = f"{by} says {said}, “{word}” in the names may deny that"
            if word and f" {word} " not in plain:
                against[word, why].append(name)
        for (word, why), found in against.items():
            yield self._group(folder, found, self._told_by(found, word), why)

    @cached_property
    def _usual(self) -> frozenset[str]:
        """The words that half of all names have: of the product, or of how it is taken."""
        stems = [set(words_of(re.sub(r"\d+", " ", _stem(name)))) for name in self._names]
        counts = Counter(word for words in stems for word in words)
        return frozenset(word for word, count in counts.items() if 2 * count >= len(stems))

    def sort(self, group: Group, sorting: Sorting) -> bool:
        """Tell images in one folder apart by how their names begin or end: ``ok_1``, ``ng_1``."""
        masks = [name for name in group.names if looks_like_mask(name)]
        images = [name for name in group.names if name not in set(masks)]
        made = self._made(group.name, images)
        taken = {name for each in made for name in each.names}
        found = self._by_ends([name for name in images if name not in taken])
        if found is None:
            return False
        sorting.open.remove(group)
        sorting.open += made
        for names, label, ends in found:
            self._take(group.name, names, label, ends, sorting)
        if masks:
            sorting.open.append(Group(group.name, tuple(sorted(masks))))
        return True

    def part(self, group: Group, sorting: Sorting) -> None:
        """Part images whose names have words for defects from others that nothing tells."""
        by_word: dict[str, list[str]] = defaultdict(list)
        for name in group.names:
            word = defect_word(self.rest(name))
            by_word[word if word not in self._usual else ""].append(name)
        rest = by_word.pop("", [])
        if not (rest and by_word) or len(by_word) > MOST_SHAPES:
            return
        sorting.open.remove(group)
        sorting.open.append(replace(group, names=tuple(rest)))
        for word, names in by_word.items():
            why = f"“{word}” in the names may say defective"
            sorting.open.append(self._group(group.name, names, self._told_by(names, word), why))

    def _made(self, folder: str, names: Sequence[str]) -> list[Group]:
        """Return groups of pictures in a folder that are none, or the same once more."""
        by_part: dict[str, list[str]] = defaultdict(list)
        by_stem: dict[str, set[str]] = defaultdict(set)
        images = [name for name in names if not looks_like_mask(name)]
        for name in images:
            by_stem[_stem(name).lower()].add(_suffix(name))
            if part := made_of(_stem(name), self._stems):
                by_part[part].append(name)
        groups = [
            self._group(folder, found, [f"*{part}", f"{part}*"], MADE)
            for part, found in by_part.items()
        ]
        twice = {min(each, key=_rank) for each in by_stem.values() if len(each) > 1}
        taken = {name for group in groups for name in group.names}
        for suffix in sorted(twice):
            same = [name for name in images if _suffix(name) == suffix and name not in taken]
            groups.append(self._group(folder, same, [f"*{suffix}"], TWINS))
        return groups

    def _take(
        self, folder: str, names: list[str], label: Label | None, ends: str, sorting: Sorting
    ) -> None:
        """Take what an end of names says of images, but for those that another part denies."""
        denied: dict[tuple[str, str], list[str]] = defaultdict(list)
        for name in names if label else ():
            if word := self._denial(name, label):
                why = f"the names say both good and defective, “{word}” among it"
                denied[word, why].append(name)
            elif (
                label and (word := denial_in(self.rest(name), label, self._products | self._usual))
            ) or (word := doubt_in(self.rest(name), self._products)):
                why = f"“{word}” in the names may take back what they say"
                denied[word, why].append(name)
        for (word, why), found in denied.items():
            sorting.open.append(self._group(folder, found, self._told_by(found, word), why))
        plain = [name for name in names if not any(name in each for each in denied.values())]
        if not plain:
            return
        if label is None:
            sorting.open += [self._group(folder, plain, [ends], "")] if ends.strip("*") else []
            sorting.open += self._by_shape(folder, plain) if not ends.strip("*") else []
            return
        sorting.labels |= dict.fromkeys(plain, label)
        sorting.told |= {name: _told(folder, name, ends) for name in plain}

    def _by_shape(self, folder: str, names: Sequence[str]) -> list[Group]:
        """Return groups of names that nothing tells, by what they are but for digits."""
        by_start: dict[str, list[str]] = defaultdict(list)
        for name in names:
            by_start[re.split(r"[0-9]", _stem(name))[0]].append(name)
        groups: list[Group] = []
        for start, same in by_start.items():
            group = self._group(folder, same, [f"{escaped(start)}*"] if start else [], "")
            by_shape: dict[str, list[str]] = defaultdict(list)
            for name in same if not group.is_glob else ():
                by_shape[re.sub(r"[0-9]", "?", escaped(_stem(name)))].append(name)
            shaped = [self._group(folder, each, [glob], "") for glob, each in by_shape.items()]
            groups += shaped or [group]
        if len(groups) > MOST_SHAPES or not all(group.is_glob for group in groups):
            return [Group(folder, tuple(names))]
        return groups

    def _by_ends(self, names: Sequence[str]) -> list[tuple[list[str], Label | None, str]] | None:
        """Return names by what tells them apart, what that says, and a glob; None if nothing."""
        best: list[tuple[list[str], Label | None, str]] | None = None
        most = 0
        for pattern, glob in ((r"^([^0-9]*)", "{}*"), (r"(?<=[0-9])([^0-9]*)$", "*{}")):
            by_text: dict[str, list[str]] = defaultdict(list)
            for name in names:
                found = re.search(pattern, self.rest(name))
                by_text[found[1].lower() if found else ""].append(name)
            labels = {text: read_name(text.strip(" _-."), self._products).label for text in by_text}
            if len(by_text) > MOST_GROUPS:
                continue
            lead = self.lead if glob.endswith("*") else ""
            split = [
                (found, labels[text], glob.format(escaped(lead + text)) if text else "")
                for text, found in by_text.items()
            ]
            told = self._told_in(split)
            if told > most or (best is None and any(labels.values())):
                most, best = told, split
        by_word = self._by_word(names) if most < len(names) else None
        return by_word if by_word and (best is None or self._told_in(by_word) > most) else best

    def _told_in(self, split: Sequence[tuple[list[str], Label | None, str]]) -> int:
        """Return of how many names a way to tell them apart says what nothing in them denies."""
        return sum(
            self._denial(name, label) == "" for names, label, _ in split if label for name in names
        )

    def _by_word(self, names: Sequence[str]) -> list[tuple[list[str], Label | None, str]] | None:
        """Return names by a word amid them, ``20240501_OK_0001``, as `_by_ends` does."""
        by_glob: dict[tuple[Label | None, str], list[str]] = defaultdict(list)
        for name in names:
            said = labels_of(self.rest(name))
            label, word = next(iter(said.items()), (None, ""))
            spelt = r"[\W_]*".join(map(re.escape, word.split()))
            found = re.search(rf"[^a-z/]{spelt}[^a-z/]", _stem(name).lower()) if word else None
            text = re.sub(r"^[0-9]|[0-9]$", "[0-9]", escaped(found[0])) if found else ""
            by_glob[label if found else None, f"*{text}*" if found else ""].append(name)
        if not any(label for label, _ in by_glob) or len(by_glob) > MOST_GROUPS:
            return None
        return [(found, label, glob) for (label, glob), found in by_glob.items()]

    def _denial(self, name: str, label: Label | None) -> str:
        """Return the word in a file's name that denies what another says of it; "" for none."""
        said = labels_of(self.rest(name))
        return next((word for each, word in said.items() if each != label), "") if label else ""

    def _told_by(self, names: Sequence[str], word: str) -> list[str]:
        """Return globs over stems that may tell names with a word in them from all others."""
        ends = {re.split(r"[0-9]", _stem(name))[-1] for name in names}
        starts = {re.split(r"[0-9]", _stem(name))[0] for name in names}
        start = escaped(starts.pop()) if len(starts) == 1 else ""
        end = escaped(ends.pop()) if len(ends) == 1 else ""
        inner = word.replace(" ", "*")
        return [
            *([f"*{end}"] if end else []),
            *([f"{start}*"] if start else []),
            f"{start}*{end}",
            f"*{inner}*",
            f"{start}*{inner}*{end}",
        ]

    def _group(self, folder: str, names: Sequence[str], globs: Sequence[str], why: str) -> Group:
        """Return a group with a name that a user can say, and that means it and nothing else."""
        for glob in globs:
            ending = "" if glob.endswith("*") or PurePosixPath(glob).suffix in _LEAST else ".*"
            for name in (
                f"{folder}/{glob}{ending}" if folder else f"{glob}{ending}",
                f"./{glob}{ending}",
            ):
                matches = matcher([name])
                if {each for each in self._names if matches(each)} == set(names):
                    return Group(name, tuple(names), is_glob=True, doubt=why)
        return Group(folder, tuple(names), doubt=why)


def _told(folder: str, name: str, ends: str) -> str:
    """Return the glob that tells an image by one end of its name: digits lie on the other side."""
    at = f"{escaped(folder)}/" if folder else "./"
    if ends.startswith("*") and ends.endswith("*"):
        return f"{at}{ends}"
    text = ends.strip("*")
    if ends.startswith("*"):
        return f"{at}*[0-9]{text}.*"
    return f"{at}{text}.*" if len(_stem(name)) == len(text) else f"{at}{text}[0-9]*"


# Of an image in two formats the first of these is doubted: PNG beside JPEG may be its mask, JPEG
# beside what a camera of a machine writes a preview.
_LEAST = (".heic", ".heif", ".webp", ".png", ".jpg", ".jpeg", ".jpe", ".jfif")


def _rank(suffix: str) -> int:
    return _LEAST.index(suffix) if suffix in _LEAST else len(_LEAST)


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _stem(name: str) -> str:
    return PurePosixPath(name).stem
