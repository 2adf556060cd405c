"""Divides candidates into train, test and what is left: by shares, by groups, or as it is given."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lfvpipe.config.spec import LABELS, NamesIn, SplitGlobs
from lfvpipe.dataset.candidates import SelectionError
from lfvpipe.dataset.checks.findings import warning
from lfvpipe.dataset.globs import matcher
from lfvpipe.dataset.parts import part_findings
from lfvpipe.dataset.sampling import (
    divide,
    divide_stably,
    owed_sizes,
    rank,
    rank_for_sides,
    sample_size,
)
from lfvpipe.dataset.split_lists import parts_by_lists
from lfvpipe.engine.phrases import count_of, doing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from lfvpipe.config.spec import Label, Pipeline, Share
    from lfvpipe.config.spec import Split as SplitSpec
    from lfvpipe.dataset.candidates import Candidate
    from lfvpipe.dataset.checks.findings import Finding
    from lfvpipe.dataset.selection import Split

Divided = list[tuple["Candidate", "Split"]]


def divide_candidates(
    pipeline: Pipeline,
    candidates: Sequence[Candidate],
    withheld: Collection[str],
    found: list[Finding],
) -> Divided:
    """Return the labelled candidates with the split of each.

    Args:
        pipeline: Gives the sample and the split.
        candidates: Those that take part; each of a label, names unique in the label.
        withheld: The ids of evaluation images.
        found: What a person should know is added to it.

    Raises:
        SelectionError: The own split that is asked for is none.
    """
    split = pipeline.split
    own = split.own
    published = {each.part for each in candidates if each.part}
    if own is None and split.is_default and len(published) > 1:
        own = "source"
    elif own is None and split.is_default and published:
        text = (
            f"The source says of some images that they are in {published.pop()}, and of none that"
            " it is in the other part, so all are divided by shares"
        )
        found.append(warning("half-a-split", text))
    groups = _groups(pipeline, candidates, found)
    if own is not None:
        divided = _keep_own_split(pipeline, candidates, withheld, own, groups, found)
    elif groups:
        divided = _divide_groups(pipeline, candidates, withheld, groups, found)
    else:
        divided = _divide_by_shares(pipeline, candidates, withheld)
    if not groups:
        remedy = f"keep each on one side: split: {{{_written_shares(split)}GROUP}}"
        if own is not None:
            remedy = "put each on one side of split.from, or let shares divide them: split: {GROUP}"
        is_single = own is None and split.test is None
        found += part_findings(divided, is_single=is_single, remedy=remedy)
    return divided


def _written_shares(split: SplitSpec) -> str:
    """Return the shares as one writes them in front of a group: ``train: 80, test: 20``."""
    test = split.test or {}
    said = {(split.train[label].percent, test[label].percent if test else None) for label in LABELS}
    (train, tested), *others = said
    if split.is_default or others or train is None or tested is None:
        return ""
    return f"train: {train:g}, test: {tested:g}, "


def _divide_by_shares(
    pipeline: Pipeline, candidates: Sequence[Candidate], withheld: Collection[str]
) -> Divided:
    divided: Divided = []
    split = pipeline.split
    for label in LABELS:
        of_label = {each.name: each for each in candidates if each.label == label}
        free = [name for name, one in of_label.items() if one.id not in withheld]
        seed = pipeline.sample.seed
        ranking = rank(free, seed=seed, label=label)
        share = pipeline.sample.shares[label]
        size = sample_size(share, len(of_label), len(of_label) - len(free))
        train, test = split.train[label], (split.test or {}).get(label)
        if split.stable:
            division = divide_stably(ranking, size, train, test, seed=seed, label=label)
        else:
            division = divide(ranking, size, train, test)
        parts: dict[Split, tuple[str, ...]] = {
            "train": division.train,
            "test": division.test,
            "unused": division.unused,
        }
        divided += [(of_label[name], part) for part, names in parts.items() for name in names]
    return divided


def _sampled(
    pipeline: Pipeline, label: Label, of_label: Mapping[str, Candidate], withheld: Collection[str]
) -> tuple[list[str], int]:
    """Return the ranking of a label's free images, and how many of them are the sample."""
    free = [name for name, one in of_label.items() if one.id not in withheld]
    ranking = rank(free, seed=pipeline.sample.seed, label=label)
    share = pipeline.sample.shares[label]
    return ranking, sample_size(share, len(of_label), len(of_label) - len(free))


