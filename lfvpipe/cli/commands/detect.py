"""`lfvpipe detect`: verdicts for images, from a pipeline's model or from a model file."""

from __future__ import annotations

import glob
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from lfvpipe import detector, images
from lfvpipe.cli import as_trained, heat_maps, interrupt, session
from lfvpipe.cli.answers import Answer, printed
from lfvpipe.cli.commands.run import locked
from lfvpipe.cli.handwork import HandWork
from lfvpipe.cli.options import Json, LockOptions, Option, is_pipeline_file
from lfvpipe.dataset.globs import has_wildcard, is_image_name
from lfvpipe.engine.step import Cancelled
from lfvpipe.errors import UserError
from lfvpipe.executor import in_order
from lfvpipe.lookout.failures import explained
from lfvpipe.lookout.rules import MAX_IMAGE_BYTES
from lfvpipe.steps.evaluate.detection import content_type
from lfvpipe.steps.hosting import Hosting, hosted
from lfvpipe.steps.model.outcome import ModelOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from lfvpipe.cli.heat_maps import HeatMaps
    from lfvpipe.cli.session import Variant
    from lfvpipe.config.spec import Images
    from lfvpipe.engine.ledger import Ledger, Record

    Draw = Callable[[Path, bytes], str | None]
    Ask = Callable[[Path], Answer]

JOBS = 4


@dataclass(frozen=True, kw_only=True)
class DetectOptions(LockOptions):
    """What `lfvpipe detect` reads; `file` is the first target, unless a model file is used."""

    file: str | None = None
    targets: Annotated[
        tuple[str, ...],
        Option(
            metavar="PIPELINE|IMAGE",
            about="the pipeline file whose model is used, then images, folders and globs",
            completes="file",
        ),
    ]
    model: Annotated[
        str | None,
        Option(
            "--model",
            metavar="FILE",
            about="use this model file instead of a pipeline's",
            group="target",
            completes="file",
        ),
    ] = None
    heat_maps: Annotated[
        str | None,
        Option(
            "--heat-maps",
            metavar="FOLDER",
            about="also write each image into this folder, with where the model sees evidence, as"
            " a PNG",
            group="target",
        ),
    ] = None
    json: Json = False
    csv: Annotated[bool, Option("--csv", about="print a line per image as CSV", group="output")] = (
        False
    )

    @classmethod
    def from_words(cls, **given: Any) -> Self:
        """Tell the pipeline file, if one is named, from the images."""
        match given["targets"]:
            case [first, *targets] if is_pipeline_file(first.lower()) and not given.get("model"):
                given |= {"file": first, "targets": tuple(targets)}
        return cls(**given)


def run(options: DetectOptions) -> int:
    """Print a verdict per image; return 0, or 1 where an image got none, or no heat map."""
    files = list(_images(options.targets))
    maps = _heat_maps(options, files)
    if not files:
        where = f" in {' '.join(options.targets)}" if options.targets else ""
        raise session.UsageError(
            f"no images to look at{where}", hint="Name images, folders or globs."
        )
    try:
        with _asking(options, maps) as ask:
            answers = printed(_answers(ask, files), as_json=options.json, as_csv=options.csv)
    except Cancelled:
        return interrupt.INTERRUPTED
    if maps:
        maps.tell(sum(each.heat_map is not None for each in answers))
    return 1 if any(each.error or (maps and not each.heat_map) for each in answers) else 0


def _heat_maps(options: DetectOptions, images: list[Path]) -> HeatMaps | None:
    """Return where heat maps go, if they are wanted; leave those of before out of `images`."""
    if options.heat_maps is None:
        return None
    folder = Path(options.heat_maps)
    images[:] = heat_maps.apart(images, options.targets, folder)
    return heat_maps.planned(images, folder) if images else None


def _asking(options: DetectOptions, maps: HeatMaps | None) -> AbstractContextManager[Ask]:
    if options.model:
        return _by_model_file(Path(options.model), maps)
    return _by_pipeline(options, maps)


def _images(targets: Iterable[str]) -> Iterator[Path]:
    """Yield the image files that files, folders and globs stand for, in a steady order.

    Raises:
        UsageError: One of them leads nowhere.
    """
    for target in targets:
        path = Path(target)
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.is_file() and is_image_name(p.name))
        elif path.exists() or not has_wildcard(target):
            if not path.is_file():
                raise session.UsageError(f"{target} is not there")
            yield path
        else:
            found = sorted(map(Path, glob.glob(target, recursive=True)))  # noqa: PTH207  (globs may be absolute)
            yield from (each for each in found if each.is_file() and is_image_name(each.name))


