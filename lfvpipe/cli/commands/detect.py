"""`lfvpipe detect`: verdicts for images, from a pipeline's model or from a model file."""

from __future__ import annotations

import glob
import shlex
import sys
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from lfvpipe import detector, service
from lfvpipe.archives import STATE_FOLDER
from lfvpipe.cli import bulk, heat_maps, interrupt, output
from lfvpipe.cli.asked import Asked, Photograph
from lfvpipe.cli.bulk.partitions import PARTITION
from lfvpipe.cli.bulk.sources import about_left_out, why_left_out
from lfvpipe.cli.by_model import ByFile, ByPipeline, without_background
from lfvpipe.cli.command_work import CommandWork
from lfvpipe.cli.held_models import stop_left_models
from lfvpipe.cli.judge import Judge, stamp_of
from lfvpipe.cli.keeping import Keeper
from lfvpipe.cli.options import (
    LOCAL,
    Json,
    LockOptions,
    ModelVariant,
    Option,
    at_least,
    compute,
    is_pipeline_file,
)
from lfvpipe.cli.preparation import training_preparation
from lfvpipe.cli.standing_decision import decide_now, has_judged, is_by_run
from lfvpipe.cli.starter.name_reading import is_made
from lfvpipe.cli.usage import UsageError, command_line
from lfvpipe.cli.variant_choice import find_variant
from lfvpipe.cli.variants import ledger_of, locked, open_variants
from lfvpipe.cli.verdicts import ImageVerdict, print_verdicts
from lfvpipe.cli.written_places import (
    insist_outside_exports,
    insist_outside_sources,
    insist_outside_state,
)
from lfvpipe.dataset.checks.counts import is_built_in
from lfvpipe.dataset.globs import has_wildcard
from lfvpipe.decision import Decision
from lfvpipe.engine.step import Cancelled
from lfvpipe.errors import UserError
from lfvpipe.executor import in_order
from lfvpipe.lookout.failures import explained
from lfvpipe.lookout.likeness import unlikeness
from lfvpipe.report.certainty import why_guessed
from lfvpipe.report.policies import at_score
from lfvpipe.service.jobs.packaging import component
from lfvpipe.steps.evaluate.detection import content_type
from lfvpipe.steps.evaluate.outcome import EvaluateOutcome
from lfvpipe.steps.hosting import Hosting, hosted
from lfvpipe.steps.intact import digest_of
from lfvpipe.steps.model.outcome import ModelOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lfvpipe.cli.asked import Maps
    from lfvpipe.cli.bulk.places import BucketOf
    from lfvpipe.cli.preparation import Preparation
    from lfvpipe.cli.variants import Variant
    from lfvpipe.detector import Model
    from lfvpipe.engine.ledger import Ledger, Record

    Detect = Callable[[Photograph], ImageVerdict]

JOBS = 4
NEVER_RUN = "No run has judged by this decision yet; `lfvpipe run` does, and trains nothing."
NOT_LAST_RUN = (
    "The last run judged by another decision, an earlier one by this; `lfvpipe run` goes back to"
    " it, and trains nothing for it."
)
ALIKE = "too few of the defective ones differ"


