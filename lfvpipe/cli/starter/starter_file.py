"""The commented pipeline file that `init` writes for what it found."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe.cli.starter.discovery import NO_PRODUCT
from lfvpipe.config.spec import LABELS
from lfvpipe.dataset.sampling import rank
from lfvpipe.engine.phrases import count_of
from lfvpipe.lookout import rules
from lfvpipe.lookout.limits import OPEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lfvpipe.cli.starter.discovery import Discovery, OwnSplit
    from lfvpipe.cli.starter.label_sources import LabelSource
    from lfvpipe.cli.starter.listed_sources import Listed
    from lfvpipe.config.spec import Label

SHARE = 80  # per cent of images that are to learn from
ENOUGH_DEFECTS = rules.MIN_TEST_ANOMALY * 100 // (100 - SHARE)  # for the usual share to test on
SPARE_NORMAL, SPARE_DEFECTS = 20, 15  # from which on images are kept out to be judged
_DRAW = 1  # the seed that draws them


def text(found: Discovery, output: Path, schema: str, name: str) -> str:
    """Return the file's text.

    Args:
        found: What there is.
        output: Where the file will lie: paths in it are relative to that.
        schema: Where the schema lies, relative to that too.
        name: What the pipeline is called; "" for what its file is.
    """
    called = [
        "# What reports call the pipeline, and `.lfvpipe` its folder.",
        f"name: {_scalar(name)}",
    ]
    lines = [
        f"# yaml-language-server: $schema={schema}",
        "",
        f"# Made by `lfvpipe init` for {found.layout}.",
        f"# Edit it as you like; then `lfvpipe validate {output.name}` checks it, and",
        f"# `lfvpipe run {output.name}` runs it.",
        "",
        *(called if name else ()),
        f"project: {_scalar(project_name(found))}",
        "",
        "# What the product looks like. Paths are relative to this file.",
        "sources:",
        *(_listed(found.listed, output) if found.listed else _by_label(found, output)),
        "  # What people decide about single images in `lfvpipe review`; it need not exist yet.",
        f"  labels: {_scalar(f'{output.stem}.labels.jsonl')}",
        *_left_out(found),
        "",
        *_split(found, output),
        "",
        *_images(found),
        "",
        *_evaluate(found, output),
        "",
        "# What else one is likely to change, as it is without a word:",
        "# sample: {percent: 100, seed: 1} # how much of each label takes part",
        "# bucket: {endpoint: local} # or `aws`, or the URL of an S3 store",
        "# service: {endpoint: embedded} # or the URL of a Lookout for Vision service",
    ]
    return "\n".join(lines) + "\n"


def project_name(found: Discovery) -> str:
    """Return a name for the project, made of what the images are called."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", found.product).strip("-").lower()
    return name if name[:1].isalnum() else NO_PRODUCT


# --- Sources


def _by_label(found: Discovery, output: Path) -> Iterator[str]:
    for label in LABELS:
        if label in found.sources:
            yield from _source(label, found.sources[label], output)
    if "anomaly" not in found.sources:
        yield "  # No images of defects were found: the model learns what good ones look like, and"
        yield "  # nobody can say how many defects it finds. Once there are photographs of some:"
        yield "  # anomaly:"
        yield "  #   archive: defective.zip"
    if found.masks:
        count = found.masks.fitting
        have = "has" if count == 1 else "have"
        yield f"    # {count} of these images {have} a mask. Masks make it a segmentation project:"
        yield "    # verdicts then say where, and what; the masks' colours name types of defects."
        yield f"    # masks: {_scalar(_relative(found.masks.path, output))}"


def _source(label: Label, source: LabelSource, output: Path) -> Iterator[str]:
    yield f"  {label}: # {count_of(len(source.names), 'image')}"
    places = [_relative(path, output) for path in source.archives]
    yield from _entry("archive", places, "    ")
    yield from _entry("include", source.globs.include, "    ")
    yield from _entry("exclude", source.globs.exclude, "    ")
    if source.has_types:
        yield "    # The folder above an image is the type of its defect; the report has the recall"
        yield "    # of each. Without this line all are one kind."
        yield "    types: folder"


