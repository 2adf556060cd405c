"""The commented pipeline file that `init` writes for what it found."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lfvpipe.config.spec import Share
from lfvpipe.dataset.sampling import split_sizes
from lfvpipe.lookout import rules
from lfvpipe.lookout.limits import OPEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfvpipe.cli.discovery import Discovery, Label

SHARES = (80, 75, 70, 65, 60, 55, 50)


def text(found: Discovery, output: Path, schema: str) -> str:
    """Return the file's text.

    Args:
        found: What there is.
        output: Where the file will lie: paths in it are relative to that.
        schema: Where the schema lies, relative to that too.
    """
    name = project_name(found, output)
    lines = [
        f"# yaml-language-server: $schema={schema}",
        "",
        f"# Made by `lfvpipe init` for {found.layout}. Edit it as you like; then",
        f"# `lfvpipe validate {output.name}` checks it and `lfvpipe run {output.name}` runs it.",
        "",
        f"project: {name}",
        "",
        "# What the product looks like, by label. Paths are relative to this file.",
        "sources:",
        *_source("normal", found.normal, output),
        *(_source("anomaly", found.anomaly, output) if found.anomaly else _no_anomalies()),
        *_masks(found, output),
        *(f"# {note}" for note in found.notes),
        "",
        "# How much of each label takes part; a larger percentage contains the smaller one.",
        "sample: {percent: 100, seed: 1}",
        "",
        *_split(found),
        "",
        *_images(found),
        "",
        "bucket: {endpoint: local} # or `aws`, or the URL of an S3 store",
        "service: {endpoint: embedded} # or the URL of a Lookout for Vision service",
        "",
        *_evaluate(found, output),
    ]
    return "\n".join(lines) + "\n"


def project_name(found: Discovery, output: Path) -> str:
    """Return a name for the project, made of what the images are called."""
    stem = found.normal.place.stem
    if stem.lower() in {"good", "normal", "ok"} or not stem:
        stem = output.absolute().parent.name
    name = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")
    return name.lower() or "product"


def _source(kind: str, label: Label, output: Path) -> Iterator[str]:
    yield f"  {kind}: # {len(label.names)} images"
    yield f"    archive: {_scalar(_relative(label.place.path, output))}"
    if label.include:
        yield "    include:"
        yield from (f"      - {_scalar(glob)}" for glob in label.include)


def _no_anomalies() -> Iterator[str]:
    yield "  # No images of defects were found: the model learns what good ones look like, and"
    yield "  # nobody can say how many defects it finds. Once there are photographs of some:"
    yield "  # anomaly:"
    yield "  #   archive: defective.zip"


def _masks(found: Discovery, output: Path) -> Iterator[str]:
    if found.masks:
        yield "    # Pixel masks make it a segmentation project: verdicts then say where, and what."
        yield "    # The colours in the masks name the types of anomaly."
        yield f"    # masks: {_scalar(_relative(found.masks, output))}"


def share_to_train(normal: int, anomaly: int) -> int | None:
    """Return the largest usual training percentage that leaves enough to test on, None if none."""
    for percent in SHARES:
        if _is_enough(normal, anomaly, percent):
            return percent
    return None


def _is_enough(normal: int, anomaly: int, percent: int) -> bool:
    shares = Share(percent=percent), Share(percent=100 - percent)
    train_normal, test_normal = split_sizes(normal, *shares)
    _, test_anomaly = split_sizes(anomaly, *shares)
    return (
        train_normal >= rules.MIN_TRAIN_NORMAL
        and test_normal >= rules.MIN_TEST_NORMAL
        and test_anomaly >= rules.MIN_TEST_ANOMALY
    )


def shortage(found: Discovery) -> str:
    """Return what is missing before a run gets past `check`, as a phrase; "" for nothing."""
    normal, _ = _counts(found)
    if normal >= OPEN.min_single_normal:
        return ""
    return f"a model needs {OPEN.min_single_normal} normal images at least; there is {normal}"


def _is_enough_for_one(normal: int, anomaly: int) -> bool:
    """Tell whether a dataset that the service divides itself gets what it wants."""
    return normal >= rules.MIN_SINGLE_NORMAL and anomaly >= rules.MIN_SINGLE_ANOMALY


def _counts(found: Discovery) -> tuple[int, int]:
    return len(found.normal.names), len(found.anomaly.names) if found.anomaly else 0


def _split(found: Discovery) -> Iterator[str]:
    normal, anomaly = _counts(found)
    if anomaly < rules.MIN_TEST_ANOMALY:
        yield from _split_for_few_anomalies(normal, anomaly)
        return
    withheld = _withheld(found)
    normal, anomaly = normal - withheld.normal, anomaly - withheld.anomaly
    percent = share_to_train(normal, anomaly)
    if percent is not None:
        yield "# The service wants at least ten images of each label to test on."
        yield f"split: {{train: {percent}, test: {100 - percent}}}"
    elif _is_enough_for_one(normal, anomaly):
        yield "# Too few images for a test dataset of their own, which wants ten of each label: one"
        yield "# dataset, which the service divides itself."
        yield "split: {train: 100}"
    else:
        yield "# Few images: what the report says of the model is uncertain, as its intervals show."
        yield f"split: {{train: {SHARES[0]}, test: {100 - SHARES[0]}}}"


def _split_for_few_anomalies(normal: int, anomaly: int) -> Iterator[str]:
    """Learn from most of the normal images, and test on the others and on every anomaly."""
    few = f"The {anomaly} images" if anomaly > 1 else "The image" if anomaly else "Images"
    train, test = SHARES[0], 100 - SHARES[0]
    if split_sizes(normal, Share(percent=train), Share(percent=test))[0] < OPEN.min_train_normal:
        yield "# Too few images to keep some to test on: more make a better model."
        yield "split: {train: 100}"
        return
    yield "# Some good images are kept to test on, so that the report can tell of false alarms."
    yield f"# {few} of defects are for testing alone: a model learns little from a few, and its"
    yield "# threshold is a guess. From some twenty of them on, leave out the `anomaly` part."
    yield f"split: {{train: {train}, test: {test}, anomaly: {{train: 0, test: 100}}}}"


def _images(found: Discovery) -> Iterator[str]:
    if not found.sizes:
        yield "images: {resize: null} # no image's size could be read; e.g. 512x512"
        return
    (width, height), _ = found.sizes.most_common(1)[0]
    if len(found.sizes) == 1 and (width, height) == (_within_limits(width), _within_limits(height)):
        yield f"images: {{resize: null}} # all {width}x{height} px as far as looked at"
        return
    sizes = ", ".join(f"{w}x{h} ({n})" for (w, h), n in found.sizes.most_common(4))
    yield f"# Sizes of the images looked at: {sizes}. The service wants one size,"
    yield f"# {rules.MIN_SIDE} to {rules.MAX_SIDE} px a side."
    yield f"images: {{resize: {_within_limits(width)}x{_within_limits(height)}}}"


def _within_limits(side: int) -> int:
    return min(max(side, rules.MIN_SIDE), rules.MAX_SIDE)


def _evaluate(found: Discovery, output: Path) -> Iterator[str]:
    yield "# Which images the trained model gives a verdict on."
    yield "evaluate:"
    if found.evaluate:
        yield "  images:"
        for place in found.evaluate:
            where = _scalar(_relative(place.path, output))
            yield f"    - archive: {where} # {len(place.names)} images"
    elif names := _withheld(found).names:
        yield "  images: # names or globs, kept out of training and test"
        yield from (f"    - {_scalar(name)}" for name in names)
    else:
        example = _scalar(found.normal.names[0]) if found.normal.names else "some/*.png"
        yield f"  # images: [{example}] # names or globs, kept out of training and test"
    yield "  # unused: {per_label: 20} # and so many of those that `sample` and `split` leave over"
    yield "  review_below: 0.75 # verdicts under this confidence go to a person"


@dataclass(frozen=True)
class Withheld:
    """Names of images that are kept for verdicts, and how many of each label they are."""

    names: tuple[str, ...] = ()
    normal: int = 0
    anomaly: int = 0


def _withheld(found: Discovery) -> Withheld:
    """Return two images of each label to give verdicts on; none where a run needs them all."""
    if found.anomaly is None or found.evaluate:
        return Withheld()
    normal, anomaly = found.normal.names, found.anomaly.names
    named = (
        _names_to_withhold("normal", normal, anomaly),
        _names_to_withhold("anomaly", anomaly, normal),
    )
    taken = Withheld(named[0] + named[1], *map(len, named))
    left = len(normal) - taken.normal, len(anomaly) - taken.anomaly
    was_single = share_to_train(len(normal), len(anomaly)) is None
    is_enough = _is_enough_for_one(*left) if was_single else share_to_train(*left) is not None
    return taken if is_enough else Withheld()


def _names_to_withhold(label: str, names: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """Return two of a label's images as `evaluate.images` tells them from the other label's."""
    known = set(others)
    plain = [name for name in names[:2] if not set(name) & set("*?[]")]
    return tuple(f"{label}/{name}" if name in known else name for name in plain)


def _relative(path: Path, output: Path) -> str:
    try:
        relative = os.path.relpath(path.absolute(), output.absolute().parent)
    except ValueError:  # another drive, on Windows
        return path.absolute().as_posix()
    return Path(relative).as_posix()


def _scalar(value: str) -> str:
    """Return `value` as a YAML scalar, quoted where it has to be."""
    is_plain = re.fullmatch(r"(\.\.?/)*[A-Za-z_][A-Za-z0-9_./-]*", value)
    return value if is_plain else json.dumps(value, ensure_ascii=False)