@contextmanager
def _by_model_file(path: Path, maps: HeatMaps | None) -> Iterator[Ask]:
    """Yield a function that asks a detector's model file."""
    if not path.is_file():
        raise session.UsageError(f"{path} is not there", hint="--model wants a model file.")
    try:
        model = detector.load(path)
    except detector.DetectorError as error:
        raise session.UsageError(error.message, hint=error.hint) from error
    if maps:
        maps.insist_on_folder()

    def ask(image: Path) -> Answer:
        verdict = model.detect(image)
        found = _types((each.name, each.fraction) for each in verdict.anomalies)
        drawn = maps.draw(image, image, verdict.heat_map) if maps else None
        facts = (verdict.is_anomalous, verdict.confidence)
        return Answer(str(image), *facts, anomalies=found, heat_map=drawn)

    yield ask


@contextmanager
def _by_pipeline(options: DetectOptions, maps: HeatMaps | None) -> Iterator[Ask]:
    """Host the pipeline's model while the block runs; yield a function that asks it."""
    variant = session.open_variants(options)[0]
    if maps:
        heat_maps.insist_on_embedded(variant.context)
    with locked("detect", options, variant), interrupt.cancelling() as cancelled:
        ledger = session.ledger_of(variant)
        record = _trained(variant, ledger)
        trained = ModelOutcome.from_json(record.outcome.facts if record.outcome else {})
        endpoint = variant.context.pipeline.service.endpoint
        model = Hosting(trained.project, trained.version, endpoint)
        look = as_trained.images(variant, ledger, record, session.command("run", options))
        draw = _drawing(variant, model, maps)
        work: HandWork = HandWork(ledger, cancelled)
        with hosted(variant.context, work, model, kept=model.key in ledger.held):

            def ask(image: Path) -> Answer:
                work.progress(0, None, "images")
                return _ask(variant, model, look, image, draw)

            yield ask


def _drawing(variant: Variant, model: Hosting, maps: HeatMaps | None) -> Draw:
    """Return what draws the heat map of an image, given what the hosted model was given."""
    if maps is None:
        return lambda _image, _data: None
    file = heat_maps.model_file(variant.context, model)
    maps.insist_on_folder()
    looking = detector.load(file)
    return lambda image, data: maps.draw(image, data, looking.detect(data).heat_map)


def _trained(variant: Variant, ledger: Ledger) -> Record:
    record = ledger.standing_record(variant.name, "model")
    if record is None or record.outcome is None:
        name = variant.context.pipeline.name
        hint = f"Run it first: lfvpipe run {variant.context.pipeline.file}"
        raise session.UsageError(f"{name} has no trained model yet", hint=hint)
    return record


def _ask(variant: Variant, model: Hosting, look: Images, image: Path, draw: Draw) -> Answer:
    """Prepare the image as the model's training images were, and ask the hosted model."""
    data = images.prepare(
        image.read_bytes(),
        resize=look.resize,
        convert=look.convert,
        max_bytes=MAX_IMAGE_BYTES,
    )
    with explained(f"detecting anomalies in {image}"):
        said = variant.context.lookout.detect_anomalies(
            ProjectName=model.project,
            ModelVersion=model.version,
            Body=data,
            ContentType=content_type(data),
        )["DetectAnomalyResult"]
    confidence = float(said["Confidence"])
    found = tuple(
        (each["Name"], float(each["PixelAnomaly"]["TotalPercentageArea"]))
        for each in said.get("Anomalies", ())
    )
    doubtful = confidence < variant.context.pipeline.evaluate.review_below
    facts = (bool(said["IsAnomalous"]), confidence, doubtful, _types(found))
    return Answer(str(image), *facts, heat_map=draw(image, data))


def _types(found: Iterable[tuple[str, float]]) -> tuple[tuple[str, float], ...]:
    """Leave the background out."""
    return tuple((name, part) for name, part in found if name.lower() != "background")


def _answers(ask: Ask, images: Iterable[Path]) -> Iterator[Answer]:
    """Ask about several images at once; return the answers in the images' order."""
    return in_order(partial(_careful, ask), images, JOBS)


def _careful(ask: Ask, image: Path) -> Answer:
    """Let an image that cannot be used be an answer, so that the others still get theirs."""
    try:
        return ask(image)
    except UserError as error:
        # The line names the image already, so that the service's bare reason is enough.
        return Answer(str(image), error=getattr(error, "reason", error.message))
    except OSError as error:
        return Answer(str(image), error=error.strerror or str(error))