def _listed(listed: Listed, output: Path) -> Iterator[str]:
    yield f"  {listed.kind}:"
    files = [_relative(path, output) for path in listed.files]
    archive = _relative(listed.archive, output) if listed.archive else ""
    if listed.kind == "manifest":
        yield f"    train: {_scalar(files[0])}"
        yield from (f"    test: {_scalar(file)}" for file in files[1:])
        if archive:
            yield "    # Where the images lie now; without this line the manifests' references are"
            yield "    # followed."
            yield f"    images: {_scalar(archive)}"
        return
    key = "format" if listed.kind == "annotations" else "name"
    if listed.name:
        yield f"    {key}: {listed.name}"
    yield from _entry("file", files, "    ")
    yield f"    archive: {_scalar(archive)}"
    yield from _entry("include", listed.include, "    ")
    yield from _entry("exclude", listed.exclude, "    ")
    if listed.kind == "annotations":
        yield from _about_annotations(listed)
    yield from _about_columns(listed)
    if listed.words or listed.left_out_words:
        yield "    labels:"
        for label in LABELS:
            words = [word for word, each in listed.words.items() if each == label]
            yield from _entry(label, words, "      ")
        yield from _entry("leave-out", listed.left_out_words, "      ")


def _about_columns(listed: Listed) -> Iterator[str]:
    if listed.told_columns:
        names = " and ".join(listed.columns[each] for each in listed.told_columns)
        yield f"    # Told by what is in the columns: {names}."
    if listed.columns:
        yield "    columns:"
        for column, name in listed.columns.items():
            yield from _entry(column, [name], "      ")
    if listed.words_as_types:
        types = [*listed.words_as_types]
        shown = ", ".join(types[:6]) + (", …" if len(types) > 6 else "")
        yield f"    # Types of defects, by what they are called: {shown}. Should one of them be"
        yield f"    # good, say so: labels: {{normal: [{_scalar(types[0])}]}}"


def _about_annotations(listed: Listed) -> Iterator[str]:
    if listed.types:
        shown = ", ".join(listed.types[:6]) + (", …" if len(listed.types) > 6 else "")
        yield f"    # Every mark counts as a defect ({shown}). A class that marks the product"
        yield "    # itself is none, if you say so:"
        yield f"    # labels: {{normal: [{_scalar(listed.types[0])}]}}"
    yield "    # Images without a mark are good where the export lists them; `normal` takes those"
    yield "    # for good, too, that it does not list, and `leave-out` leaves all of them out."
    yield f"    unmarked: {listed.unmarked}"


def _entry(key: str, values: Sequence[str], indent: str) -> Iterator[str]:
    """Yield a key with one value or a list; nothing for none."""
    if len(values) == 1:
        yield f"{indent}{key}: {_scalar(values[0])}"
    elif values:
        yield f"{indent}{key}:"
        yield from (f"{indent}  - {_scalar(value)}" for value in values)


def _left_out(found: Discovery) -> Iterator[str]:
    if len(found.against) > 1:
        yield from (f"# {line}" for line in found.against)
    if found.left_out:
        yield "# Not used:"
        yield from (f"# - {' '.join(line.split())}" for line in found.left_out)


# --- The division


