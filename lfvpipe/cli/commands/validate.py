"""`lfvpipe validate`: check the pipeline file, and say what it would use."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lfvpipe import archives
from lfvpipe.cli import output
from lfvpipe.cli.options import DEFAULT_FILE, Json, PipelineOptions
from lfvpipe.cli.variants import open_variants
from lfvpipe.config.flat import bare_address
from lfvpipe.config.spec import LABELS
from lfvpipe.dataset.checks import findings
from lfvpipe.dataset.checks.counts import shortages, unknowns
from lfvpipe.dataset.globs import is_image_name, matcher
from lfvpipe.dataset.inventory import JUNK, Inventory
from lfvpipe.dataset.labels import LabelsError, read_decisions, standings
from lfvpipe.dataset.sampling import sample_size, split_sizes
from lfvpipe.dataset.selection import LabelCounts
from lfvpipe.dataset.sources import IMAGES, masks_inside, public_address, similar, sources_of
from lfvpipe.engine.phrases import count_of
from lfvpipe.errors import UserError
from lfvpipe.report import policies
from lfvpipe.steps.mlflow import insist_on_extra
from lfvpipe.steps.select.division import divide_sources, evaluation_archive

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lfvpipe.config.spec import Label, Pipeline, Source
    from lfvpipe.dataset.checks.findings import Finding
    from lfvpipe.dataset.selection import Split
    from lfvpipe.dataset.sources import Source as PlacedSource

CONFIG_IS_WRONG = 3


@dataclass(frozen=True)
class SourceFacts:
    """What is known of one label's images without fetching anything.

    Attributes:
        label: The label.
        archive: Where they lie.
        local: Whether that is on this machine.
        images: How many there are; None where that is not known yet.
        train: How many would be trained on.
        test: How many would be tested on.
        evaluate: How many would be withheld to be judged.
        truth: What images that are only judged really are, where that is known.
        problem: What is wrong; empty for nothing.
        notes: What is left out or had to be guessed, as `check` will find.
    """

    label: str
    archive: str
    local: bool
    images: int | None = None
    train: int | None = None
    test: int | None = None
    evaluate: int | None = None
    truth: str | None = None
    problem: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ValidateOptions(PipelineOptions):
    """What `lfvpipe validate` reads."""

    json: Json = False


def run(options: ValidateOptions) -> int:
    """Print what the file says and would use, or all that is wrong; return 0 or 3."""
    try:
        variants = open_variants(options)
    except UserError as error:
        if options.json and hasattr(error, "problems"):
            output.print_json({"valid": False, "problems": [str(each) for each in error.problems]})
            return error.exit_code
        raise
    pipelines = [(variant.name, variant.context.pipeline) for variant in variants]
    found = [(name, pipeline, _look_at_sources(pipeline)) for name, pipeline in pipelines]
    problems = list(
        dict.fromkeys(one.problem for _, _, sources in found for one in sources if one.problem)
    )
    warnings = [
        (finding.level, finding.told() if name == "default" else f"[{name}] {finding.told()}")
        for name, pipeline, sources in found
        for finding in _foretold(pipeline, sources)
    ]
    if options.json:
        output.print_json(_json(found, problems, warnings))
    else:
        _print(options, found, problems, warnings)
    return CONFIG_IS_WRONG if problems else 0


def _look_at_sources(pipeline: Pipeline) -> list[SourceFacts]:
    inventory = Inventory()
    noted: list[Finding] = []
    is_whole = _is_divided_together(pipeline)
    if is_whole:
        found = _divided_sources(pipeline, inventory, noted)
    else:
        by_label = pipeline.sources.by_label
        found = [_label_facts(pipeline, label, source) for label, source in by_label.items()]
        found += [
            _place_facts("masks", one.masks)
            for one in by_label.values()
            if one.masks and not masks_inside(one)
        ]
    if manifest := pipeline.sources.manifest:
        parts = {"train": manifest.train, "test": manifest.test, "images": manifest.images}
        found += [_place_facts(name, place) for name, place in parts.items() if place]
    archives = range(len(pipeline.evaluate.archives))
    found += [_judged_archive(pipeline, number, inventory) for number in archives]
    if is_whole and not any(one.problem for one in found):
        noted += [each for each in inventory.findings() if each.code != JUNK]
        found[0] = replace(found[0], notes=tuple(each.told() for each in noted))
    if isinstance(pipeline.images.ignore, str):
        found.append(_place_facts("images.ignore", pipeline.images.ignore))
    if pipeline.sources.labels:
        found.append(_decisions_file(pipeline.sources.labels))
    return found + _missing_extras(pipeline)


def _is_divided_together(pipeline: Pipeline) -> bool:
    """Tell whether all images are here, or more than one archive of each label is named."""
    sources = pipeline.sources
    named = [one for one in sources_of(pipeline) if one.key.startswith("sources.")]
    is_local = all(not one.is_remote and Path(one.address).exists() for one in named)
    if sources.manifest:
        return is_local
    return sources.listed is not None or any(one.prefix for one in named) or is_local


def _divided_sources(
    pipeline: Pipeline, inventory: Inventory, noted: list[Finding]
) -> list[SourceFacts]:
    """Return what is known of each source, and how its images will be divided, as far as known.

    Args:
        pipeline: Names the sources.
        inventory: Every archive that is looked into is entered.
        noted: What a run would say is added to it.
    """
    named = [one for one in sources_of(pipeline) if one.key.startswith("sources.")]
    places = [_place_facts(one.member, one.address) for one in named]
    if any(place.problem or not place.local for place in places):
        return places
    addresses = {one.member: Path(one.address) for one in named}
    try:
        division = divide_sources(pipeline, addresses.__getitem__, inventory, noted)
    except UserError as error:
        return [*places, SourceFacts("sources", "", local=True, problem=error.message)]
    if faults := [each.told() for each in noted if each.level == "error"]:
        return [SourceFacts("sources", "", local=True, problem=fault) for fault in faults]
    counted = Counter((one.label, one.split) for one in division.images)
    found = [
        SourceFacts(
            label,
            ", ".join(
                place.archive
                for place, one in zip(places, named, strict=True)
                if _may_hold(one, label)
            ),
            local=True,
            images=division.available[label],
            train=counted[label, "train"],
            test=counted[label, "test"],
            evaluate=counted[label, "evaluate"],
        )
        for label in LABELS
        if division.available[label]
    ]
    if unknown := [one.source for one in division.images if one.label is None]:
        # Files beside the pipeline belong to no source.
        homes = (str(addresses.get(source, pipeline.folder)) for source in dict.fromkeys(unknown))
        at = ", ".join(dict.fromkeys(map(public_address, homes)))
        found.append(SourceFacts("evaluate", at, local=True, images=len(unknown)))
    return found


def _may_hold(one: PlacedSource, label: Label) -> bool:
    """Tell whether images of a label may lie in a source."""
    if one.member.startswith("manifest-"):
        return not one.archive
    return one.archive and one.member.split(".")[0] in (label, IMAGES)


def _judged_archive(pipeline: Pipeline, number: int, inventory: Inventory) -> SourceFacts:
    """Return how many images an archive has that are only judged, and what they are."""
    source = pipeline.evaluate.archives[number]
    found = _place_facts("evaluate", source.archive)
    if not found.local or found.problem:
        return found
    try:
        images = evaluation_archive(pipeline, number, lambda _: Path(source.archive), inventory)
    except UserError as error:
        return replace(found, problem=f"evaluate: {error.message}")
    return replace(found, images=len(images), truth=source.label)


def _decisions_file(file: str) -> SourceFacts:
    """Return how many images people have decided about, which the counts do not know of."""
    try:
        standing = standings(read_decisions(Path(file))).values()
    except LabelsError as error:
        return SourceFacts("labels", file, local=True, problem=f"labels: {error.message}")
    return SourceFacts("labels", file, local=True, images=sum(bool(one.made) for one in standing))


def _foretold(pipeline: Pipeline, sources: list[SourceFacts]) -> list[Finding]:
    """Return what `check` will find of the numbers of images, of what can be counted by now."""
    if pipeline.sources.manifest and all(one.train is None for one in sources):
        return []  # they are not here yet
    counts: dict[tuple[Split, Label | None], int] = {}
    available: dict[str, LabelCounts] = {}
    known: set[Label] = set()
    if pipeline.sources.manifest:
        known = {*LABELS}
    elif pipeline.sources.listed is None:
        known = {label for label in LABELS if label not in pipeline.sources.by_label}
    for label in LABELS:
        one = next((one for one in sources if one.label == label and one.images), None)
        if one is not None:
            known.add(label)
            counts |= {("train", label): one.train or 0, ("test", label): one.test or 0}
            available[label] = LabelCounts(
                train=one.train or 0,
                test=one.test or 0,
                evaluate=one.evaluate or 0,
                unused=0,
                available=one.images or 0,
            )
    found = [*_about_band(pipeline), *shortages(pipeline, counts, available, known)]
    # What cannot be known of a model, only who knows of both labels can tell.
    return [*found, *unknowns(pipeline, counts, available)] if known >= {*LABELS} else found


def _about_band(pipeline: Pipeline) -> Iterator[Finding]:
    """Yield that the threshold is outside what goes to a person, where it is known by now."""
    spec = pipeline.evaluate
    if spec.to_person and (spec.decide is None or spec.decide.threshold is not None):
        note = policies.decide(spec.decide, spec.to_person, ()).note
        if note:
            yield findings.warning("decision", f"evaluate.to_person: {note}.", ())


def _missing_extras(pipeline: Pipeline) -> list[SourceFacts]:
    """Return what has to be installed for this pipeline and is not."""
    if pipeline.mlflow is None:
        return []
    server = bare_address(pipeline.mlflow.tracking_uri)
    try:
        insist_on_extra()
    except UserError as error:
        return [
            SourceFacts(
                "mlflow", server, local=False, problem=f"mlflow: {error.hint.splitlines()[0]}"
            )
        ]
    return []


def _place_facts(name: str, place: str) -> SourceFacts:
    local = "://" not in place
    missing = local and not Path(place).exists()
    return SourceFacts(
        name,
        public_address(place),
        local,
        problem=f"{name}: {_absence(Path(place))}" if missing else "",
    )


def _absence(path: Path) -> str:
    if not path.parent.is_dir():
        return f"{path} is not there, nor is its folder"
    near = similar(path)
    return f"{path} is not there" + (f"; did you mean {' or '.join(near)}?" if near else "")


def _label_facts(pipeline: Pipeline, label: Label, source: Source) -> SourceFacts:
    """Return what is known of a label's images where the other label's are not here yet."""
    found = _place_facts(label, source.archive)
    if not found.local or found.problem:
        return found
    wanted, unwanted = matcher(source.include), matcher(source.exclude)
    try:
        with archives.open_archive(Path(source.archive), encoding=source.encoding) as archive:
            members = [member.name for member in archive.members()]
    except UserError as error:
        return replace(found, problem=f"{label}: {error.message}")
    images = [member for member in members if is_image_name(member) and wanted(member)]
    names = [member for member in images if not (source.exclude and unwanted(member))]
    if not names:
        problem = f"{label}: {source.archive} holds no image that is included"
        return replace(found, problem=problem)
    train, test, withheld = _forecast(pipeline, label, names)
    return replace(found, images=len(names), train=train, test=test, evaluate=withheld)


def _forecast(pipeline: Pipeline, label: Label, names: list[str]) -> tuple[int, int, int]:
    """Forecast how many of a label's images are trained and tested on and how many withheld."""
    chosen = pipeline.evaluate.images
    is_withheld = matcher(chosen)
    withheld = sum(1 for name in names if chosen and is_withheld(name))
    sampled = sample_size(pipeline.sample.shares[label], len(names), withheld)
    test = pipeline.split.test[label] if pipeline.split.test else None
    return *split_sizes(sampled, pipeline.split.train[label], test), withheld


