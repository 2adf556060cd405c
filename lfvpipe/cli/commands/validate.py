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
from lfvpipe.dataset.checks.counts import shortages, unknowns
from lfvpipe.dataset.dividing import divide_candidates
from lfvpipe.dataset.evaluation_images import evaluation_images
from lfvpipe.dataset.gathering import gather, judged_candidates, stems
from lfvpipe.dataset.globs import is_image_name, matcher
from lfvpipe.dataset.inventory import JUNK, Inventory
from lfvpipe.dataset.labels import LabelsError, read_decisions, standings
from lfvpipe.dataset.sampling import sample_size, split_sizes
from lfvpipe.dataset.selection import LabelCounts
from lfvpipe.dataset.sources import IMAGES, masks_inside, public_address, similar, sources_of
from lfvpipe.errors import UserError
from lfvpipe.steps.mlflow import insist_on_extra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lfvpipe.config.spec import EvaluationArchive, Label, Pipeline, Source
    from lfvpipe.dataset.checks.findings import Finding
    from lfvpipe.dataset.selection import Split

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
    if _is_divided_together(pipeline):
        found = _divided_sources(pipeline)
    else:
        by_label = pipeline.sources.by_label
        found = [_label_facts(pipeline, label, source) for label, source in by_label.items()]
        found += [
            _place_facts("masks", one.masks)
            for one in by_label.values()
            if one.masks and not masks_inside(one)
        ]
    manifest = pipeline.sources.manifest
    if manifest:
        parts = {"train": manifest.train, "test": manifest.test, "images": manifest.images}
        found += [_place_facts(name, place) for name, place in parts.items() if place]
    found += [_judged_archive(one) for one in pipeline.evaluate.archives]
    if isinstance(pipeline.images.ignore, str):
        found.append(_place_facts("images.ignore", pipeline.images.ignore))
    if pipeline.sources.labels:
        found.append(_decisions_file(pipeline.sources.labels))
    return found + _missing_extras(pipeline)


def _is_divided_together(pipeline: Pipeline) -> bool:
    """Tell whether all images are here, or more than one archive of each label is named."""
    sources = pipeline.sources
    named = [one for one in sources_of(pipeline) if one.key.startswith("sources.")]
    if sources.manifest:
        return False
    return (
        sources.listed is not None
        or any(one.prefix for one in named)
        or all(not one.is_remote and Path(one.address).exists() for one in named)
    )


def _divided_sources(pipeline: Pipeline) -> list[SourceFacts]:
    """Return what is known of each source, and how its images will be divided, as far as known."""
    named = [one for one in sources_of(pipeline) if one.key.startswith("sources.")]
    places = [_place_facts(one.member, one.address) for one in named]
    if any(place.problem or not place.local for place in places):
        return places
    addresses = {one.member: Path(one.address) for one in named}
    inventory = Inventory()
    noted: list[Finding] = []
    try:
        candidates = gather(pipeline, addresses.__getitem__, inventory, noted)
        judged = judged_candidates(candidates, inventory)
        withheld = evaluation_images(pipeline, judged, stems(pipeline))
        included = [one for one in candidates if one.included and one.label is not None]
        divided = divide_candidates(pipeline, included, withheld, noted)
    except UserError as error:
        return [*places, SourceFacts("sources", "", local=True, problem=error.message)]
    counted = Counter((one.label, part) for one, part in divided)
    noted += [each for each in inventory.findings() if each.code != JUNK]
    found = [
        SourceFacts(
            label,
            ", ".join(place.archive for place, one in zip(places, named, strict=True)
                      if one.archive and one.member.split(".")[0] in (label, IMAGES)),
            local=True,
            images=sum(one.label == label for one in included),
            train=counted[label, "train"],
            test=counted[label, "test"],
            evaluate=sum(one.label == label for one in withheld.values()),
        )
        for label in LABELS
        if any(one.label == label for one in included)
    ]  # fmt: skip
    notes = tuple(each.told() for each in noted)
    return [replace(one, notes=notes if one is found[0] else ()) for one in found]


def _judged_archive(source: EvaluationArchive) -> SourceFacts:
    """Return how many images an archive has that are only judged, and what they are."""
    found, names = _read_archive("evaluate", source)
    return replace(found, images=len(names), truth=source.label) if names else found


def _decisions_file(file: str) -> SourceFacts:
    """Return how many images people have decided about, which the counts do not know of."""
    try:
        standing = standings(read_decisions(Path(file))).values()
    except LabelsError as error:
        return SourceFacts("labels", file, local=True, problem=f"labels: {error.message}")
    return SourceFacts("labels", file, local=True, images=sum(bool(one.made) for one in standing))


def _foretold(pipeline: Pipeline, sources: list[SourceFacts]) -> list[Finding]:
    """Return what `check` will find of the numbers of images, of what can be counted by now."""
    if pipeline.sources.manifest:
        return []
    counts: dict[tuple[Split, Label | None], int] = {}
    available: dict[str, LabelCounts] = {}
    known: set[Label] = set()
    if pipeline.sources.listed is None:
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
    found = shortages(pipeline, counts, available, known)
    # What cannot be known of a model, only who knows of both labels can tell.
    return [*found, *unknowns(pipeline, counts, available)] if known >= {*LABELS} else found


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
    found, names = _read_archive(label, source)
    if not names:
        return found
    train, test, withheld = _forecast(pipeline, label, names)
    return replace(found, images=len(names), train=train, test=test, evaluate=withheld)


def _read_archive(name: str, source: Source | EvaluationArchive) -> tuple[SourceFacts, list[str]]:
    """Return what is known of an archive, and the names of its images if it can be read now."""
    found = _place_facts(name, source.archive)
    if not found.local or found.problem:
        return found, []
    wanted, unwanted = matcher(source.include), matcher(source.exclude)
    try:
        with archives.open_archive(Path(source.archive), encoding=source.encoding) as archive:
            members = [member.name for member in archive.members()]
    except UserError as error:
        return replace(found, problem=f"{name}: {error.message}"), []
    images = [member for member in members if is_image_name(member) and wanted(member)]
    names = [member for member in images if not (source.exclude and unwanted(member))]
    none = "" if names else f"{name}: {source.archive} holds no image that is included"
    return replace(found, problem=none), names


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
    verdict = ("has problems", "red") if problems else ("is valid", "green")
    print(f"{file} {output.styled(verdict[0], verdict[1])}")  # type: ignore[arg-type]  # literals
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
        return f"{one.archive}: {one.images} images to judge, {one.truth or 'of unknown label'}"
    split = f"{one.train} to train on, {one.test} to test on"
    return f"{one.archive}: {one.images} images, {split}"


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