# --- An own split


def _keep_own_split(
    pipeline: Pipeline,
    candidates: Sequence[Candidate],
    withheld: Collection[str],
    own: str | SplitGlobs,
    groups: Mapping[str, str],
    found: list[Finding],
) -> Divided:
    """Sample each label as ever, and leave every image in the part that it is in."""
    parts: dict[str, Split] = dict(
        _own_parts(own, candidates, found)
        if isinstance(own, SplitGlobs)
        else ((each.id, each.part) for each in candidates if each.part)
    )
    counted = Counter(parts.values())
    if not counted["train"] or not counted["test"]:
        lacking = "test" if counted["train"] else "train"
        raise SelectionError(
            f"split.from: no image is in {lacking}; {counted['train']} are in train and"
            f" {counted['test']} in test.",
            hint=_own_split_hint(own, candidates),
        )
    if isinstance(own, SplitGlobs):
        found += _globs_of_nothing(own, candidates)
    outside = [each.id for each in candidates if each.id not in parts and each.id not in withheld]
    if outside:
        these = doing(len(outside), "image", "are")
        text = f"split.from: {these} neither in train nor in test, and unused"
        found.append(warning("outside-the-split", text, outside))
    found += _shared_groups(candidates, parts, groups)
    divided: Divided = []
    for label in LABELS:
        of_label = {each.name: each for each in candidates if each.label == label}
        ranking, size = _sampled(pipeline, label, of_label, withheld)
        for place, name in enumerate(ranking):
            one = of_label[name]
            divided.append((one, parts.get(one.id, "unused") if place < size else "unused"))
    return divided


def _own_split_hint(own: str | SplitGlobs, candidates: Sequence[Candidate]) -> str:
    if isinstance(own, SplitGlobs) and candidates:
        return f"Names look like {', '.join(each.name for each in candidates[:3])}."
    return "Divide the images by shares instead, such as `split: {train: 80, test: 20}`."


def _globs_of_nothing(own: SplitGlobs, candidates: Sequence[Candidate]) -> list[Finding]:
    """Return a warning where a glob or name of an own split is that of no image: it is misspelt."""
    bare = []
    for glob in own.globs:
        matches = matcher([glob])
        if not any(matches(each.name) or matches(each.member) for each in candidates):
            bare.append(glob)
    if not bare:
        return []
    text = (
        f"split.from: {doing(len(bare), 'name', 'match')} no image, such as {', '.join(bare[:3])}"
    )
    return [warning("splitting-nothing", text)]


def _own_parts(
    own: SplitGlobs, candidates: Sequence[Candidate], found: list[Finding]
) -> Iterator[tuple[str, Split]]:
    """Yield the part of each image that globs, or names in text files, put into one."""
    in_train, in_test = (
        matcher(globs) if (globs := _globs(said)) else _matches_nothing
        for said in (own.train, own.test)
    )
    listed = parts_by_lists(own, candidates, found)
    for each in candidates:
        trains = in_train(each.name) or in_train(each.member) or listed.get(each.id) == "train"
        tests = in_test(each.name) or in_test(each.member) or listed.get(each.id) == "test"
        if trains and tests:
            raise SelectionError(
                f"split.from: {each.name} is in train and in test.",
                hint="Write globs that exclude each other.",
            )
        if trains or tests:
            yield each.id, "train" if trains else "test"


def _globs(said: tuple[str, ...] | NamesIn) -> tuple[str, ...]:
    return () if isinstance(said, NamesIn) else said


def _matches_nothing(_name: str) -> bool:
    return False


def _shared_groups(
    candidates: Sequence[Candidate], parts: Mapping[str, Split], groups: Mapping[str, str]
) -> list[Finding]:
    """Return a warning where photographs of one part are on both sides of an own split."""
    sides: dict[str, set[Split]] = defaultdict(set)
    for each in candidates:
        if groups and each.id in parts:
            sides[groups[each.id]].add(parts[each.id])
    if shared := sorted(group for group, of_group in sides.items() if len(of_group) > 1):
        text = (
            f"split.from: {len(shared)} of {len(sides)} groups, such as {shared[0]}, are in train"
            " and in test, so the metrics flatter the model"
        )
        return [warning("groups-in-both", text)]
    return []


