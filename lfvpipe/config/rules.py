"""What a JSON Schema cannot say, each broken rule at its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from typing import Any
from urllib.parse import urlsplit

from lfvpipe.config import locations, names
from lfvpipe.config.building import LISTED, division, labels
from lfvpipe.config.problems import Problem, problem
from lfvpipe.config.settings import Settings
from lfvpipe.config.spec import LABELS
from lfvpipe.config.tree import Node, Place, nearest, walk

# Pixels that the service takes (Developer Guide, "Quotas").
SMALLEST_SIDE, LARGEST_SIDE = 64, 4096
SMALLEST_REGION = 16  # px a side: what one position of the detector's network looks at


def broken_rules(tree: Node, sections: Set[str]) -> Iterator[Problem]:
    """Yield the rules that `tree` breaks, except in `sections` that the schema finds wrong."""
    yield from _invisible(tree)
    if "" in sections:
        return
    settings = Settings(tree)
    for needed, rule in _RULES:
        if not sections & needed:
            yield from rule(settings)


def _place(settings: Settings, dotted: str) -> Place:
    return nearest(settings.tree, tuple(dotted.split("."))).key


def _invisible(tree: Node) -> Iterator[Problem]:
    for _, node in walk(tree):
        if isinstance(node.value, str) and any(ord(sign) < 32 for sign in node.value):
            message = "this text holds a line break or another invisible character"
            yield problem(node.place, message, "Remove it.")


def _names(settings: Settings) -> Iterator[Problem]:
    name = settings.explicit("name")
    if name and names.is_reserved(name):
        message = f"a pipeline cannot be called {name}: lfvpipe or Windows needs that name"
        yield problem(_place(settings, "name"), message, f"Call it {name}-pipeline, say.")


def _sources(settings: Settings) -> Iterator[Problem]:
    given = [f"sources.{label}" for label in LABELS if settings.has(f"sources.{label}")]
    kinds = ("manifest", *LISTED)
    whole = [f"sources.{kind}" for kind in kinds if settings.has(f"sources.{kind}")]
    if whole:
        for source in (*given, *whole[1:]):
            message = f"{source} and {whole[0]} cannot be used together"
            yield problem(_place(settings, source), message, "Remove one of the two.")
    elif "sources.normal" not in given:
        hint = "Say where images of good products are: `normal: {archive: good.zip}`."
        yield problem(_place(settings, "sources"), "sources lacks normal images", hint)
    yield from _archives(settings, given)
    for key in [*(f"{source}.types.pattern" for source in given), "split.group"]:
        yield from _pattern(settings, key)
    file = settings.explicit("sources.table.file")
    if isinstance(file, str) and "://" in file and not settings.has("sources.table.archive"):
        message = "sources.table does not say where the images are"
        hint = "Name the archive or folder: `archive: photos.zip`."
        yield problem(_place(settings, "sources.table"), message, hint)
    for key in [f"{source}.encoding" for source in (*given, *whole)]:
        yield from _encoding(settings, key)


def _archives(settings: Settings, given: Iterable[str]) -> Iterator[Problem]:
    for source in given:
        archives = settings.explicit(f"{source}.archive")
        if isinstance(archives, list) and len(archives) > 1 and settings.has(f"{source}.sha256"):
            message = f"{source}.sha256 is the digest of one archive; {len(archives)} are named"
            yield problem(_place(settings, f"{source}.sha256"), message, "Leave it out.")
    if settings.has("sources.normal.types"):
        message = "sources.normal.types: good products have no types of defects"
        place = _place(settings, "sources.normal.types")
        yield problem(place, message, "Say it of sources.anomaly.")
    types = settings.explicit("sources.anomaly.types")
    if isinstance(types, Mapping) and not any(types.get(key) for key in ("folder", "pattern")):
        message = "sources.anomaly.types says neither `folder` nor `pattern`"
        hint = 'Write such as folder or {folder: 1} or {pattern: "([a-z]+)_[0-9]+"}.'
        yield problem(_place(settings, "sources.anomaly.types"), message, hint)


def _pattern(settings: Settings, key: str) -> Iterator[Problem]:
    given = settings.explicit(key)
    if not isinstance(given, str):
        return
    try:
        re.compile(given)
    except re.error as error:
        hint = "In YAML, put it into single quotes."
        message = f"{key} is no regular expression: {error}"
        yield problem(_place(settings, key), message, hint)


def _encoding(settings: Settings, key: str) -> Iterator[Problem]:
    given = settings.explicit(key)
    if not isinstance(given, str):
        return
    try:
        "".encode(given)
    except (LookupError, ValueError):
        message = f"{key} is {given}, which is no encoding that is known"
        yield problem(_place(settings, key), message, "Write gbk, shift_jis, cp850 or such.")


def _class_names(settings: Settings) -> Iterator[Problem]:
    key = "sources.manifest.labels"
    said = settings.explicit(key) or {}
    by_label = {
        label: {each.strip().casefold() for each in ([names] if isinstance(names, str) else names)}
        for label, names in said.items()
        if names
    }
    for name in sorted(set.intersection(*by_label.values())) if len(by_label) == 2 else ():
        message = f"{key} calls {name} both normal and anomaly"
        yield problem(_place(settings, f"{key}.anomaly"), message, "Remove it from one of them.")


def _locations(settings: Settings) -> Iterator[Problem]:
    yield from locations.problems(settings.tree)
    labels = settings.explicit("sources.labels")
    if isinstance(labels, str) and "://" in labels:
        message = "sources.labels is an address; people's decisions are kept in a file"
        yield problem(_place(settings, "sources.labels"), message, "Name a file on this machine.")


def _endpoints(settings: Settings) -> Iterator[Problem]:
    for key in ("bucket.endpoint", "service.endpoint", "mlflow.tracking_uri"):
        given = settings.explicit(key)
        if not isinstance(given, str) or "://" not in given:
            continue
        place = nearest(settings.tree, tuple(key.split("."))).place
        if given.startswith(("http://", "https://")) and not locations.is_address(given):
            yield problem(place, f"{key} has no valid host", locations.SPELLING)
        elif key != "mlflow.tracking_uri" and "@" in urlsplit(given).netloc:
            hint = "Remove it: credentials come from AWS_ACCESS_KEY_ID and the like, or a profile."
            yield problem(place, f"{key} holds a login, which no request would carry", hint)


def _encryption(settings: Settings) -> Iterator[Problem]:
    given = settings.explicit("bucket.encryption")
    if not isinstance(given, Mapping):
        return
    place = _place(settings, "bucket.encryption")
    if settings.get("bucket.endpoint") == "local":
        message = "bucket.encryption is for S3 stores; a folder is not encrypted"
        yield problem(place, message, "Leave it out, or name another bucket.endpoint.")
    if given.get("key") is not None and given.get("sse") != "aws:kms":
        message = "bucket.encryption.key is for aws:kms alone"
        place = _place(settings, "bucket.encryption.key")
        yield problem(place, message, "Leave it out, or say `sse: aws:kms`.")


def _detector(settings: Settings) -> Iterator[Problem]:
    endpoint = settings.get("service.endpoint")
    if settings.explicit("service.detector") is not None and endpoint != "embedded":
        message = f"service.detector is for the embedded service, not for {endpoint}"
        hint = "Leave it out; there, `lfvpipe serve --detector NAME` chooses."
        yield problem(_place(settings, "service.detector"), message, hint)


def _shares(settings: Settings) -> Iterator[Problem]:
    sections = ["sample", *(f"sample.{label}" for label in LABELS)]
    for name in ("split", *(f"split.{label}" for label in LABELS)):
        sections += [f"{name}.train", f"{name}.test"]
    for section in sections:
        given = settings.explicit(section)
        if isinstance(given, Mapping):
            yield from _share(settings, section, given)


def _share(settings: Settings, section: str, given: Mapping[str, Any]) -> Iterator[Problem]:
    if "percent" in given and "count" in given:
        message = f"{section} has both percent and count"
        hint = "Keep one of them; an empty value (null) takes away what a base file says."
        yield problem(_place(settings, f"{section}.count"), message, hint)
    elif section != "sample" and not {"percent", "count"} & set(given):
        hint = "Say `percent` or `count`."
        yield problem(_place(settings, section), f"{section} does not say how much", hint)


def _split(settings: Settings) -> Iterator[Problem]:
    sections = [f"split.{label}" for label in LABELS if settings.explicit(f"split.{label}")]
    for section in ["split", *sections]:
        train, test = settings.explicit(f"{section}.train"), settings.explicit(f"{section}.test")
        yield from _percentages(settings, section, _percent(train), _percent(test))
        if train is None and test is not None:
            hint = "Say how much trains, such as `train: 80`."
            yield problem(_place(settings, section), f"{section} has test but no train", hint)
        if settings.has("split.from") and not (train is None and test is None):
            message = f"split.from keeps a split as it is, and {section} says how much of it"
            hint = "Remove one of the two; `sample` takes a part of each."
            yield problem(_place(settings, section), message, hint)


def _own_split(settings: Settings) -> Iterator[Problem]:
    if settings.has("split.from") and settings.explicit("split.stable"):
        message = "split.from keeps a split as it is, and split.stable is about shares"
        yield problem(_place(settings, "split.stable"), message, "Remove one of the two.")
    own = settings.explicit("split.from")
    for part in ("train", "test"):
        files = settings.explicit(f"split.from.{part}.file") or ()
        if "://" in (files if isinstance(files, str) else " ".join(files)):
            message = f"split.from.{part}.file is an address; lists of names are files"
            place = _place(settings, f"split.from.{part}.file")
            yield problem(place, message, "Name a file on this machine.")
    if own is None:
        return
    if own == "source" and not any(settings.has(f"sources.{kind}") for kind in LISTED):
        message = "split.from is source, and archives by label or manifests bring no split"
        if settings.has("sources.manifest"):
            message = "split.from is not needed: manifests keep their split"
        hint = 'Name the images of each part: `{train: ["train/**"], test: ["test/**"]}`.'
        yield problem(_place(settings, "split.from"), message, hint)


def _percentages(
    settings: Settings, section: str, train: float | None, test: float | None
) -> Iterator[Problem]:
    if train is not None and test is not None and train + test > 100 + 1e-9:
        message = (
            f"{section} gives away {train + test:g} %: {train:g} to train and {test:g} to test"
        )
        yield problem(_place(settings, section), message, "Together they can be 100 at most.")
    alone = not settings.has(f"{section}.test")
    if alone and train is not None and train < 100:
        message = f"{section} trains on {train:g} % and does not say what tests"
        hint = f"Add `test: {100 - train:g}`, or write `train: 100` for a single-dataset project."
        yield problem(_place(settings, f"{section}.train"), message, hint)


def _percent(given: Any) -> float | None:
    value = given.get("percent") if isinstance(given, Mapping) else given
    return None if value is None else float(value)


def _datasets(settings: Settings) -> Iterator[Problem]:
    tested = {label: bool(division(settings, label)[1]) for label in labels(settings)}
    if len(set(tested.values())) > 1:
        without = next(label for label, has_test in tested.items() if not has_test)
        message = f"split has test images of one label but none of label {without}"
        hint = "Give both labels a test share, or neither for a single-dataset project."
        yield problem(_place(settings, f"split.{without}"), message, hint)


def _resize(settings: Settings) -> Iterator[Problem]:
    resize = settings.explicit("images.resize")
    resize = resize.get("size") if isinstance(resize, Mapping) else resize
    sides = [int(side) for side in resize.split("x")] if resize else []
    if not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in sides):
        message = f"images.resize is {resize}; the service takes {SMALLEST_SIDE} to {LARGEST_SIDE}"
        node = nearest(settings.tree, ("images", "resize"))
        yield problem(node.place, f"{message} pixels a side", "Choose another size.")


def _region(settings: Settings) -> Iterator[Problem]:
    region = settings.explicit("images.region")
    if region and not (region[2] and region[3]):
        message = f"images.region is {region[2]} pixels wide and {region[3]} high"
        yield problem(_place(settings, "images.region"), message, "Give left, top, width, height.")
    elif region and min(region[2:]) < SMALLEST_REGION:
        message = (
            f"images.region is {region[2]} pixels wide and {region[3]} high, and a model tells"
            f" apart places of {SMALLEST_REGION} x {SMALLEST_REGION} pixels"
        )
        hint = "Take more of the photograph: enlarged, it shows no more than there is."
        yield problem(_place(settings, "images.region"), message, hint)
    ignore = settings.explicit("images.ignore")
    if isinstance(ignore, str) and "://" in ignore:
        message = "images.ignore is an address; the mask is a file"
        yield problem(_place(settings, "images.ignore"), message, "Name a file on this machine.")


def _hosting(settings: Settings) -> Iterator[Problem]:
    fewest = settings.get("hosting.min_inference_units")
    most = settings.get("hosting.max_inference_units")
    if most is not None and most < fewest:
        message = f"hosting.max_inference_units is {most}, less than the fewest, {fewest}"
        place = _place(settings, "hosting.max_inference_units")
        yield problem(place, message, f"Make it {fewest} or more, or leave it out.")


def _decision(settings: Settings) -> Iterator[Problem]:
    given = settings.explicit("evaluate.decide")
    place = _place(settings, "evaluate.decide")
    if isinstance(given, Mapping):
        means = [key for key in _MEANS if given.get(key) is not None]
        if len(means) != 1:
            said = f"says {' and '.join(means)}" if means else "does not say by what"
            hint = f"Say one of {', '.join(_MEANS)}; or `best-f1`, as where it is left out."
            if means[1:]:
                hint += (
                    " What `--set` gives is added to what the file says:"
                    f" `--set evaluate.decide.{means[-1]}=null` takes one away."
                )
            yield problem(place, f"evaluate.decide {said}", hint)
        for key, fits in (("prevalence", _MEANS[:1]), ("confidence", _MEANS[2:])):
            if given.get(key) is not None and means and means[0] not in fits:
                message = f"evaluate.decide.{key} goes with {' or '.join(fits)} alone"
                place = _place(settings, f"evaluate.decide.{key}")
                yield problem(place, message, "Leave it out.")
    if given is not None and settings.explicit("evaluate.costs") is not None:
        message = "evaluate.decide and evaluate.costs both say what is decided by"
        hint = "Write the costs as `decide: {costs: {false_accept: 20, false_reject: 1}}`."
        yield problem(_place(settings, "evaluate.costs"), message, hint)
    band = settings.explicit("evaluate.to_person")
    if isinstance(band, Mapping) and not band.get("above", 0) < band.get("below", 1):
        message = f"evaluate.to_person: no score is above {band['above']} and below {band['below']}"
        hint = "Exchange the two numbers."
        if band["above"] == band["below"]:
            hint = "Make `below` the larger one, or leave it out: then no image goes to a person."
        yield problem(_place(settings, "evaluate.to_person"), message, hint)


# What the decision can be made by.
_MEANS = ("costs", "threshold", "max_escape_rate", "max_false_alarm_rate")

_RULES: tuple[tuple[Set[str], Callable[[Settings], Iterator[Problem]]], ...] = (
    ({"name"}, _names),
    ({"sources"}, _sources),
    ({"sources"}, _class_names),
    ({"sources", "evaluate"}, _locations),
    ({"bucket", "service", "mlflow"}, _endpoints),
    ({"bucket"}, _encryption),
    ({"service"}, _detector),
    ({"sample", "split"}, _shares),
    ({"split"}, _split),
    ({"sources", "split"}, _own_split),
    ({"sources", "split"}, _datasets),
    ({"images"}, _resize),
    ({"images"}, _region),
    ({"hosting"}, _hosting),
    ({"evaluate"}, _decision),
)
