"""`lfvpipe validate`: check the pipeline file, and say what it would use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lfvpipe.cli import output, session
from lfvpipe.errors import UserError

if TYPE_CHECKING:
    import argparse

    from lfvpipe.config.spec import Label, Pipeline, Source

CONFIG_IS_WRONG = 3


@dataclass(frozen=True)
class Found:
    """What is known of one label's images without fetching anything.

    Attributes:
        label: The label.
        archive: Where they lie.
        local: Whether that is on this machine.
        images: How many there are; None where that is not known yet.
        train: How many would be trained on.
        test: How many would be tested on.
        problem: What is wrong; empty for nothing.
    """

    label: str
    archive: str
    local: bool
    images: int | None = None
    train: int | None = None
    test: int | None = None
    problem: str = ""


def run(options: argparse.Namespace) -> int:
    """Print what the file says and would use, or all that is wrong; return 0 or 3."""
    try:
        variants = session.open_variants(options)
    except UserError as error:
        if options.json and hasattr(error, "problems"):
            output.print_json({"valid": False, "problems": [str(each) for each in error.problems]})
            return error.exit_code
        raise
    pipelines = [(variant.name, variant.context.pipeline) for variant in variants]
    found = [(name, pipeline, _look(pipeline)) for name, pipeline in pipelines]
    problems = list(
        dict.fromkeys(one.problem for _, _, all_ in found for one in all_ if one.problem)
    )
    if options.json:
        output.print_json(_json(found, problems))
    else:
        _print(options, found, problems)
    return CONFIG_IS_WRONG if problems else 0


def _look(pipeline: Pipeline) -> list[Found]:
    found = [_label(pipeline, label, source) for label, source in pipeline.sources.labels.items()]
    manifest = pipeline.sources.manifest
    if manifest:
        parts = {"train": manifest.train, "test": manifest.test, "images": manifest.images}
        found += [_place(name, place) for name, place in parts.items() if place]
    found += [_place("masks", one.masks) for one in pipeline.sources.labels.values() if one.masks]
    found += [_place("evaluate", one.archive) for one in pipeline.evaluate.archives]
    return found + _extras(pipeline)


def _extras(pipeline: Pipeline) -> list[Found]:
    """Return what has to be installed for this pipeline and is not."""
    if pipeline.mlflow is None:
        return []
    from lfvpipe.steps.configuration import without_secrets
    from lfvpipe.steps.mlflow import insist_on_extra

    server = without_secrets(pipeline.mlflow.tracking_uri)
    try:
        insist_on_extra()
    except UserError as error:
        return [
            Found("mlflow", server, local=False, problem=f"mlflow: {error.hint.splitlines()[0]}")
        ]
    return []


def _place(name: str, place: str) -> Found:
    from lfvpipe.steps.sources import shown

    local = "://" not in place
    missing = local and not Path(place).exists()
    return Found(
        name, shown(place), local, problem=f"{name}: {_missing(Path(place))}" if missing else ""
    )


def _missing(path: Path) -> str:
    from lfvpipe.steps.sources import similar

    if not path.parent.is_dir():
        return f"{path} is not there, nor is its folder"
    near = similar(path)
    return f"{path} is not there" + (f"; did you mean {' or '.join(near)}?" if near else "")


def _label(pipeline: Pipeline, label: Label, source: Source) -> Found:
    found = _place(label, source.archive)
    if not found.local or found.problem:
        return found
    try:
        names = _image_names(source)
    except UserError as error:
        return Found(label, source.archive, local=True, problem=f"{label}: {error.message}")
    train, test = _counts(pipeline, label, names)
    none = "" if names else f"{label}: {source.archive} holds no image that is included"
    return Found(label, source.archive, True, len(names), train, test, none)


def _image_names(source: Source) -> list[str]:
    from lfvpipe.archives import open_archive
    from lfvpipe.steps.globs import is_image_name, matcher

    wanted = matcher(source.include)
    with open_archive(Path(source.archive)) as archive:
        names = [member.name for member in archive.members()]
    return [name for name in names if is_image_name(name) and wanted(name)]


def _counts(pipeline: Pipeline, label: Label, names: list[str]) -> tuple[int, int]:
    """Forecast how many of a label's images are trained and tested on, by `select`'s own rules."""
    from lfvpipe.steps.globs import matcher
    from lfvpipe.steps.sampling import sample_size, split_sizes

    chosen = pipeline.evaluate.images
    is_withheld = matcher(chosen)
    withheld = sum(1 for name in names if chosen and is_withheld(name))
    sampled = sample_size(pipeline.sample.shares[label], len(names), withheld)
    test = pipeline.split.test[label] if pipeline.split.test else None
    return split_sizes(sampled, pipeline.split.train[label], test)


def _print(
    options: argparse.Namespace,
    found: list[tuple[str, Pipeline, list[Found]]],
    problems: list[str],
) -> None:
    file = options.file or session.DEFAULT_FILE
    verdict = ("has problems", "red") if problems else ("is valid", "green")
    print(f"{file} {output.styled(verdict[0], verdict[1])}")  # type: ignore[arg-type]  # literals
    for name, pipeline, sources in found:
        _print_pipeline(name, pipeline, sources)
    for problem in problems:
        print(output.styled(f"problem: {problem}", "red"))


def _print_pipeline(name: str, pipeline: Pipeline, sources: list[Found]) -> None:
    title = pipeline.name if name == "default" else f"{pipeline.name} [{name}]"
    print(f"\n{output.styled(title, 'bold')}")
    rows = [
        ("project", f"{pipeline.project}, {pipeline.region}, service {pipeline.service.endpoint}"),
        ("bucket", f"{pipeline.bucket.name}, {pipeline.bucket.endpoint}"),
        *((one.label, _said(one)) for one in sources),
    ]
    print(output.table([(f"  {key}", text) for key, text in rows]))


def _said(one: Found) -> str:
    if one.problem:
        return f"{one.archive}: not usable"
    if not one.local:
        return f"{one.archive}: to be fetched"
    if one.images is None:
        return one.archive
    split = f"{one.train} to train on, {one.test} to test on"
    return f"{one.archive}: {one.images} images, {split}"


def _json(found: list[tuple[str, Pipeline, list[Found]]], problems: list[str]) -> dict[str, Any]:
    from dataclasses import asdict

    variants = [
        {
            "variant": name,
            "name": pipeline.name,
            "project": pipeline.project,
            "region": pipeline.region,
            "service": pipeline.service.endpoint,
            "bucket": pipeline.bucket.name,
            "sources": [asdict(one) for one in sources],
        }
        for name, pipeline, sources in found
    ]
    return {"valid": not problems, "problems": problems, "variants": variants}