@dataclass(frozen=True, kw_only=True)
class DetectOptions(LockOptions):
    """What `lfvpipe detect` reads; `file` is the first target, unless a model file is used."""

    file: str | None = None
    targets: Annotated[
        tuple[str, ...],
        Option(
            metavar="PIPELINE|IMAGE",
            about="the pipeline file whose model is used, then images, folders and globs; with"
            " --out one folder or s3://bucket/prefix",
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
            " a PNG; with --out also into s3://bucket/prefix",
            group="target",
        ),
    ] = None
    out: Annotated[
        str | None,
        Option(
            "--out",
            metavar="PLACE",
            about="judge any number of images into this folder or s3://bucket/prefix, as JSON"
            " lines, and go on there after an interruption",
            group="target",
            completes="folder",
        ),
    ] = None
    partition: Annotated[
        int | None,
        Option(
            "--partition",
            metavar="IMAGES",
            read=at_least(1),
            about=f"with --out: how many images are one file of verdicts (default: {PARTITION})",
            group="target",
        ),
    ] = None
    compute: Annotated[
        str,
        Option(
            "--compute",
            metavar="WHERE",
            read=compute,
            about="with --out: judge on this machine (local, the default), or by the workers of a"
            " Dask cluster, dask://HOST:PORT or tls://HOST:PORT",
            group="target",
        ),
    ] = LOCAL
    variant: ModelVariant = None
    no_keep: Annotated[
        bool,
        Option(
            "--no-keep",
            about="do not keep the verdicts for `lfvpipe review --of detect`",
            group="target",
        ),
    ] = False
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
    if options.out is not None:
        return _judge_into(options, options.out)
    _refuse_what_is_about_out(options)
    left_out: Counter[str] = Counter()
    files = list(_image_files(options.targets, left_out))
    maps = variant = None
    if options.heat_maps is not None:
        variant = None if options.model else _chosen_variant(options)
        _insist_on_own_places(options, variant)
        folder = Path(options.heat_maps)
        files = heat_maps.outside(folder, files, options.targets)
        maps = heat_maps.destination(folder, files) if files else None
    if not files:
        where = f" in {' '.join(options.targets)}" if options.targets else ""
        raise UsageError(
            f"There are no images to look at{where}.",
            hint="\n".join(["Name images, folders or globs.", *about_left_out(left_out)]),
        )
    try:
        with _open_model(options, maps, variant) as model, model.at_work():
            verdicts = print_verdicts(
                in_order(partial(_detect_or_say_why_not, model.detect), files, JOBS),
                model.judge,
                total=len(files),
                as_json=options.json,
                as_csv=options.csv,
                notes=(*model.notes, *about_left_out(left_out)),
            )
    except Cancelled:
        return interrupt.INTERRUPTED
    if maps:
        maps.tell(sum(each.heat_map is not None for each in verdicts))
    return 1 if any(each.error or (maps and not each.heat_map) for each in verdicts) else 0


def _refuse_what_is_about_out(options: DetectOptions) -> None:
    given = {"--partition": options.partition is not None, "--compute": options.compute != LOCAL}
    for flag in (flag for flag, is_given in given.items() if is_given):
        raise UsageError(f"{flag} is about --out PLACE, which is not given.")
    for each in filter(bulk.is_s3, (*options.targets, options.heat_maps or "")):
        hint = "With `--out PLACE`, a folder or an s3:// address, it judges those, too."
        raise UsageError(f"{each} is in an object store.", hint=hint)


def _judge_into(options: DetectOptions, out: str) -> int:
    """Judge the images of one folder or prefix into a place; return as `run` does."""
    if options.csv:
        raise UsageError("--csv prints verdicts, and --out writes them; give one of the two.")
    if len(options.targets) != 1:
        named = "none is" if not options.targets else f"{len(options.targets)} are"
        hint = "Name one folder, or one s3://bucket/prefix."
        raise UsageError(f"With --out, one folder is judged; {named} named.", hint=hint)
    variant = None if options.model else _chosen_variant(options)
    _insist_on_own_places(options, variant)
    bucket_of: BucketOf = bulk.bucket_by_environment
    if variant:
        bucket_of = bulk.PipelineBuckets(variant.context.buckets.describe())
    source = bulk.open_source(options.targets[0], bucket_of)
    place = bulk.open_place(out, bucket_of, "--out")
    maps = None
    if options.heat_maps is not None:
        maps = bulk.PlacedMaps(bulk.open_place(options.heat_maps, bucket_of, "--heat-maps"))
    asking = replace(options, no_keep=True)
    with _open_model(asking, maps, variant) as model:
        try:
            found, summary = bulk.judge_all(
                model,
                source,
                place,
                bulk.BulkOptions(
                    options.partition,
                    maps.place.address if maps else "",
                    _same_command(options, out),
                    _elsewhere(options, out, bucket_of),
                ),
            )
        except Cancelled:
            return interrupt.INTERRUPTED
    if options.json:
        output.print_json(summary)
    return 1 if found.failed or (maps and found.undrawn) else 0


def _insist_on_own_places(options: DetectOptions, variant: Variant | None) -> None:
    """Refuse to write where other things are.

    Raises:
        UsageError: A place is in the state, in an export, or in a source of the pipeline.
    """
    named = [each for each in (options.heat_maps, options.out) if each and not bulk.is_s3(each)]
    for place in map(Path, named):
        insist_outside_state(place, options)
        insist_outside_exports(place)
        if variant is not None:
            insist_outside_sources(place, variant.pipeline)