# --- Groups


def _groups(
    pipeline: Pipeline, candidates: Sequence[Candidate], found: list[Finding]
) -> dict[str, str]:
    """Return the group of each image by its id; nothing where no groups are known."""
    pattern = pipeline.split.group
    if pattern is None:
        return (
            {each.id: each.group or each.id for each in candidates}
            if any(each.group for each in candidates)
            else {}
        )
    regex = re.compile(pattern)
    groups: dict[str, str] = {}
    alone = []
    for each in candidates:
        match = regex.search(each.name)
        groups[each.id] = (match[1] if regex.groups else match[0]) or "" if match else ""
        if not groups[each.id]:
            groups[each.id] = each.id
            alone.append(each.id)
    if len(alone) == len(candidates):
        raise SelectionError(
            f"split.group: {pattern} is found in the name of no image.",
            hint=f"Names look like {', '.join(each.name for each in candidates[:3])}.",
        )
    if alone:
        text = (
            f"split.group: the expression finds no group in the names of"
            f" {count_of(len(alone), 'image')}, each of which stands alone"
        )
        found.append(warning("no-group", text, alone))
    return groups


@dataclass
class _Sides:
    """How many images of a label have gone where, of how many."""

    total: int
    size: int
    seen: int = 0
    taken: Counter[str] = field(default_factory=Counter)


def _divide_groups(
    pipeline: Pipeline,
    candidates: Sequence[Candidate],
    withheld: Collection[str],
    groups: Mapping[str, str],
    found: list[Finding],
) -> Divided:
    """Give each group to one side as a whole, both labels of it.

    The groups are ranked by a hash, as images are otherwise, and each goes where the counts so far
    are then closest to what the shares make of as many images.
    """
    free = [each for each in candidates if each.id not in withheld]
    members: dict[str, list[Candidate]] = defaultdict(list)
    for each in free:
        members[groups[each.id]].append(each)
    sides: dict[Label, _Sides] = {}
    for label in LABELS:
        total = sum(each.label == label for each in candidates)
        held = total - sum(each.label == label for each in free)
        sides[label] = _Sides(total, sample_size(pipeline.sample.shares[label], total, held))
    divided: Divided = []
    ranking = rank(members, seed=pipeline.sample.seed, label="group")
    if pipeline.split.stable:
        divided += _place_stably(pipeline, {group: members[group] for group in ranking}, sides)
    else:
        for group in ranking:
            divided += _place_group(pipeline, members[group], sides)
    for label, share in (pipeline.split.test or {}).items():
        if share.count or share.percent:
            divided = _lend_to_test(divided, groups, label)
    judged = {groups[each.id] for each in candidates if each.id in withheld}
    trained = {groups[each.id] for each, part in divided if part == "train"}
    if shared := sorted(judged & trained):
        text = (
            f"{doing(len(shared), 'group', 'have')} images in train and among those that"
            f" evaluate.images names, such as {shared[0]}, so the verdicts on these flatter the"
            " model"
        )
        found.append(warning("groups-in-both", text))
    # What the sample leaves of a group that is learnt from proves nothing: it is not even unused.
    return [
        (each, part) for each, part in divided if part != "unused" or groups[each.id] not in trained
    ]


def _lend_to_test(divided: Divided, groups: Mapping[str, str], label: Label) -> Divided:
    """Give test the smallest group of a label of which it got none, if train keeps another."""
    learnt = {groups[each.id] for each, part in divided if (each.label, part) == (label, "train")}
    if len(learnt) < 2 or any((each.label, part) == (label, "test") for each, part in divided):
        return divided
    sizes = Counter(groups[each.id] for each, part in divided if part == "train")
    lent = min(learnt, key=lambda group: (sizes[group], group))
    return [
        (each, "test" if part == "train" and groups[each.id] == lent else part)
        for each, part in divided
    ]


