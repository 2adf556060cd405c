"""A validated tree in, the typed pipeline out; every default comes from the schema."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lfvpipe.config import names
from lfvpipe.config.locations import absolute
from lfvpipe.config.settings import Settings
from lfvpipe.config.spec import (
    LABELS,
    AnnotationSource,
    Bucket,
    Costs,
    Decide,
    DefectTypes,
    Encryption,
    Evaluate,
    EvaluationArchive,
    Hosting,
    Images,
    Label,
    LayoutSource,
    ManifestSource,
    Mlflow,
    Model,
    NamesIn,
    Pipeline,
    Sample,
    Service,
    Share,
    Source,
    Sources,
    Split,
    SplitGlobs,
    TableSource,
    ToPerson,
    usual_limits,
)

if TYPE_CHECKING:
    from lfvpipe.config.tree import Node


# The sections of `sources` that say themselves which image is what.
LISTED = ("table", "layout", "annotations")


def build(tree: Node, file: Path) -> Pipeline:
    """Return the pipeline that the validated `tree` of `file` describes."""
    settings = Settings(absolute(tree))
    name = settings.get("name") or names.pipeline_name(file.stem)
    project = settings.get("project") or names.project_name(name)
    sse = settings.explicit("bucket.encryption")
    most_units = settings.get("hosting.max_inference_units")
    tracking_uri = settings.get("mlflow.tracking_uri")
    return Pipeline(
        file=file.absolute(),
        name=name,
        project=project,
        region=settings.get("region"),
        sources=_sources(settings),
        sample=_sample(settings),
        split=split(settings),
        images=_images(settings),
        bucket=Bucket(
            name=settings.get("bucket.name") or names.bucket_name(project),
            endpoint=settings.get("bucket.endpoint"),
            prefix=settings.get("bucket.prefix"),
            encryption=Encryption(sse["sse"], sse.get("key")) if sse else None,
            requester_pays=settings.get("bucket.requester_pays"),
        ),
        service=Service(
            endpoint=(endpoint := settings.get("service.endpoint")),
            detector=settings.get("service.detector"),
            limits=settings.get("service.limits") or usual_limits(endpoint),
        ),
        model=Model(
            settings.get("model.output_prefix"),
            settings.get("model.description"),
            settings.get("model.effort"),
        ),
        hosting=Hosting(
            min_inference_units=int(settings.get("hosting.min_inference_units")),
            max_inference_units=None if most_units is None else int(most_units),
            keep_running=settings.get("hosting.keep_running"),
        ),
        evaluate=_evaluate(settings),
        matrix=settings.matrix(),
        mlflow=Mlflow(tracking_uri, settings.get("mlflow.experiment")) if tracking_uri else None,
    )


def _images(settings: Settings) -> Images:
    resize, depth = settings.get("images.resize"), settings.get("images.depth")
    how: Mapping[str, Any] = {"size": resize} if isinstance(resize, str) else resize or {}
    width, _, height = how.get("size", "").partition("x")
    region, ignore = settings.get("images.region"), settings.get("images.ignore") or ()
    return Images(
        resize=(int(width), int(height)) if how else None,
        fit=how.get("fit"),
        region=(int(region[0]), int(region[1]), int(region[2]), int(region[3])) if region else None,
        ignore=ignore
        if isinstance(ignore, str)
        else tuple(tuple((float(x), float(y)) for x, y in polygon) for polygon in ignore),
        convert=settings.get("images.convert"),
        depth=None if depth == "auto" else int(depth),
        background=settings.get("images.background").upper(),
        damaged=settings.get("images.damaged"),
    )


def _sources(settings: Settings) -> Sources:
    manifest = settings.explicit("sources.manifest")
    labels_file = settings.explicit("sources.labels")
    if manifest:
        return Sources({}, _manifest(manifest), labels_file)
    if listed := _listed(settings):
        return Sources({}, labels=labels_file, listed=listed)
    given = {label: settings.explicit(f"sources.{label}") for label in LABELS}
    by_label = {label: _source(source) for label, source in given.items() if source}
    return Sources(by_label, labels=labels_file)


def _manifest(given: Mapping[str, Any]) -> ManifestSource:
    said = given.get("labels") or {}
    names = {label: _globs(said[label]) for label in LABELS if said.get(label)}
    return ManifestSource(
        given["train"], given.get("test"), given.get("images"), given.get("attribute"), names
    )


def _source(given: Mapping[str, Any]) -> Source:
    archive, *further = _globs(given["archive"])
    return Source(
        archive=archive,
        sha256=_digest(given.get("sha256")),
        include=_globs(given.get("include")),
        masks=given.get("masks"),
        further=tuple(further),
        exclude=_globs(given.get("exclude")),
        encoding=given.get("encoding"),
        types=_types(given.get("types")),
    )


def _types(given: Literal["folder"] | Mapping[str, Any] | None) -> DefectTypes | None:
    if given is None:
        return None
    if isinstance(given, str):
        return DefectTypes(folder=-1)
    return DefectTypes(given.get("folder"), given.get("pattern"))


def _listed(settings: Settings) -> TableSource | LayoutSource | AnnotationSource | None:
    kind = next((kind for kind in LISTED if settings.has(f"sources.{kind}")), None)
    if kind is None:
        return None
    given: Mapping[str, Any] = settings.explicit(f"sources.{kind}")
    archive = given.get("archive")
    if archive is None:  # of a table, beside which its images lie
        archive = str(Path(given["file"]).parent)
    common: dict[str, Any] = {
        "archive": archive,
        "sha256": _digest(given.get("sha256")),
        "include": _globs(given.get("include")),
        "exclude": _globs(given.get("exclude")),
        "encoding": given.get("encoding"),
    }
    if kind == "layout":
        return LayoutSource(name=given["name"], **common)
    words = {word: label for label in LABELS for word in _globs(given.get("labels", {}).get(label))}
    if kind == "table":
        left_out = _globs(given.get("labels", {}).get("leave-out"))
        columns = {column: name for column, name in (given.get("columns") or {}).items() if name}
        return TableSource(
            file=given["file"], words=words, left_out=left_out, columns=columns, **common
        )
    return AnnotationSource(
        format=given["format"],
        files=_globs(given.get("file")),
        unmarked=settings.get("sources.annotations.unmarked"),
        words=words,
        **common,
    )


def _digest(given: str | None) -> str | None:
    return given.lower() if given else None


def _globs(given: str | list[str] | None) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given or ())


def _sample(settings: Settings) -> Sample:
    """Return how much of each label takes part: its own share, or the common count or percent."""
    count = settings.explicit("sample.count")
    common = {"count": count} if count else settings.get("sample.percent")
    shares = {label: share(settings.explicit(f"sample.{label}") or common) for label in LABELS}
    return Sample(shares, int(settings.get("sample.seed")))


def share(given: float | Mapping[str, Any]) -> Share:
    """Return the share that a number, which is a percentage, or a mapping stands for."""
    if not isinstance(given, Mapping):
        return Share(percent=float(given))
    count, percent = given.get("count"), given.get("percent")
    return Share(None if percent is None else float(percent), None if count is None else int(count))


def split(settings: Settings) -> Split:
    """Return the division of both labels; one whose label has no source says nothing."""
    divisions = {label: division(settings, label) for label in LABELS}
    train = {label: share(trained) for label, (trained, _) in divisions.items()}
    test = {label: share(tested) for label, (_, tested) in divisions.items() if tested}
    is_single = not any(label in test for label in labels(settings))
    own = settings.explicit("split.from")
    return Split(
        train,
        None if is_single else test,
        own=SplitGlobs(_names(own["train"]), _names(own["test"]))
        if isinstance(own, Mapping)
        else own,
        # How images are drawn says nothing of whether they are.
        is_default={*(settings.explicit("split") or ())} <= {"stable"},
        group=settings.explicit("split.group"),
        stable=bool(settings.explicit("split.stable")),
    )


def _names(given: str | list[str] | Mapping[str, Any]) -> tuple[str, ...] | NamesIn:
    return NamesIn(_globs(given["file"])) if isinstance(given, Mapping) else _globs(given)


def labels(settings: Settings) -> tuple[Label, ...]:
    """Return the labels that have a source; both where it is not a source for each."""
    if any(settings.has(f"sources.{kind}") for kind in ("manifest", *LISTED)):
        return LABELS
    return tuple(label for label in LABELS if settings.has(f"sources.{label}"))


def division(settings: Settings, label: Label) -> tuple[Any, Any]:
    """Return what trains and what tests a label, as given: its own, the common, the default."""
    for section in (f"split.{label}", "split"):
        train, test = settings.explicit(f"{section}.train"), settings.explicit(f"{section}.test")
        if train is not None or test is not None:
            return train, test
    return settings.get("split.train"), settings.get("split.test")


def _evaluate(settings: Settings) -> Evaluate:
    given = settings.get("evaluate.images") or []
    by_key: dict[str, Any] = {"evaluate.images": given}
    if isinstance(given, list):
        by_key = {f"evaluate.images[{index}]": image for index, image in enumerate(given)}
    return Evaluate(
        images=tuple(image for image in by_key.values() if isinstance(image, str)),
        archives=tuple(
            EvaluationArchive(
                archive=image["archive"],
                include=_globs(image.get("include")),
                label=image.get("label"),
                sha256=_digest(image.get("sha256")),
                key=key,
                exclude=_globs(image.get("exclude")),
                encoding=image.get("encoding"),
            )
            for key, image in by_key.items()
            if not isinstance(image, str)
        ),
        unused_per_label=int(settings.get("evaluate.unused.per_label")),
        review_below=float(settings.get("evaluate.review_below")),
        decide=_decide(settings),
        to_person=_to_person(settings),
    )


def _decide(settings: Settings) -> Decide | None:
    """Return what the decision is made by; `evaluate.costs` is the older way to say costs."""
    given = settings.get("evaluate.decide")
    if not isinstance(given, Mapping):
        given = {}
    costs = given.get("costs") or settings.get("evaluate.costs")
    numbers = {key: float(value) for key, value in given.items() if key != "costs" and value}
    if not costs and not numbers:
        return None
    return Decide(
        costs=Costs(**{key: float(cost) for key, cost in costs.items() if cost is not None})
        if costs
        else None,
        **numbers,
    )


def _to_person(settings: Settings) -> ToPerson | None:
    given = settings.get("evaluate.to_person")
    return ToPerson(float(given["above"]), float(given["below"])) if given else None