def _elsewhere(options: DetectOptions, out: str, bucket_of: BucketOf) -> bulk.Elsewhere | None:
    """Return how workers find what this command reads and writes; None where it does all itself."""
    if options.compute == LOCAL:
        return None

    def address(text: str) -> bulk.Address:
        return bulk.Address(text, None if bulk.is_s3(text) else Path(text).absolute())

    maps = options.heat_maps
    return bulk.Elsewhere(
        options.compute,
        address(options.targets[0]),
        address(out),
        None if maps is None else address(maps),
        bucket_of,
    )


def _same_command(options: DetectOptions, out: str) -> str:
    words = ["--model", options.model] if options.model else []
    words += ["--heat-maps", options.heat_maps] if options.heat_maps else []
    words += ["--variant", options.variant] if options.variant else []
    words += ["--compute", options.compute] if options.compute != LOCAL else []
    return (
        f"{command_line('detect', options)} {shlex.join([*options.targets, *words, '--out', out])}"
    )


def _image_files(targets: Iterable[str], left_out: Counter[str]) -> Iterator[Path]:
    """Yield the image files that files, folders and globs stand for, in a steady order.

    A folder or glob means what `run` takes of a folder: no junk that a system keeps beside the
    images, nor thumbnails of them, nor other files. A file that is named is meant, whatever it is.

    Args:
        targets: As the user wrote them.
        left_out: What a folder or a glob holds that is not judged is counted in it, by kind.

    Raises:
        UsageError: One of the targets leads nowhere.
    """
    for target in targets:
        path = Path(target)
        if path.is_dir():
            yield from _images_among(sorted(path.rglob("*")), path, left_out)
        elif path.exists() or not has_wildcard(target):
            if not path.is_file():
                raise UsageError(f"{target} {_why_no_file(path)}.")
            yield path
        else:
            found = sorted(map(Path, glob.glob(target, recursive=True)))  # noqa: PTH207  (globs may be absolute)
            parts = list(takewhile(lambda part: not has_wildcard(part), path.parts))
            yield from _images_among(found, Path(*parts), left_out)


def _images_among(paths: Iterable[Path], folder: Path, left_out: Counter[str]) -> Iterator[Path]:
    found: list[tuple[Path, str]] = []
    for path in paths:
        inside = path.relative_to(folder)
        if STATE_FOLDER in inside.parts or path.is_dir():
            continue
        if kind := why_left_out(inside.as_posix()) or _kind_of_no_file(path):
            left_out[kind] += 1
        else:
            found.append((path, next(filter(is_made, inside.parts[:-1]), "")))
    # What a program made of a photograph is known by its folder, and by the photograph outside it.
    photographs = {path.stem.lower() for path, made_in in found if not made_in}
    for path, made_in in found:
        if made_in and path.stem.lower() in photographs:
            left_out[f"{made_in}/"] += 1
        else:
            yield path


def _kind_of_no_file(path: Path) -> str:
    """Return what there is in a file's place; "" for a file. A link may lead to a dead drive."""
    if path.is_file():
        return ""
    return "device or special file" if path.exists() else "link that leads nowhere"


def _why_no_file(path: Path) -> str:
    if path.is_symlink() or path.exists():
        return f"is a {_kind_of_no_file(path)}"
    return "is not there"


@contextmanager
def _open_model(
    options: DetectOptions, maps: Maps | None, variant: Variant | None = None
) -> Iterator[Asked]:
    """Yield what asks the model that the user means; `variant` is what was chosen already."""
    if options.model:
        if options.overrides or options.variant:
            given = "--set" if options.overrides else "--variant"
            message = f"{given} changes a pipeline, and --model judges without one."
            hint = "Name the pipeline file instead; an export decides by its decision.json."
            raise UsageError(message, hint=hint)
        with _from_model_file(Path(options.model), maps) as asked:
            yield asked
    else:
        with _from_pipeline(variant or _chosen_variant(options), options, maps) as asked:
            yield asked