def _print(
    options: ValidateOptions,
    found: list[tuple[str, Pipeline, list[SourceFacts]]],
    problems: list[str],
    warnings: Sequence[tuple[str, str]],
) -> None:
    file = options.file or DEFAULT_FILE
    is_valid = output.styled("is valid", "green")
    print(f"{file} {output.styled('has problems', 'red') if problems else is_valid}")
    for name, pipeline, sources in found:
        _print_pipeline(name, pipeline, sources)
    for problem in problems:
        print(output.styled(f"problem: {problem}", "red"))
    for note in dict.fromkeys(note for _, _, each in found for one in each for note in one.notes):
        print(output.styled(f"note: {note}", "yellow"))
    for level, warning in warnings:
        stops = "`check` will stop the run: " if level == "error" else ""
        print(output.styled(f"warning: {stops}{warning}", "yellow"))


def _print_pipeline(name: str, pipeline: Pipeline, sources: list[SourceFacts]) -> None:
    title = pipeline.name if name == "default" else f"{pipeline.name} [{name}]"
    print(f"\n{output.styled(title, 'bold')}")
    rows = [
        ("project", f"{pipeline.project}, {pipeline.region}, service {pipeline.service.endpoint}"),
        ("bucket", f"{pipeline.bucket.name}, {pipeline.bucket.endpoint}"),
        *((one.label, _description(one)) for one in sources),
    ]
    print(output.table([(f"  {key}", text) for key, text in rows]))


def _description(one: SourceFacts) -> str:
    if one.problem:
        return f"{one.archive}: not usable"
    if not one.local:
        return f"{one.archive}: to be fetched"
    if one.images is None:
        return one.archive
    if one.label == "labels":
        return f"{one.archive}: people decided about {one.images} of the images; not counted in"
    if one.train is None:
        truth = one.truth or "of unknown label"
        return f"{one.archive}: {count_of(one.images, 'image')} to judge, {truth}"
    split = f"{one.train} to train on, {one.test} to test on"
    if one.evaluate:
        split += f", {one.evaluate} to judge"
    return f"{one.archive}: {count_of(one.images, 'image')}, {split}"


def _json(
    found: list[tuple[str, Pipeline, list[SourceFacts]]],
    problems: list[str],
    warnings: Sequence[tuple[str, str]],
) -> dict[str, Any]:
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
    return {
        "valid": not problems,
        "problems": problems,
        "warnings": [text for _, text in warnings],
        "variants": variants,
    }
