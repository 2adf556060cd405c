"""How images are selected: archives are divided, then what people decided is applied."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lfvpipe.config.spec import LABELS
from lfvpipe.dataset.candidates import SelectionError, archive_candidates
from lfvpipe.dataset.checks.findings import Finding, write_names
from lfvpipe.dataset.corrections import read_corrections
from lfvpipe.dataset.dividing import divide_candidates
from lfvpipe.dataset.evaluation_images import evaluation_images
from lfvpipe.dataset.gathering import gather, judged_candidates, stems
from lfvpipe.dataset.inventory import JUNK, Inventory
from lfvpipe.dataset.lines import DamagedLine, write_lines
from lfvpipe.dataset.parts import part_findings
from lfvpipe.dataset.selection import LabelCounts, read_selection, selection_line
from lfvpipe.dataset.sources import public_address
from lfvpipe.engine.outcome import Outcome
from lfvpipe.steps.fetch import source_location
from lfvpipe.steps.select.exported import read_exported
from lfvpipe.steps.select.outcome import SelectOutcome

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lfvpipe.config.spec import Label, Pipeline
    from lfvpipe.dataset.candidates import Candidate
    from lfvpipe.dataset.corrections import Corrections
    from lfvpipe.dataset.selection import SelectedImage
    from lfvpipe.engine.step import Work
    from lfvpipe.steps.context import Context


@dataclass
class _Division:
    """What the archives or manifests hold, divided as if nobody had reviewed anything.

    Attributes:
        candidates: All there is, those that `include` leaves out as well.
        images: What the splits got, all unused images among them.
        available: How many images of each label there were to choose from.
    """

    candidates: Sequence[Candidate]
    images: list[SelectedImage]
    available: Counter[str] = field(default_factory=Counter)


def select(context: Context, work: Work) -> Outcome:
    """Read the archives' directories and write the selection.

    Raises:
        SelectionError: The sources do not hold what the pipeline asks for.
        LabelsError: The reviewed labels cannot be used.
        ArchiveError: An archive is damaged.
    """
    pipeline = context.pipeline
    inventory, found = Inventory(), list[Finding]()
    if pipeline.sources.manifest is None:
        division = _divide_sources(context, work, inventory, found)
    else:
        division = _take_splits(context, work, found)
    division.images += _evaluation_archives(context, work, inventory)
    found += inventory.findings()
    place = write_names(context.state_dir / "selection", found)
    for finding in found:
        if finding.code != JUNK:  # of interest to nobody who waits; it is in the report
            work.warn(finding.told(place))
    found = [finding.shortened() for finding in found]
    corrections = read_corrections(pipeline)
    corrections.check([*division.candidates, *division.images], work.warn)
    images = _correct(division.images, corrections, pipeline.evaluate.unused_per_label)
    _warn_of_moved_images(context, work, images)
    name, sha256 = write_lines(context.state_dir / "selection", map(selection_line, images))
    facts = SelectOutcome(
        f"selection/{name}", sha256, _counts(division, images), tuple(found) or None
    )
    return Outcome("created", facts.as_json(), {"digest": sha256} | facts.findings_identity())


def _warn_of_moved_images(context: Context, work: Work, images: Sequence[SelectedImage]) -> None:
    """Tell how many images that were tested on are now learnt from.

    Shares are exact after every image of the ranking, so one that comes or goes moves those behind
    it. It is said alone, and is no finding: the selection is the same whatever came before.
    """
    before = SelectOutcome.from_json(work.previous.facts) if work.previous else None
    file = context.state_dir / before.selection if before else None
    if file is None or not file.is_file():
        return
    try:
        tested = {each.id for each in read_selection(file) if each.split == "test"}
    except DamagedLine:  # it is written anew
        return
    moved = [each.id for each in images if each.split == "train" and each.id in tested]
    if moved:
        work.warn(
            f"{len(moved):,} of the {len(tested):,} images that were tested on before are now"
            f" learnt from, such as {moved[0]}: metrics from before and after are of different"
            " test sets. An image that comes or goes moves others; to keep a test set, name it"
            " under `split.from`."
        )


def _divide_sources(
    context: Context, work: Work, inventory: Inventory, found: list[Finding]
) -> _Division:
    """Divide the images of all sources as the pipeline says."""
    pipeline = context.pipeline
    candidates = gather(
        pipeline, lambda member: source_location(context, work.upstream, member), inventory, found
    )
    for label in LABELS:
        if count := sum(each.label == label for each in candidates):
            work.progress(count, None, "images", label)
    judged = judged_candidates(candidates, inventory)
    withheld = evaluation_images(pipeline, judged, stems(pipeline))
    for one in withheld.values():
        inventory.use(one.source, one.member)
    # What a list names without a label is there to be judged.
    withheld |= {one.id: one for one in candidates if one.label is None}
    division = _Division(candidates, [one.select("evaluate") for one in withheld.values()])
    included = [one for one in candidates if one.included and one.label is not None]
    division.available.update(str(one.label) for one in included)
    _warn_of_small_samples(pipeline, work, included, withheld)
    division.images += [
        one.select(part) for one, part in divide_candidates(pipeline, included, withheld, found)
    ]
    return division


def _warn_of_small_samples(
    pipeline: Pipeline, work: Work, included: Sequence[Candidate], withheld: Collection[str]
) -> None:
    free = Counter(one.label for one in included if one.id not in withheld)
    for label, share in pipeline.sample.shares.items():
        there = free[label]
        is_named = label in pipeline.sources.by_label or pipeline.sources.listed is not None
        if is_named and share.count is not None and share.count > there:
            work.warn(f"sample: {share.count} {label} images were asked for; there are {there}.")


def _take_splits(context: Context, work: Work, found: list[Finding]) -> _Division:
    """Take the splits as the exported manifests have them."""
    exported = read_exported(context, work)
    found += exported.findings
    everything = [each for of_split in exported.candidates.values() for each in of_split]
    withheld = evaluation_images(context.pipeline, everything, {})
    division = _Division(everything, [one.select("evaluate") for one in withheld.values()])
    for split, of_split in exported.candidates.items():
        for candidate in of_split:
            division.available[str(candidate.label)] += 1
            if candidate.id not in withheld:
                division.images.append(candidate.select(split, prefix=f"{split}/"))
    divided = [(each, split) for split, them in exported.candidates.items() for each in them]
    found += part_findings(
        divided,
        is_single="test" not in exported.candidates,
        remedy="have all photographs of each in one manifest",
    )
    if not division.available:
        raise SelectionError(
            " ".join(
                [
                    "sources.manifest: no line has a class-name of normal or anomaly.",
                    *(finding.message for finding in exported.findings),
                ]
            ),
            hint="Label the images, or name the manifest that holds the labels.",
        )
    return division


def _evaluation_archives(context: Context, work: Work, inventory: Inventory) -> list[SelectedImage]:
    images: list[SelectedImage] = []
    for number, archive in enumerate(context.pipeline.evaluate.archives):
        source = f"evaluate-{number}"
        path = source_location(context, work.upstream, source)
        holding = inventory.open(source, public_address(archive.archive), path, archive.encoding)
        images += [
            # Without a label its id begins with the source already.
            one.select("evaluate", prefix=f"{source}/" if one.label else "")
            for one in archive_candidates(holding, archive)
        ]
    return images


def _correct(
    images: Sequence[SelectedImage], corrections: Corrections, unused_per_label: int
) -> list[SelectedImage]:
    """Apply what people decided, and keep the first unused images that nobody decided about."""
    kept = []
    unused: Counter[Label | None] = Counter()
    for each in images:
        image = corrections.apply(each)
        if image is None:
            continue
        if image.split == "unused":
            unused[image.label] += 1
            if unused[image.label] > unused_per_label:
                continue
        kept.append(image)
    return sorted(kept, key=lambda image: image.id)


def _counts(division: _Division, images: Sequence[SelectedImage]) -> dict[str, LabelCounts]:
    """Return the counts of each label that has any image to learn from, in any split."""
    found = Counter((str(image.label), image.split) for image in images)
    return {
        label: LabelCounts(
            train=found[label, "train"],
            test=found[label, "test"],
            evaluate=found[label, "evaluate"],
            unused=found[label, "unused"],
            available=division.available[label],
        )
        for label in LABELS
        if division.available[label] or found[label, "train"] or found[label, "test"]
    }