@contextmanager
def _from_model_file(path: Path, maps: Maps | None) -> Iterator[Asked]:
    """Yield what asks a detector's model file, or a folder that `export` made."""
    file = path / component.MODEL if path.is_dir() else path
    if not file.is_file():
        hint = "--model wants a model file, or a folder that `lfvpipe export` made."
        raise UsageError(f"{file} is {'no file' if file.exists() else 'not there'}.", hint=hint)
    if file.suffix.lower() == ".zip":
        hint = "Unpack it, and name the folder: --model FOLDER."
        raise UsageError(f"{file} is an archive, not a model file.", hint=hint)
    # A model file that lies in an export is the export's: judged as its run.py judges.
    beside = file.with_name(component.DECISION)
    is_exported = path.is_dir() or beside.exists()
    decision = _exported_decision(beside) if is_exported else Decision()
    stamp = stamp_of(file)
    try:
        model = detector.load(file)
    except detector.DetectorError as error:
        raise UsageError(error.message, hint=error.hint) from error
    judge = Judge(file.name, digest_of(file), decision, file=file, stamp=stamp)
    if maps:
        maps.make_folder()
    by = ByFile(decision, maps)
    counts = model.info.counts
    why = why_guessed(counts.get("anomaly", 0), single=False, built_in=True)
    is_guess = bool(why) or model.info.kind == "novelty"  # of anomalies that are alike, for one
    about = _about_threshold(why or ALIKE, is_guess=is_guess)
    notes = (*_about_exported(decision, beside), *about)
    yield Asked(partial(by.detect, model), judge, notes, by=by)


def _exported_decision(file: Path) -> Decision:
    """Return what is decided by in a folder that `export` made.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        return Decision.from_json(file.read_bytes())
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        hint = f"Export it again; a copy of {component.MODEL} elsewhere decides at its own 0.5."
        raise UsageError(f"{file} cannot be read: {said}.", hint=hint) from error


def _about_exported(decision: Decision, file: Path) -> tuple[str, ...]:
    if decision == Decision():
        return ()
    return (f"Decided at {at_score(decision.threshold)}, as {file} says.",)


def _chosen_variant(options: DetectOptions) -> Variant:
    variants = open_variants(options)
    variant = find_variant(variants, options.variant)
    if len(variants) > 1:
        one = f"{variant.name}, one of {len(variants)} variants (--variant NAME)"
        print(f"judged by the model of {one}", file=sys.stderr)
    return variant


@contextmanager
def _from_pipeline(variant: Variant, options: DetectOptions, maps: Maps | None) -> Iterator[Asked]:
    """Yield what asks the pipeline's model."""
    if maps:
        heat_maps.require_embedded(variant.context)
    with (
        locked("detect", options, variant),
        interrupt.cancelling() as cancelled,
    ):
        ledger = ledger_of(variant)
        record = _model_record(variant, ledger)
        trained = ModelOutcome.from_json(record.outcome.facts if record.outcome else {})
        endpoint = variant.pipeline.service.endpoint
        model = Hosting(trained.project, trained.version, endpoint)
        retrain = command_line("run", options)
        preparation = training_preparation(variant, ledger, record, retrain)
        keeper = Keeper(variant, model, is_wanted=not options.no_keep)
        decision, told = _decision(variant, ledger, trained)
        by = ByPipeline(preparation, decision, variant.pipeline.evaluate.review_below, maps)
        work = CommandWork(ledger, cancelled)
        file = _file_at_hand(variant, model)
        stamp = stamp_of(file) if file else ()
        at_hand = _load_at_hand(file)
        heat_of = _drawing(variant, model, maps) if at_hand is None else None
        if maps:
            maps.make_folder()
        judge = Judge(
            f"{trained.project} v{trained.version}",
            digest_of(file) if file else trained.arn,
            decision,
            by.review_below,
            file,
            stamp,
        )

        def detect(image: Photograph) -> ImageVerdict:
            work.progress(0, None, "images")  # ends the command when the user asks to stop
            prepared = preparation.prepare(image.data)
            if at_hand is None:
                said = _ask_service(variant, model, image.name, prepared.data)
                heat = heat_of(prepared.data) if heat_of else None
            else:
                said, heat = by.ask(at_hand, prepared)
            said = by.decide(said)
            size = prepared.width, prepared.height
            path = Path(image.name)
            keeper.keep(path, image.data, size, said, threshold=decision.threshold)
            return by.finish(image, prepared, said, heat)

        @contextmanager
        def at_work() -> Iterator[None]:
            if at_hand is None:
                kept = model.key in ledger.held
                with hosted(variant.context, work, model, kept=kept), keeper:
                    yield
                return
            held = tuple(ledger.held)
            try:
                with keeper:
                    yield
            finally:  # also where the user stops it
                stop_left_models(variant, ledger, work.warn, before=held)

        notes = (*told, *_about_model(variant, preparation))
        yield Asked(detect, judge, notes, at_work, by if at_hand is not None else None)