def defects_to_train(count: int) -> int:
    """Return the per cent of so many images of defects that are to learn from.

    Ten are to test on first, since a few teach little and tell much; then all further ones to learn
    from, until both are as the usual shares have it. So one more never means fewer on either side.
    """
    test = max(rules.MIN_TEST_ANOMALY, count - count * SHARE // 100)
    if count <= test:
        return 0
    round_ones = range(SHARE, 0, -5)
    for percent in chain(round_ones, range(1, SHARE)):
        if count * percent // 100 == count - test:
            return percent
    raise AssertionError(count)  # under a hundred, a per cent is less than an image


def shortage(found: Discovery) -> str:
    """Return what is missing before a run gets past `check`, as a phrase; "" for nothing."""
    normal = found.count("normal")
    if normal >= OPEN.min_single_normal or (found.listed and found.listed.kind == "manifest"):
        return ""
    there = "there is 1" if normal == 1 else f"there are {normal}"
    return f"a model needs {OPEN.min_single_normal} normal images at least; {there}"


def _split(found: Discovery, output: Path) -> Iterator[str]:
    normal, anomaly = found.count("normal"), found.count("anomaly")
    if found.listed and found.listed.kind == "manifest":
        yield "# The manifests say which images are learnt from, and which tested on."
        return
    if found.split is not None:
        yield from _own_split(found.split, output)
        return
    kept = withheld(found)
    normal, anomaly = normal - kept.normal, anomaly - kept.anomaly
    yield from _shares(normal, anomaly, list(_group(found)))


def _own_split(split: OwnSplit, output: Path) -> Iterator[str]:
    yield "# The division into train and test that the images came with is kept as it is. Shares"
    yield "# divide them anew: split: {train: 80, test: 20}"
    if split.files:
        yield "split:"
        yield "  from:"
        for part, files in split.files.items():
            yield f"    {part}:"
            yield from _entry("file", [_relative(file, output) for file in files], "      ")
        return
    if not split.train:
        yield "split: {from: source}"
        return
    yield "split:"
    yield "  from:"
    yield from _entry("train", split.train, "    ")
    yield from _entry("test", split.test, "    ")


def _shares(normal: int, anomaly: int, group: Sequence[str]) -> Iterator[str]:
    usual = f"train: {SHARE}, test: {100 - SHARE}"
    percent = defects_to_train(anomaly)
    if normal * SHARE // 100 < OPEN.min_train_normal:
        yield "# Too few images to keep some to test on: more make a better model."
        yield "split: {train: 100}"
        yield from group
    elif percent == SHARE:
        yield "# In per cent of each label."
        yield from _division(usual, group)
    elif percent:
        yield "# In per cent. Of the images of defects ten are to test on, the others to learn"
        yield f"# from; once there are {ENOUGH_DEFECTS} of them, leave out the `anomaly` part."
        yield from _division(
            f"{usual}, anomaly: {{train: {percent}, test: {100 - percent}}}", group
        )
    else:
        few = "The" if anomaly == 1 else f"The {anomaly}" if anomaly else "Up to ten"
        images = "image of a defect is" if anomaly == 1 else "images of defects are"
        yield "# In per cent. Some good images are kept to test on, so that the report can tell of"
        yield f"# false alarms. {few} {images} for testing alone: a few teach little, and the"
        yield "# threshold is a guess. Further ones are to learn from: `lfvpipe init` writes the"
        yield f"# shares anew; once there are {ENOUGH_DEFECTS}, leave out the `anomaly` part."
        yield from _division(f"{usual}, anomaly: {{train: 0, test: 100}}", group)


def _division(shares: str, group: Sequence[str]) -> Iterator[str]:
    yield "# `stable`: images that come later leave these on their sides, but for one each."
    yield f"split: {{{shares}, stable: true}}"
    yield from group


def _group(found: Discovery) -> Iterator[str]:
    if found.group:
        yield "# The names look as if several photographs show one part. They should not be on both"
        yield "# sides; what this expression finds in a name is the part, if you add it to `split`:"
        yield f"#   {group_entry(found.group)}"


def group_entry(expression: str) -> str:
    """Return what to write under `split`; single quotes leave backslashes as they are."""
    return "group: '" + expression.replace("'", "''") + "'"


def one_size(found: Discovery) -> tuple[int, int] | None:
    """Return the size to bring all images to; None where they have one that the service takes.

    The one that most have, made smaller as a whole where a side is too long.
    """
    (width, height), _ = found.sizes.most_common(1)[0]
    scale = min(1, rules.MAX_SIDE / max(width, height))
    size = (
        max(round(width * scale), rules.MIN_SIDE),
        max(round(height * scale), rules.MIN_SIDE),
    )
    return None if len(found.sizes) == 1 and size == (width, height) else size


def _images(found: Discovery) -> Iterator[str]:
    if not found.sizes:
        yield "images: {resize: null} # no image's size could be read; e.g. 512x512"
        return
    size = one_size(found)
    if size is None:
        (width, height), _ = found.sizes.most_common(1)[0]
        yield f"images: {{resize: null}} # all {width}x{height} px as far as looked at"
        return
    sizes = ", ".join(f"{w}x{h} ({n})" for (w, h), n in found.sizes.most_common(4))
    yield f"# Sizes of the images looked at: {sizes}. The service wants one size,"
    yield f"# {rules.MIN_SIDE} to {rules.MAX_SIDE} px a side. `contain` keeps each image"
    yield "# whole and in its shape, with grey at its sides; `cover` cuts, and `stretch` distorts."
    yield f"images: {{resize: {{size: {size[0]}x{size[1]}, fit: contain}}}}"


def _evaluate(found: Discovery, output: Path) -> Iterator[str]:
    yield "# Which images the trained model gives a verdict on."
    yield "evaluate:"
    if found.judged:
        yield "  images:"
        for judged in found.judged:
            where = _scalar(_relative(judged.path, output))
            yield f"    - archive: {where} # {count_of(judged.count, 'image')} that nobody labelled"
            yield from _entry("include", judged.globs.include, "      ")
            yield from _entry("exclude", judged.globs.exclude, "      ")
    elif (kept := withheld(found)).names:
        yield "  # Drawn by chance, the same each time, and kept out of training and test."
        if kept.shares_parts:
            yield "  # Other photographs of the parts that they show are learnt from, or tested on:"
            yield "  # verdicts on these are better than on parts that are new."
        yield "  images: # names or globs"
        yield from (f"    - {_scalar(name)}" for name in kept.names)
    else:
        names = found.names.get("normal", ()) or ("some/*.png",)
        example = _scalar(names[0])
        yield f"  # images: [{example}] # names or globs, kept out of training and test"
    yield "  # unused: {per_label: 20} # and so many of those that `sample` and `split` leave over"
    yield "  review_below: 0.75 # verdicts under this confidence go to a person"


@dataclass(frozen=True)
class Withheld:
    """Images that are kept for verdicts.

    Attributes:
        names: As `evaluate.images` tells them from those of the other label.
        normal: How many of them are.
        anomaly: The same.
        shares_parts: Other photographs of the parts that they seem to show are learnt from.
    """

    names: tuple[str, ...] = ()
    normal: int = 0
    anomaly: int = 0
    shares_parts: bool = False


def withheld(found: Discovery) -> Withheld:
    """Return up to two images of each label to give verdicts on; none where a run needs them all.

    They are drawn: the first by name may all be of one day or one part. The draw depends on nothing
    but the names. As many as there are too many, so that one more image never leaves fewer to learn
    from.
    """
    if "anomaly" not in found.sources or found.judged or found.split:
        return Withheld()
    of_label = {label: found.names[label] for label in LABELS}
    spare = min(len(of_label["normal"]) - SPARE_NORMAL, len(of_label["anomaly"]) - SPARE_DEFECTS, 2)
    if spare < 1:
        return Withheld()
    parts: dict[str, list[tuple[Label, str]]] = defaultdict(list)
    for label, names in of_label.items():
        for name in names:
            match = re.search(found.group, name) if found.group else None
            parts[match[1] if match else f"{label}/{name}"].append((label, name))
    drawn = {label: _draw(label, parts, spare) for label in LABELS}
    taken = {(label, name) for label, names in drawn.items() for name in names}
    return Withheld(
        tuple(
            f"{label}/{name}" if all(name in names for names in of_label.values()) else name
            for label, names in drawn.items()
            for name in names
        ),
        len(drawn["normal"]),
        len(drawn["anomaly"]),
        shares_parts=any(0 < len(taken.intersection(part)) < len(part) for part in parts.values()),
    )


def _draw(label: Label, parts: Mapping[str, Sequence[tuple[Label, str]]], count: int) -> list[str]:
    """Return so many of a label's images, parts as a whole before single images of others."""
    drawn: list[str] = []
    ranking = rank(parts, seed=_DRAW, label=label)
    whole = [each for each in ranking if {which for which, _ in parts[each]} == {label}]
    for each in whole:
        names = [name for _, name in parts[each]]
        if len(drawn) + len(names) <= count and not any(map(_reads_as_glob, names)):
            drawn += names
    for each in ranking:
        names = [name for which, name in parts[each] if which == label]
        if len(drawn) < count and {*drawn}.isdisjoint(names):
            drawn += [name for name in names if not _reads_as_glob(name)][:1]
    return drawn


def _reads_as_glob(name: str) -> bool:
    return not set(name).isdisjoint("*?[]")


def _relative(path: Path, output: Path) -> str:
    try:
        relative = os.path.relpath(path.absolute(), output.absolute().parent)
    except ValueError:  # another drive, on Windows
        return path.absolute().as_posix()
    return Path(relative).as_posix()


def _scalar(value: str) -> str:
    """Return `value` as a YAML scalar, quoted where it has to be."""
    is_plain = re.fullmatch(r"(\.\.?/)*[A-Za-z_][A-Za-z0-9_./-]*", value)
    is_word = value.lower() in {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
    return value if is_plain and not is_word else json.dumps(value, ensure_ascii=False)
