"""A pipeline's configuration by dotted key, for people to read and compare; without secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from lfvpipe.config.spec import LABELS, LayoutSource, TableSource

if TYPE_CHECKING:
    from lfvpipe.config.spec import (
        AnnotationSource,
        EvaluationArchive,
        Images,
        Pipeline,
        Source,
        Split,
    )
    from lfvpipe.engine.outcome import Json


def flatten(pipeline: Pipeline) -> dict[str, Json]:
    """Return the configuration by the keys of a pipeline file, such as ``split.normal.train``.

    With the schema's defaults, and without what is None. Addresses lose credentials and query
    strings. The matrix is left out, as its values are in their keys, and so is where a run is
    told of, since that changes nothing about it. Any other key has to lie beneath one that is
    listed here: what does not reaches no run file and no comparison.
    """
    sources, bucket, evaluate = pipeline.sources, pipeline.bucket, pipeline.evaluate
    written: list[tuple[str, object]] = [
        ("name", pipeline.name),
        ("project", pipeline.project),
        ("region", pipeline.region),
        *((f"sources.{label}", _source(one)) for label, one in sources.by_label.items()),
        *(_listed(sources.listed) if sources.listed else ()),
        ("sources.manifest", sources.manifest),
        ("sources.labels", sources.labels),
        ("sample", pipeline.sample.shares),
        ("sample.seed", pipeline.sample.seed),
        ("split", _split(pipeline.split)),
        ("images", _images(pipeline.images)),
        ("bucket", vars(bucket) | {"requester_pays": bucket.requester_pays or None}),
        ("service", pipeline.service),
        ("model", pipeline.model),
        ("hosting", pipeline.hosting),
        ("evaluate.images", evaluate.images),
        *((archive.key, _judged(archive)) for archive in evaluate.archives),
        ("evaluate.unused.per_label", evaluate.unused_per_label),
        ("evaluate.review_below", evaluate.review_below),
        ("evaluate.decide", evaluate.decide),
        ("evaluate.to_person", evaluate.to_person),
    ]
    return dict(sorted(leaf for key, value in written for leaf in _leaves(key, value)))


def _images(images: Images) -> Mapping[str, object]:
    """Return how images are prepared; a resize is a mapping where it says how images fit."""
    found = dict(vars(images))
    fit = found.pop("fit")
    if fit is not None:
        found["resize"] = {"size": images.resize, "fit": fit}
    if not isinstance(images.ignore, str):  # a list of lists is one value
        found["ignore"] = str([list(map(list, each)) for each in images.ignore]) or None
        if not images.ignore:
            del found["ignore"]
    return found


def _split(split: Split) -> Mapping[str, object]:
    """Return the division of each label; the spec has the labels below the datasets."""
    if split.own is not None:
        return {"from": split.own}
    shares = {"train": split.train, "test": split.test or {}}
    return {
        **{
            label: {part: by_label[label] for part, by_label in shares.items() if label in by_label}
            for label in split.train
        },
        "group": split.group,
        "stable": split.stable or None,
    }


def _source(source: Source) -> Mapping[str, object]:
    archives, types = (source.archive, *source.further), source.types
    return {
        "archive": archives if source.further else source.archive,
        "sha256": source.sha256,
        "include": source.include,
        "exclude": source.exclude or None,
        "encoding": source.encoding,
        "masks": source.masks,
        "types": "folder" if types and types.folder == -1 else types,
    }


def _listed(
    source: TableSource | LayoutSource | AnnotationSource,
) -> Iterator[tuple[str, object]]:
    """Yield what is said of a source that lists its images, by the keys of a pipeline file."""
    words: Mapping[str, str] = {}
    if isinstance(source, TableSource):
        key, words = "sources.table", source.words
        yield f"{key}.file", source.file
        yield f"{key}.labels.leave-out", source.left_out or None
        for column, name in source.columns.items():
            yield f"{key}.columns.{column}", name
    elif isinstance(source, LayoutSource):
        key = "sources.layout"
        yield f"{key}.name", source.name
    else:
        key, words = "sources.annotations", source.words
        yield f"{key}.format", source.format
        yield f"{key}.file", source.files or None
        yield f"{key}.unmarked", source.unmarked
    for label in LABELS:
        yield f"{key}.labels.{label}", tuple(w for w in words if words[w] == label) or None
    yield f"{key}.archive", source.archive
    yield f"{key}.sha256", source.sha256
    yield f"{key}.include", source.include
    yield f"{key}.exclude", source.exclude or None
    yield f"{key}.encoding", source.encoding


def _judged(archive: EvaluationArchive) -> Mapping[str, object]:
    return {
        "archive": archive.archive,
        "include": archive.include,
        "exclude": archive.exclude or None,
        "encoding": archive.encoding,
        "label": archive.label,
        "sha256": archive.sha256,
    }


def _leaves(key: str, value: object) -> Iterator[tuple[str, Json]]:
    """Yield what is not None beneath `key`, each with its own key."""
    if is_dataclass(value) and not isinstance(value, type):
        # What is not compared is no setting, but says where one was written.
        value = {field.name: getattr(value, field.name) for field in fields(value) if field.compare}
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _leaves(f"{key}.{name}", below)
    elif isinstance(value, tuple):
        yield key, [_scalar(item) for item in value]
    elif value is not None:
        yield key, _scalar(value)


def _scalar(value: object) -> Json:
    if isinstance(value, bool | int | float):
        return value
    return bare_address(value.as_posix() if isinstance(value, Path) else str(value))


def bare_address(address: str) -> str:
    """Return an address without user, password, query and fragment; other text as it is."""
    if "://" not in address:
        return address
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