def _about_model(variant: Variant, preparation: Preparation) -> tuple[str, ...]:
    """Return what to know of a pipeline's model by what it was trained on, as the report says."""
    trained = {label: counts.get("train", 0) for label, counts in preparation.counts.items()}
    tested = any(counts.get("test") for counts in preparation.counts.values())
    why = why_guessed(
        trained.get("anomaly", 0), single=not tested, built_in=is_built_in(variant.pipeline)
    )
    return _about_threshold(why, is_guess=bool(why and any(trained.values())))


def _about_threshold(why: str, *, is_guess: bool) -> tuple[str, ...]:
    text = (
        f"The model learnt from good images alone ({why}), so its threshold is a guess: look at"
        " what scores highest, not at the verdicts alone."
    )
    return (text,) if is_guess else ()


def _model_record(variant: Variant, ledger: Ledger) -> Record:
    """Return what the ledger has of the model that the variant stands at.

    Raises:
        UsageError: There is none yet.
    """
    record = ledger.standing_record(variant.name, "model")
    if record is None or record.outcome is None:
        raise UsageError(
            f"{variant.pipeline.name} has no trained model yet.",
            hint=f"Run it first: `lfvpipe run {variant.pipeline.file}`.",
        )
    return record


def _decision(
    variant: Variant, ledger: Ledger, trained: ModelOutcome
) -> tuple[Decision, tuple[str, ...]]:
    """Return what the pipeline file decides on this model's scores by, and how to tell of it."""
    found = EvaluateOutcome.standing(ledger, variant.name)
    if found is not None and found.model != trained.arn:
        found = None
    choice = decide_now(variant, found)
    spec = variant.pipeline.evaluate
    is_new = not is_by_run(choice, found)
    if spec.decide is None and spec.to_person is None and not is_new:
        return choice.decision, ()
    notes = [f"Decided at {at_score(choice.decision.threshold)}, by {choice.by}."]
    if is_new:
        has_been = has_judged(variant, ledger, choice, trained.arn)
        notes += [NOT_LAST_RUN if has_been else NEVER_RUN, *filter(None, [choice.note])]
    return choice.decision, tuple(notes)


def _drawing(variant: Variant, model: Hosting, maps: Maps | None) -> Callable[[bytes], Any] | None:
    """Return what finds the heat map of an image, given what the hosted model was given.

    The service tells verdicts alone, so that the model is asked a second time, by its file. None
    where no heat maps are wanted.
    """
    if maps is None:
        return None
    looking = detector.load(heat_maps.model_file(variant.context, model))
    return lambda data: looking.detect(data).heat_map


def _file_at_hand(variant: Variant, model: Hosting) -> Path | None:
    """Return the file of the model that the embedded service would host; None elsewhere."""
    if model.endpoint != "embedded":
        return None
    context = variant.context
    return service.embedded.model_file(
        context.service_dir, context.pipeline.region, model.project, model.version
    )


def _load_at_hand(file: Path | None) -> Model | None:
    """Return the very model that the embedded service would host, which takes seconds to start.

    None where a remote service has it, or another detector made it, or its file cannot be used,
    which hosting it will tell.
    """
    try:
        return detector.load(file) if file is not None else None
    except detector.DetectorError:
        return None


def _ask_service(variant: Variant, model: Hosting, image: str, data: bytes) -> ImageVerdict:
    """Ask the hosted model about a prepared image."""
    with explained(f"detecting anomalies in {image}"):
        response = variant.context.lookout.detect_anomalies(
            ProjectName=model.project,
            ModelVersion=model.version,
            Body=data,
            ContentType=content_type(data),
        )
    said = response["DetectAnomalyResult"]
    return ImageVerdict(
        "",
        bool(said["IsAnomalous"]),
        float(said["Confidence"]),
        anomalies=without_background(
            (each["Name"], float(each["PixelAnomaly"]["TotalPercentageArea"]))
            for each in said.get("Anomalies", ())
        ),
        unlikeness=unlikeness(response),
    )


def _detect_or_say_why_not(detect: Detect, image: Path) -> ImageVerdict:
    """Let an image that cannot be used have a line of its own, so that the others get theirs."""
    try:
        return detect(Photograph(str(image), image.read_bytes()))
    except UserError as error:
        # The line names the image already, so that the service's bare reason is enough.
        return ImageVerdict(str(image), error=getattr(error, "reason", error.message))
    except OSError as error:
        return ImageVerdict(str(image), error=error.strerror or str(error))