def _place_stably(
    pipeline: Pipeline, members: Mapping[str, Sequence[Candidate]], sides: Mapping[Label, _Sides]
) -> Divided:
    """Give test what is in front in the order of a second hash, train what is behind.

    So each group but those about the cut keeps its side when others come or go.

    Args:
        pipeline: Gives the shares.
        members: The images of each group, the groups in their ranking: it says which are sampled.
        sides: How many there are of each label; what is sampled is counted there.
    """
    divided: Divided = []
    sampled: dict[str, list[Candidate]] = {}
    for group, images in members.items():
        taken, left, counts = _sampled_of(images, sides)
        for label, count in counts.items():
            sides[label].seen += count
        sampled[group] = taken
        divided += [(each, "unused") for each in left]
    whole = {label: _wanted(pipeline, label, side.seen) for label, side in sides.items()}
    order = rank_for_sides(sampled, seed=pipeline.sample.seed, label="group")
    rest = []
    for group in order:
        is_closer = _brings_closer(sampled[group], "test", whole, sides)
        if is_closer:
            divided += _give(sampled[group], "test", sides)
        else:
            rest.append(group)
    # Where the shares make a whole, what test does not take is train's, to the last image.
    is_whole = not any(wanted["unused"] for wanted in whole.values())
    for group in reversed(rest):
        is_train = is_whole or _brings_closer(sampled[group], "train", whole, sides)
        divided += _give(sampled[group], "train" if is_train else "unused", sides)
    return divided


def _brings_closer(
    group: Sequence[Candidate],
    part: Split,
    wanted: Mapping[Label, Mapping[str, int]],
    sides: Mapping[Label, _Sides],
) -> bool:
    """Tell whether a part with this group has more nearly the images that the shares give it."""
    gain = 0.0
    for label, count in Counter(each.label for each in group).items():
        assert label is not None
        lacking = wanted[label][part] - sides[label].taken[part]
        gain += (abs(lacking) - abs(lacking - count)) / max(sides[label].total, 1)
    return gain > 0


def _give(group: Sequence[Candidate], part: Split, sides: Mapping[Label, _Sides]) -> Divided:
    for each in group:
        assert each.label is not None
        sides[each.label].taken[part] += 1
    return [(each, part) for each in group]


def _sampled_of(
    group: Sequence[Candidate], sides: Mapping[Label, _Sides]
) -> tuple[list[Candidate], list[Candidate], Counter[Label]]:
    """Return what of a group is sampled, what is not, and how many of each label are."""
    taken: list[Candidate] = []
    left: list[Candidate] = []
    counts: Counter[Label] = Counter()
    for each in sorted(group, key=lambda one: one.id):
        assert each.label is not None
        side = sides[each.label]
        is_sampled = side.seen < side.size  # a group is sampled whole
        (taken if is_sampled else left).append(each)
        counts[each.label] += is_sampled
    return taken, left, counts


def _place_group(
    pipeline: Pipeline, group: Sequence[Candidate], sides: Mapping[Label, _Sides]
) -> Divided:
    ranked, left, counts = _sampled_of(group, sides)
    parts: tuple[Split, ...] = ("train", "test", "unused")
    part = min(
        parts,
        key=lambda choice: _deviation(pipeline, sides, counts, choice),
    )
    for label, count in counts.items():
        sides[label].seen += count
        sides[label].taken[part] += count
    return [(each, part) for each in ranked] + [(each, "unused") for each in left]


def _deviation(
    pipeline: Pipeline, sides: Mapping[Label, _Sides], counts: Mapping[Label, int], choice: str
) -> float:
    """Return how far the counts would be from the shares, were a group to go to `choice`."""
    total = 0.0
    for label, count in counts.items():
        side = sides[label]
        wanted = _wanted(pipeline, label, side.seen + count)
        for part, want in wanted.items():
            have = side.taken[part] + (count if part == choice else 0)
            total += abs(have - want) / side.total
    return total


def _wanted(pipeline: Pipeline, label: Label, seen: int) -> dict[str, int]:
    test: Mapping[Label, Share] = pipeline.split.test or {}
    train_size, test_size = owed_sizes(seen, pipeline.split.train[label], test.get(label))
    return {"train": train_size, "test": test_size, "unused": seen - train_size - test_size}
